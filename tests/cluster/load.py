"""Open-loop load on the gateway: requests start at a fixed rate, whatever the answers do, and none is repeated."""

import asyncio
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx

ANSWER_SECONDS = 30.0
"""A request without an answer for this long has failed."""


@dataclass
class Outcome:
    """What became of every request."""

    answers: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[float, str]] = field(default_factory=list)
    """Seconds since the start and what happened, for every request without status 200."""
    seconds: list[float] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Number of requests."""
        return sum(self.answers.values())


class Load:
    """Context manager that sends `row` to `url` at `rate` requests per second until it is left."""

    def __init__(
        self,
        url: str,
        row: dict[str, Any],
        rate: float,
        headers: dict[str, str] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self.outcome = Outcome()
        self._verify = verify
        self._url, self._row, self._rate, self._headers = url, row, rate, headers or {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Outcome:
        self._thread.start()
        return self.outcome

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        started = time.monotonic()
        async with httpx.AsyncClient(
            timeout=ANSWER_SECONDS, limits=limits, trust_env=False, verify=self._verify
        ) as client:
            running: set[asyncio.Task[None]] = set()
            number = 0
            while not self._stop.is_set():
                task = asyncio.create_task(self._request(client, started))
                running.add(task)
                task.add_done_callback(running.discard)
                number += 1
                await asyncio.sleep(max(0.0, started + number / self._rate - time.monotonic()))
            if running:
                await asyncio.wait(running)

    async def _request(self, client: httpx.AsyncClient, started: float) -> None:
        begin = time.monotonic()
        try:
            response = await client.post(self._url, json=self._row, headers=self._headers)
            answer = str(response.status_code)
            self.outcome.versions[response.headers.get("x-modelway-version", "none")] += 1
        except httpx.HTTPError as error:
            answer = type(error).__name__
        self.outcome.answers[answer] += 1
        self.outcome.seconds.append(time.monotonic() - begin)
        if answer != "200":
            self.outcome.failures.append((round(begin - started, 2), answer))
