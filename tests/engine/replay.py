"""A real Prometheus with the product's own configuration, over recorded pages that are replayed on loopback."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import yaml
from modelway.monitoring.config import ScrapeSpec, prometheus_config
from server_process import free_port

from tests.loopback import serving
from tools.progress import Progress
from tools.toolchain import ensure

NAMESPACE = "modelway-models"
SPEC = ScrapeSpec((NAMESPACE,), "modelway-gateway")
START_SECONDS = 30.0


@dataclass(frozen=True)
class Target:
    """A page of one job, with the labels that Kubernetes would give the target."""

    job: str
    labels: Mapping[str, str]
    page: str
    """In the text format, after `recorded_seconds` of traffic: counters rise as they did until then."""
    recorded_seconds: float = 60.0

    @property
    def path(self) -> str:
        """Where it is replayed."""
        return "/" + "/".join((self.job, *self.labels.values()))


class Player:
    """The page of a target as it is some seconds later."""

    def __init__(self, target: Target) -> None:
        self._seconds = target.recorded_seconds
        self._lines: list[tuple[str, float | None]] = []
        counted: tuple[str, ...] = ()
        for line in target.page.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                counted = {"counter": (name,), "histogram": tuple(f"{name}_{part}" for part in PARTS)}.get(kind, ())
            name, _, value = line.rpartition(" ")
            rises = not line.startswith("#") and name.partition("{")[0] in counted
            self._lines.append((name, float(value)) if rises else (line, None))

    def page(self, elapsed_seconds: float) -> str:
        """The page, so many seconds after it was recorded."""
        factor = 1 + elapsed_seconds / self._seconds
        shown = (text if value is None else f"{text} {value * factor:.17g}" for text, value in self._lines)
        return "\n".join(shown) + "\n"


PARTS = ("bucket", "count", "sum")


@contextmanager
def replayed(targets: Sequence[Target]) -> Iterator[str]:
    """The pages on loopback; yields host and port."""
    players = {target.path: Player(target) for target in targets}
    begin = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer a scrape."""
            body = players[self.path].page(time.monotonic() - begin).encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    with serving(Handler) as port:
        yield f"127.0.0.1:{port}"


def configuration(targets: Sequence[Target], pages: str, own: str, rules: Path) -> dict[str, Any]:
    """The product's configuration, with static targets where it asks Kubernetes for pods and nodes.

    `pages` and `own` are host and port of the pages and of Prometheus itself.
    """
    config = prometheus_config(SPEC)
    for job in config["scrape_configs"]:
        if job.pop("kubernetes_sd_configs", None) is None:
            job["static_configs"] = [{"targets": [own]}]
            continue
        for only_there in ("relabel_configs", "authorization", "tls_config", "scheme"):
            job.pop(only_there, None)
        mine = [target for target in targets if target.job == job["job_name"]]
        job["static_configs"] = [
            {"targets": [pages], "labels": {**target.labels, "__metrics_path__": target.path}} for target in mine
        ]
    return {**config, "rule_files": [str(rules)]}


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, trust_env=False).raise_for_status()
        return answer.json()["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Result of an instant query."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def own(self) -> dict[str, float]:
        """Its own series without labels, as they are at this moment."""
        page = httpx.get(f"{self.url}/metrics", trust_env=False).raise_for_status().text
        samples = (line.split(" ") for line in page.splitlines() if line[0] != "#" and "{" not in line)
        return {name: float(value) for name, value in samples}

    def rule_seconds(self) -> float:
        """Seconds that all evaluations of rules have taken; with one core busy they are its seconds."""
        return self.own()["prometheus_rule_evaluation_duration_seconds_sum"]

    def number(self, expression: str) -> float:
        """The one value of an instant query."""
        (sample,) = self.query(expression)
        return float(sample["value"][1])


@contextmanager
def prometheus(
    folder: Path, targets: Sequence[Target], rules: Mapping[str, Any], features: Sequence[str] = ()
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the replayed targets and evaluates `rules`; it is ready."""
    binary = ensure(["prometheus"], Progress())["prometheus"].path
    own = f"127.0.0.1:{free_port()}"
    (folder / "rules.yml").write_text(yaml.safe_dump(dict(rules)))
    with replayed(targets) as pages, (folder / "log").open("w") as log:
        config = configuration(targets, pages, own, folder / "rules.yml")
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        flags = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        flags += [f"--enable-feature={name}" for name in features]
        process = subprocess.Popen([binary, *flags, f"--web.listen-address={own}"], stdout=log, stderr=log)
        try:
            await_ready(f"http://{own}/-/ready", process, folder / "log")
            yield Prometheus(f"http://{own}")
        finally:
            process.terminate()
            process.wait()


def await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until Prometheus answers there; raises `TimeoutError` with its log."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError(f"Prometheus is not ready: {log.read_text()}")
        time.sleep(0.05)
