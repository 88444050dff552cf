"""A changed ConfigMap reaches a real Prometheus as it runs, and what it has seen stays."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from modelway.monitoring.config import ScrapeSpec
from modelway.monitoring.objects import RELOAD_SECONDS, MonitoringSpec, monitoring_manifests
from server_process import free_port

from tests.engine.replay import Prometheus, await_ready
from tools.progress import Progress
from tools.toolchain import ensure

SECONDS = RELOAD_SECONDS + 10.0
SPEC = MonitoringSpec("monitoring", "prometheus", ScrapeSpec(("models",), "gateway"))


class Mounted:
    """A folder as the kubelet mounts a ConfigMap: every file a link into `..data`, which is turned all at once."""

    def __init__(self, folder: Path, own: str) -> None:
        self.folder, self.own, self.number = folder, own, 0
        for name in ("prometheus.yml", "rules.yml"):
            (folder / name).symlink_to(f"..data/{name}")
        self.write("first")

    def write(self, record: str, expression: str = "vector(1)") -> None:
        """Replace the content by one recording rule."""
        self.number += 1
        version = self.folder / f"..{self.number}"
        version.mkdir()
        itself = {"job_name": "prometheus", "static_configs": [{"targets": [self.own]}]}
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(self.folder / "rules.yml")],
            "scrape_configs": [itself],
        }
        rules = [{"name": "only", "rules": [{"record": record, "expr": expression}]}]
        (version / "prometheus.yml").write_text(yaml.safe_dump(config))
        (version / "rules.yml").write_text(yaml.safe_dump({"groups": rules}))
        (self.folder / "..new").symlink_to(version.name)
        (self.folder / "..new").replace(self.folder / "..data")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Prometheus, Mounted]]:
    """A Prometheus with the arguments of its pod."""
    binary = ensure(["prometheus"], Progress())["prometheus"].path
    (deployment,) = (each for each in monitoring_manifests(SPEC) if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (tmp_path / "config").mkdir()
    paths = {"=/etc/prometheus/": f"={tmp_path}/config/", "=/prometheus": f"={tmp_path}/data"}
    args: list[str] = container["args"]
    for inside, here in paths.items():
        args = [arg.replace(inside, here) for arg in args]
    own = f"127.0.0.1:{free_port()}"
    mounted = Mounted(tmp_path / "config", own)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([binary, *args, f"--web.listen-address={own}"], stdout=log, stderr=log)
        try:
            await_ready(f"http://{own}/-/ready", process, tmp_path / "log")
            yield Prometheus(f"http://{own}"), mounted
            assert process.poll() is None
        finally:
            process.terminate()
            process.wait()


def awaited(found: Callable[[], Any]) -> None:
    """Until something is so; fails when it is not in time."""
    deadline = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_changed_rule_is_taken_while_it_runs_and_history_stays(running: tuple[Prometheus, Mounted]) -> None:
    prometheus, mounted = running
    awaited(lambda: prometheus.query("first"))
    mounted.write("second")
    awaited(lambda: prometheus.query("second"))
    assert prometheus.query("last_over_time(first[1m])")


def test_a_configuration_that_is_none_leaves_the_one_before(running: tuple[Prometheus, Mounted]) -> None:
    prometheus, mounted = running
    mounted.write("second", "sum(")
    awaited(lambda: prometheus.own()["prometheus_config_last_reload_successful"] == 0)
    # Not by its samples, which would be found for five minutes more.
    assert [rule["name"] for group in prometheus.get("rules")["groups"] for rule in group["rules"]] == ["first"]
    mounted.write("third")
    awaited(lambda: prometheus.query("third"))
    assert prometheus.own()["prometheus_config_last_reload_successful"] == 1
