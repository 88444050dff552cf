"""Registries of others: a real MLflow server, and the signatures of the real `wandb`, both from a package registry."""

import inspect
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from infra import cli, cli_models, evaluation, registry_lock, registry_resolving
from infra.engine import workspace
from pipeline import attestation, data, signing, training
from pipeline import cli as pipeline_cli
from pipeline.packaging import Target, write_package
from tests.engine.apiserver import free_port
from tests.environments import environment
from tests.unit.test_registries import FakeApi
from tools.problem import ProblemError
from tools.progress import Progress

MLFLOW, WANDB = "mlflow==3.17.2", "wandb==0.31.0"
CLIENT = Path(__file__).with_name("mlflow_client.py")
URI = "models:/breast-cancer@champion"
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}


@dataclass(frozen=True)
class Mlflow:
    """A server, and where it keeps files."""

    url: str
    store: Path
    python: Path

    def register(self, folder: Path) -> str:
        """Register a version with MLflow's own client; returns its name."""
        done = subprocess.run(
            [str(self.python), str(CLIENT), str(folder), "breast-cancer", "champion"],
            env={**os.environ, **QUIET, "MLFLOW_TRACKING_URI": self.url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1].removeprefix("version ")


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    folder = tmp_path_factory.mktemp("mlflow")
    programs = environment("mlflow", MLFLOW) / "bin"
    port = free_port()
    command = [str(programs / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/db", "--artifacts-destination", str(folder / "files")]
    with subprocess.Popen(
        command,
        env={**os.environ, **QUIET, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None
        said = []
        for line in server.stdout:
            said.append(line)
            if "Application startup complete" in line:
                break
        else:
            pytest.fail("".join(said))
        try:
            yield Mlflow(f"http://127.0.0.1:{port}", folder / "files", programs / "python")
        finally:
            os.killpg(server.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A real artifact with its signed report beside it: `folder`, the key's `line` and the `sha256` of the manifest."""
    folder = tmp_path_factory.mktemp("artifact")
    key = folder / "key.pem"
    line = signing.create(key)
    training.train(data.read_example(), folder / "model")
    arguments = ["evaluate", "--candidate", str(folder / "model"), "--floor", "accuracy=0.9", "--key", str(key)]
    assert CliRunner().invoke(pipeline_cli.app, arguments).exit_code == 0
    write_package(folder / "model", Target("breast-cancer", "v1", "none", key=key), folder, Progress())
    shutil.copy(folder / attestation.FILE, folder / "artifact")
    sha256 = attestation.verify((folder / attestation.FILE).read_bytes(), [line])["subject"][1]["digest"]["sha256"]
    return SimpleNamespace(folder=folder / "artifact", line=line, sha256=sha256)


def stack(root: Path, monkeypatch: pytest.MonkeyPatch, url: str, line: str) -> Path:
    """A stack whose model comes from the server; returns the path of its lock."""
    files = workspace.StackFiles("trial", root / "Pulumi.yaml", root / "stacks" / "Pulumi.trial.yaml")
    monkeypatch.setattr(workspace, "stack_files", lambda _name: files)
    monkeypatch.setenv("MODELWAY_IMAGES_LOCK", str(root / "images.lock.json"))
    for module in (registry_resolving, evaluation):
        monkeypatch.setattr(module, "accepted_dir", lambda: root / "stacks" / "evaluations")
    files.stack_file.parent.mkdir()
    config = {
        "modelway:cluster": {"provider": "node"},
        "modelway:modelRegistry": {"kind": "mlflow", "url": url},
        "modelway:evaluation": {"publicKeys": [line]},
        "modelway:models": [{"name": "breast-cancer", "versions": [{"name": "v1", "model": URI}]}],
    }
    files.stack_file.write_text(json.dumps({"config": config}))
    return registry_lock.lock_file(files.stack_file)


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, ["models", *arguments])
    if isinstance(result.exception, ProblemError):
        return 1, result.stdout, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.timeout(1200)  # The first run installs MLflow, 650 MB.
def test_an_alias_of_mlflow_is_locked_moved_and_guarded(
    mlflow: Mlflow, artifact: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = stack(tmp_path, monkeypatch, mlflow.url, artifact.line)
    code, _, said = run("lock", "trial")
    assert (code, said) == (
        1,
        f"modelway:models breast-cancer.v1.model: resolves to nothing in mlflow {mlflow.url}: got '{URI}', allowed a model "
        "that is registered: none is; set the alias in the registry, or correct the config.",
    )
    assert mlflow.register(artifact.folder) == "1"
    assert run("lock", "trial")[:2] == (0, f"{URI}: version 1, sha256 {artifact.sha256}\n")
    locked = registry_lock.read(lock).models[URI]
    for file in artifact.folder.iterdir():
        assert httpx.get(f"{locked.source}/{file.name}").content == file.read_bytes()
    names = ["manifest.json", *json.loads((artifact.folder / "manifest.json").read_text())["files"]]
    assert locked.bytes == sum((artifact.folder / name).stat().st_size for name in names)
    settings = cli_models._written("trial")[1]
    assert evaluation.report_problems(settings, {("breast-cancer", "v1"): locked.sha256}) == []

    assert mlflow.register(artifact.folder) == "2"
    line = f"{URI}: version 1 to 2, sha256 {artifact.sha256}\n"
    assert run("lock", "trial", "--check") == (1, line, "")
    assert registry_lock.read(lock).models[URI] == locked
    listed = json.loads(run("list", "trial", "--json")[1])
    assert [(each["version"], each["aliases"], each["locked"]) for each in listed] == [
        ("2", ["champion"], []),
        ("1", [], [URI]),
    ]

    for file in mlflow.store.rglob("model.onnx"):
        file.write_bytes(b"tampered")
    code, _, said = run("lock", "trial")
    assert code == 1
    assert said.startswith(
        "modelway:models breast-cancer.v1.model: breast-cancer 2 is not the artifact that was packaged: "
    )
    assert "got model.onnx with sha256 " in said
    assert registry_lock.read(lock).models[URI] == locked


def test_the_adapter_s_fake_has_the_signatures_of_the_real_wandb() -> None:
    python = environment("wandb", WANDB) / "bin" / "python"
    names = [name for name, _ in inspect.getmembers(FakeApi, inspect.isfunction) if not name.startswith("_")]
    script = (
        "import inspect, json, wandb; wandb.errors.Error; "
        f"print(json.dumps({{n: list(inspect.signature(getattr(wandb.Api, n)).parameters) for n in {names!r}}}))"
    )
    done = subprocess.run([str(python), "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    real: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name in names:
        own = list(inspect.signature(getattr(FakeApi, name)).parameters)
        assert real[name][: len(own)] == own
