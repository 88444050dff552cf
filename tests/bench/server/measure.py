"""Starts servers, loads them with `wrk` on the other core, and reads what they cost from /proc."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx

from tests.bench.server.contenders import ADMIN_PORT, Contender
from tools.progress import Progress
from tools.toolchain import ensure

SERVER_CORE, CLIENT_CORE = "0", "1"
START_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """One measurement with `wrk`."""

    rate: float
    """Requests per second."""
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """CPU time of the server's processes per request."""


class Server:
    """A contender that runs on the server's core."""

    def __init__(self, contender: Contender, folder: Path) -> None:
        self.contender = contender
        self.samples: dict[int, list[Sample]] = {}
        """By number of connections."""
        self._bodies = folder / f"{contender.bodies}.jsonl"
        environment = {**os.environ, "BENCH_FOLDER": str(folder), **contender.environment}
        # As in an image: bytecode is there, and every library stays on its core.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        started = time.perf_counter()
        self._log = (folder / f"{contender.name.replace(' ', '-').replace(',', '')}.log").open("wb")
        self._process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *contender.command],
            env=environment,
            cwd=contender.folder,
            stdout=self._log,
            stderr=self._log,
        )
        self._wait()
        self.start_seconds = time.perf_counter() - started

    @property
    def url(self) -> str:
        """Where it predicts."""
        return f"http://127.0.0.1:{self.contender.port}{self.contender.path}"

    def answer(self, number: int = 0) -> Any:
        """Its answer to one of the bodies."""
        body = self._bodies.read_text().splitlines()[number]
        headers = {"content-type": "application/json"}
        with httpx.Client(trust_env=False, timeout=START_SECONDS) as client:
            return client.post(self.url, content=body, headers=headers).raise_for_status().json()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.answer()
            except httpx.HTTPError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = Path(self._log.name).read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{self.contender.name} does not start:\n{log}") from None
                time.sleep(0.005)
            else:
                return

    def load(self, connections: int, seconds: float) -> Sample:
        """One measurement; raises when an answer was not 2xx."""
        before = self.cpu_seconds()
        found = wrk(self.url, self._bodies, connections, seconds)
        spent = self.cpu_seconds() - before
        if found["bad"]:
            raise RuntimeError(f"{self.contender.name}: {found['bad']} requests failed")
        rate = found["requests"] / found["seconds"]
        return Sample(rate, found["p50_ms"], found["p99_ms"], spent / found["requests"] * 1e6)

    def _tree(self) -> list[int]:
        pids, at = [self._process.pid], 0
        while at < len(pids):
            children = Path(f"/proc/{pids[at]}/task/{pids[at]}/children")
            with contextlib.suppress(OSError):
                pids += [int(child) for child in children.read_text().split()]
            at += 1
        return pids

    def cpu_seconds(self) -> float:
        """User and system time of all its processes."""
        ticks = 0
        for pid in self._tree():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICKS

    def memory_mib(self, kind: str) -> float:
        """`Rss` or `Pss` of all its processes."""
        total = 0
        for pid in self._tree():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))
        return total / 1024

    def health_ms(self, probes: int) -> list[float]:
        """Times of requests to `/healthz`, one every 10 ms."""
        url = f"http://127.0.0.1:{self.contender.port + ADMIN_PORT - 18100}/healthz"
        times = []
        with httpx.Client(trust_env=False) as client:
            client.get(url)
            for _ in range(probes):
                started = time.perf_counter()
                client.get(url).raise_for_status()
                times.append((time.perf_counter() - started) * 1000)
                time.sleep(0.01)
        return times

    def stop(self) -> None:
        """End all its processes."""
        for pid in reversed(self._tree()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self._process.wait()
        self._log.close()


@contextmanager
def running(contender: Contender, folder: Path) -> Iterator[Server]:
    """A server, ended in the end."""
    server = Server(contender, folder)
    try:
        yield server
    finally:
        server.stop()


def wrk(url: str, bodies: Path, connections: int, seconds: float) -> dict[str, float]:
    """One run of the load generator, with its own core."""
    tool = ensure(["wrk"], Progress())["wrk"]
    script = str(Path(__file__).with_name("post.lua"))
    options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", script]
    done = subprocess.run(
        ["taskset", "-c", CLIENT_CORE, str(tool.path), *options, url],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BENCH_BODIES": str(bodies)},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def middle(samples: list[Sample], key: str) -> float:
    """Median of one figure."""
    return median(getattr(sample, key) for sample in samples)


def spread(samples: list[Sample], key: str) -> float:
    """Half the distance between the extremes, as a share of the median."""
    values = [getattr(sample, key) for sample in samples]
    return (max(values) - min(values)) / 2 / median(values)


def p99(times: list[float]) -> float:
    """The 99th percentile."""
    return quantiles(times, n=100)[-1]
