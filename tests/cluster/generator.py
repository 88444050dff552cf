"""Program that sends requests on a schedule, whatever the answers do, and repeats none: `python -m
tests.cluster.generator CONFIG`, CONFIG being `Config` as JSON. It starts with the first line of its standard input and
stops when that ends; then it prints a `Report` as JSON."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools
import uvloop

ANSWER_SECONDS = 30.0
LATE_SECONDS = 0.1
"""A request that begins this long after its time is a late start."""
LONG_SECONDS = 5.0
KEPT_CONNECTIONS = 10


@dataclass(frozen=True)
class Config:
    """What is sent."""

    url: str
    row: dict[str, float]
    rate: float
    """Requests per second, besides those on kept connections and the long ones, one a second of each."""


@dataclass
class Report:
    """What became of it."""

    answers: Counter[str] = field(default_factory=Counter)
    """By kind of request and status, or the error's name: `plain 200`."""
    failures: list[tuple[float, float, str]] = field(default_factory=list)
    """When a request that failed began and ended, by the system's monotonic clock, and what happened."""
    versions: list[tuple[float, str]] = field(default_factory=list)
    """When an answered request began, and the version that answered."""
    late_starts: int = 0
    latest_seconds: float = 0.0

    @property
    def sent(self) -> int:
        """Number of requests."""
        return sum(self.answers.values())

    def figure(self) -> str:
        """The report in one line."""
        late = f"{self.late_starts} late starts, {self.latest_seconds * 1000:.0f} ms at most"
        return f"{self.sent} requests, {len(self.failures)} failed, {dict(self.answers)}, {late}"


class Connection:
    """One HTTP/1.1 connection, one request at a time. A library's client takes as long for a request as the server
    does, and both share the processors."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._done, self._version = False, "none"

    @property
    def usable(self) -> bool:
        """Whether the other side has not hung up."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def ask(self, first: bytes, second: bytes = b"", pause_seconds: float = 0.0) -> tuple[int, str]:
        """Send a request, in two parts if there are two; its status and the version that answered."""
        parser = httptools.HttpResponseParser(self)
        self._done, self._version = False, "none"
        self._writer.write(first)
        if second:
            await asyncio.sleep(pause_seconds)
            self._writer.write(second)
        while not self._done:
            data = await self._reader.read(65536)
            if not data:
                raise ConnectionResetError
            parser.feed_data(data)
        if not parser.should_keep_alive():
            self.close()
        return parser.get_status_code(), self._version

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the answer."""
        if name.lower() == b"x-modelway-version":
            self._version = value.decode()

    def on_message_complete(self) -> None:
        """The answer has ended."""
        self._done = True

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Generator:
    """Three kinds of load at once: an open loop, kept connections, and requests that take five seconds."""

    def __init__(self, config: Config) -> None:
        self._rate, self.report = config.rate, Report()
        url, body = urlsplit(config.url), json.dumps(config.row).encode()
        self._where = (url.hostname, url.port or 80)
        head = f"POST {url.path} HTTP/1.1\r\nhost: {url.netloc}\r\ncontent-type: application/json\r\n"
        self._request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        self._pool: list[Connection] = []
        self._stop = asyncio.Event()

    async def run(self) -> Report:
        """Send until standard input ends."""
        ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        ended.add_done_callback(lambda _: self._stop.set())
        kept: list[list[Connection]] = [[] for _ in range(KEPT_CONNECTIONS)]
        half = len(self._request) - 10
        await asyncio.gather(
            self._every(1 / self._rate, lambda _: self._send("plain", self._pool, self._request)),
            self._every(
                1 / KEPT_CONNECTIONS, lambda number: self._send("kept", kept[number % len(kept)], self._request)
            ),
            # The server has the request for as long as the end of its body takes.
            self._every(1.0, lambda _: self._send("long", self._pool, self._request[:half], self._request[half:])),
        )
        return self.report

    async def _every(self, seconds: float, send: Callable[[int], Awaitable[None]]) -> None:
        started, number, running = time.monotonic(), 0, set[asyncio.Future[None]]()
        while not self._stop.is_set():
            late = time.monotonic() - started - number * seconds
            self.report.late_starts += late > LATE_SECONDS
            self.report.latest_seconds = max(self.report.latest_seconds, late)
            task = asyncio.ensure_future(send(number))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
            await asyncio.sleep(max(0.0, started + number * seconds - time.monotonic()))
        if running:
            await asyncio.wait(running)

    async def _send(self, kind: str, pool: list[Connection], first: bytes, second: bytes = b"") -> None:
        began, connection = time.monotonic(), None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await self._connection(pool)
                status, version = await connection.ask(first, second, LONG_SECONDS)
            what = str(status)
            self.report.versions.append((began, version))
            pool.append(connection)
        except (OSError, TimeoutError, httptools.HttpParserError) as error:
            what = type(error).__name__
            if connection is not None:
                connection.close()
        self.report.answers[f"{kind} {what}"] += 1
        if what != "200":
            self.report.failures.append((began, time.monotonic(), f"{kind} {what}"))

    async def _connection(self, pool: list[Connection]) -> Connection:
        """One that waits in the pool, else a new one."""
        while pool:
            if (found := pool.pop()).usable:
                return found
            found.close()
        return Connection(*await asyncio.open_connection(*self._where))


def main() -> None:
    """Run the program."""
    config = Config(**json.loads(sys.argv[1]))
    sys.stdin.readline()
    json.dump(vars(uvloop.run(Generator(config).run())), sys.stdout)


if __name__ == "__main__":
    main()
