from pathlib import Path
import pytest, time
from tests.engine.apiserver import Api
from tests.engine.checkout import checkout
pytestmark = pytest.mark.engine
def test_x(tmp_path: Path, environment, api: Api):
    work = checkout(tmp_path, environment, api.kubeconfig())
    t=time.time()
    for s in ("node","local"):
        work.pulumi("stack", "init", s); print(time.time()-t)
        d = work.run("preview", "-s", s, "--json"); print(time.time()-t)
        Path(f"/tmp/ex/{s}.json").write_text(d.stdout); Path(f"/tmp/ex/{s}.err").write_text(d.stderr)
    d = work.run("preview", "-s", "node", "--event-log", "/tmp/ex/events"); print(time.time()-t, d)
