"""The real OpenTelemetry Collector, which writes the spans that it gets into a file."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.engine.log_ground import DEADLINE_SECONDS, free_port, running
from tools.progress import Progress
from tools.toolchain import ensure

READY = "Everything is ready"
"""What the collector logs when its receivers listen."""
SERVER, CLIENT = 2, 3
"""Kinds of spans by their numbers in OTLP."""


@dataclass(frozen=True)
class Span:
    """A span that the collector got."""

    trace: str
    own: str
    parent: str
    kind: int
    name: str
    start: int
    """In nanoseconds, as `end`."""
    end: int
    said: dict[str, Any]
    """Attributes."""
    resource: dict[str, Any]

    @property
    def service(self) -> str:
        """Who sent it."""
        return str(self.resource["service.name"])


@dataclass(frozen=True)
class SpanCollector:
    """A collector that runs."""

    process: subprocess.Popen[bytes]
    address: str
    http_port: int
    grpc_port: int
    output: Path

    @property
    def url(self) -> str:
        """Where it takes OTLP over HTTP."""
        return f"http://{self.address}:{self.http_port}"

    def spans(self) -> list[Span]:
        """What it got so far."""
        text = self.output.read_text() if self.output.exists() else ""
        # It may be writing the last line.
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [
            _span(span, _plain(resource["resource"]))
            for line in lines
            for resource in json.loads(line)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def await_spans(self, done: Callable[[list[Span]], bool]) -> list[Span]:
        """What it got, as soon as that is `done`; fails after the deadline."""
        deadline, got = time.monotonic() + DEADLINE_SECONDS, list[Span]()
        while time.monotonic() < deadline:
            got = self.spans()
            if done(got):
                return got
            time.sleep(0.1)
        raise AssertionError(f"not done with {len(got)} spans in {DEADLINE_SECONDS} s: {got[:5]}")


def _span(span: dict[str, Any], resource: dict[str, Any]) -> Span:
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    ids = (span["traceId"], span["spanId"], span.get("parentSpanId", ""))
    return Span(*ids, span["kind"], span["name"], start, end, _plain(span), resource)


def _plain(holder: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: _value(each["value"]) for each in holder.get("attributes", [])}


def _value(value: dict[str, Any]) -> Any:
    if "arrayValue" in value:
        return [_value(each) for each in value["arrayValue"].get("values", [])]
    return int(value["intValue"]) if "intValue" in value else next(iter(value.values()))


@contextmanager
def span_collector(
    folder: Path, address: str = "127.0.0.1", inside: Sequence[str] = (), ports: tuple[int, int] | None = None
) -> Iterator[SpanCollector]:
    """A collector while the block runs, at an address of the network that the command `inside` enters."""
    folder.mkdir(exist_ok=True)
    http_port, grpc_port = ports or (free_port(), free_port())
    output, file, log = folder / "spans.json", folder / "collector.yaml", folder / "collector.log"
    protocols = {"http": {"endpoint": f"{address}:{http_port}"}, "grpc": {"endpoint": f"{address}:{grpc_port}"}}
    config = {
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": {"file": {"path": str(output), "append": True}},
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    log.write_bytes(b"")
    program = ensure(["otel-collector"], Progress())["otel-collector"].path
    with log.open("ab") as sink, running([*inside, program, f"--config=file:{file}"], sink) as process:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while READY not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield SpanCollector(process, address, http_port, grpc_port, output)
