"""The real log collector and a real Loki on loopback, with log files as a kubelet lays them out."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import Any
from urllib.parse import urlencode

import httpx
import yaml
from modelway.logging.pipeline import PODS_FOLDER, STATE_FOLDER, Pipeline, collector_config

from tools.progress import Progress
from tools.toolchain import ensure

DEADLINE_SECONDS = 60


def free_port() -> int:
    """A port of loopback that nobody has."""
    with closing(create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass(frozen=True)
class Pods:
    """`/var/log/pods` of a node."""

    folder: Path

    def write(self, pod: str, container: str, lines: Sequence[Mapping[str, Any] | str]) -> Path:
        """Append lines to a container's log, as containerd writes them; `pod` is `NAMESPACE_NAME_UID`."""
        file = self.folder / pod / container / "0.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        with file.open("a") as log:
            log.writelines(f"{now()} stderr F {text}\n" for text in texts)
        return file


def now() -> str:
    """This moment as the container runtime writes it."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"


def loopback_config(spec: Pipeline, folder: Path, health_port: int) -> dict[str, Any]:
    """The configuration of `spec` with this machine's folders and port instead of a pod's, and nothing else changed."""
    text = yaml.safe_dump(collector_config(spec), sort_keys=False, width=1000)
    text = text.replace(PODS_FOLDER, str(folder / "pods")).replace(STATE_FOLDER, str(folder / "state"))
    (folder / "state").mkdir(exist_ok=True)
    config: dict[str, Any] = yaml.safe_load(text)
    config["extensions"]["health_check"]["endpoint"] = f"127.0.0.1:{health_port}"
    return config


def into_file(config: Mapping[str, Any], output: Path) -> dict[str, Any]:
    """`config` with the destination replaced by a file, which has no queue."""
    service = json.loads(json.dumps(config["service"]))
    service["pipelines"]["logs"]["exporters"] = ["file"]
    return {**config, "exporters": {"file": {"path": str(output), "append": True}}, "service": service}


@contextmanager
def collector(config: Mapping[str, Any], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The collector while the block runs; it is ready when the block begins."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    program = ensure(["otel-collector"], Progress())["otel-collector"].path
    health = f"http://{config['extensions']['health_check']['endpoint']}/"
    with (folder / "collector.log").open("ab") as log, running([program, f"--config=file:{file}"], log) as process:
        await_answer(health, process)
        yield process


@contextmanager
def running(command: Sequence[str | os.PathLike[str]], log: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    with subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until `url` answers 200; fails when the process ends before, or after the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"ended with {process.returncode}"
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} did not answer in {DEADLINE_SECONDS} s")


def loki_config(folder: Path, address: str, port: int) -> dict[str, Any]:
    """One Loki in one process, with everything in `folder`; Loki's own example for a single binary."""
    return {
        "auth_enabled": False,
        "server": {
            "http_listen_address": address,
            "http_listen_port": port,
            "grpc_listen_address": "127.0.0.1",
            "grpc_listen_port": 0,
            "log_level": "warn",
        },
        "common": {
            "instance_addr": "127.0.0.1",
            "path_prefix": str(folder),
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}},
            "storage": {"filesystem": {"chunks_directory": str(folder / "chunks"), "rules_directory": str(folder)}},
        },
        "schema_config": {
            "configs": [
                {
                    "from": "2020-10-24",
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "ingester": {"lifecycler": {"min_ready_duration": "0s"}},
        "analytics": {"reporting_enabled": False},
        "limits_config": {"allow_structured_metadata": True},
    }


@dataclass(frozen=True)
class Loki:
    """A Loki that runs."""

    url: str
    inside: Sequence[str] = ()
    """Command before commands that reach it."""

    def found(self, query: str) -> list[dict[str, Any]]:
        """What LogQL finds of the last hour: each line, with the labels and the structured metadata under `stream`."""
        hour = {"start": time.time_ns() - 3600 * 10**9, "end": time.time_ns()}
        asked = urlencode({"query": query, "limit": 5000, **hour})
        answer = self._get(f"/loki/api/v1/query_range?{asked}")
        assert answer is not None, query
        return [
            {"stream": result["stream"], "line": line}
            for result in json.loads(answer)["data"]["result"]
            for _, line, *_ in result["values"]
        ]

    def await_found(self, query: str, count: int) -> list[dict[str, Any]]:
        """As `found`, as soon as there are `count` of them; fails after the deadline."""
        deadline, lines = time.monotonic() + DEADLINE_SECONDS, list[dict[str, Any]]()
        while time.monotonic() < deadline:
            lines = self.found(query)
            if len(lines) >= count:
                return lines
            time.sleep(0.2)
        raise AssertionError(f"{len(lines)} of {count} lines in {DEADLINE_SECONDS} s")

    def await_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Until it answers; fails when it ends before, or after the deadline."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self._get("/ready") is None:
            assert process.poll() is None, f"ended with {process.returncode}"
            assert time.monotonic() < deadline, f"no answer in {DEADLINE_SECONDS} s"
            time.sleep(0.2)

    def _get(self, path: str) -> str | None:
        """Body of an answer 200, None of any other."""
        program = (
            "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=30).read().decode())"
        )
        command = [*self.inside, sys.executable, "-c", program, f"{self.url}{path}"]
        result = subprocess.run(command, capture_output=True, text=True, check=False, env={})
        return result.stdout if result.returncode == 0 else None


@contextmanager
def loki(folder: Path, address: str = "127.0.0.1", inside: Sequence[str] = ()) -> Iterator[Loki]:
    """A Loki while the block runs, at an address of the network that the command `inside` enters."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    file = folder / "loki.yaml"
    file.write_text(yaml.safe_dump(loki_config(folder, address, port)))
    program = ensure(["loki"], Progress())["loki"].path
    command = [*inside, program, f"-config.file={file}", "-target=all"]
    with (folder / "loki.log").open("ab") as log, running(command, log) as process:
        found = Loki(f"http://{address}:{port}", inside)
        found.await_ready(process)
        yield found


def records(output: Path) -> list[dict[str, Any]]:
    """What the file exporter wrote: body, attributes, resource and severity of each record as plain data."""
    result = []
    for line in output.read_text().splitlines() if output.exists() else []:
        for resource in json.loads(line)["resourceLogs"]:
            own = _map(resource["resource"].get("attributes", []))
            for scope in resource["scopeLogs"]:
                result += [
                    {
                        "resource": own,
                        "body": _value(record.get("body", {})),
                        "attributes": _map(record.get("attributes", [])),
                        "severity": record.get("severityText", ""),
                        "number": record.get("severityNumber", 0),
                        "trace": record.get("traceId", ""),
                    }
                    for record in scope["logRecords"]
                ]
    return result


def await_records(output: Path, done: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """As `records`, as soon as they are `done`; fails after the deadline."""
    deadline, got = time.monotonic() + DEADLINE_SECONDS, list[dict[str, Any]]()
    while time.monotonic() < deadline:
        got = records(output)
        if done(got):
            return got
        time.sleep(0.2)
    raise AssertionError(f"not done with {len(got)} records in {DEADLINE_SECONDS} s: {got}")


def _map(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: _value(pair["value"]) for pair in pairs}


def _value(value: Mapping[str, Any]) -> Any:
    if "kvlistValue" in value:
        return _map(value["kvlistValue"].get("values", []))
    if "arrayValue" in value:
        return [_value(each) for each in value["arrayValue"].get("values", [])]
    if "intValue" in value:
        return int(value["intValue"])
    return next(iter(value.values()), None)
