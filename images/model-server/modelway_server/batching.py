"""Asks a model for several requests at once, without making a lone request wait.

What gathers while the model is busy is the next batch: no timer runs unless a wait is asked for. The queue is bounded,
a request that waits too long is given up, and one bad row fails alone.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from modelway_server.errors import ApiError, overload
from modelway_server.runtimes import Output, Rows
from modelway_server.settings import Settings

Predict = Callable[[Rows], Output]


@dataclass(slots=True)
class _Waiting:
    rows: Rows
    answer: asyncio.Future[Output]


class Batcher:
    """Queue in front of one model.

    With `threaded` the model runs in one thread, so that a slow one leaves the event loop live; without, on the loop
    itself as soon as the requests that have arrived are read.
    """

    def __init__(self, predict: Predict, settings: Settings, threaded: bool, observe: Callable[[int], None]) -> None:
        """`observe` is told the rows of every batch."""
        self._predict = predict
        self._observe = observe
        self._max_batch = settings.max_batch_rows
        self._capacity = settings.max_queue_rows
        self._wait_seconds = settings.batch_wait_microseconds / 1e6
        self._timeout_seconds = settings.predict_timeout_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict") if threaded else None
        self._queue: deque[_Waiting] = deque()
        self._scheduled = False
        self._called_at: float | None = None
        self.queued_rows = 0
        """Rows that wait now."""

    def busy_seconds(self) -> float:
        """Time since the model was called, if it has not answered yet; else 0."""
        called_at = self._called_at
        return 0.0 if called_at is None else time.monotonic() - called_at

    async def predict(self, rows: Rows) -> Output:
        """Answer for `rows`; raises `ApiError` 503 when the queue is full and 504 when the wait was too long."""
        if self._queue and self.queued_rows + len(rows) > self._capacity:
            raise overload(f"{self.queued_rows} rows wait for the model")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(rows, loop.create_future())
        self._queue.append(waiting)
        self.queued_rows += len(rows)
        if not self._scheduled:
            self._scheduled = True
            if self._wait_seconds:
                loop.call_later(self._wait_seconds, self._flush, loop)
            else:
                loop.call_soon(self._flush, loop)
        if self._thread is None:
            return await waiting.answer
        timer = loop.call_later(self._timeout_seconds, self._give_up, waiting.answer)
        try:
            return await waiting.answer
        finally:
            timer.cancel()

    def _give_up(self, answer: asyncio.Future[Output]) -> None:
        if not answer.done():
            answer.set_exception(ApiError(504, f"the model did not answer in {self._timeout_seconds:g} s"))

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._take()
        if not batch:
            self._scheduled = False
        elif self._thread is None:
            _deliver(batch, self._ask(batch))
            self._again(loop)
        else:
            running = loop.run_in_executor(self._thread, self._ask, batch)
            running.add_done_callback(lambda done: self._finish(loop, batch, done))

    def _finish(
        self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting], done: asyncio.Future[list[Output | Exception]]
    ) -> None:
        if done.cancelled():
            _deliver(batch, [asyncio.CancelledError("the server is stopping")] * len(batch))
        else:
            _deliver(batch, done.result())
            self._again(loop)

    def _again(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._queue:
            loop.call_soon(self._flush, loop)
        else:
            self._scheduled = False

    def _take(self) -> list[_Waiting]:
        """The next batch: whole requests up to the limit, at least one; those given up are left out."""
        batch: list[_Waiting] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].rows) <= self._max_batch):
            waiting = self._queue.popleft()
            self.queued_rows -= len(waiting.rows)
            if not waiting.answer.done():
                batch.append(waiting)
                size += len(waiting.rows)
        return batch

    def _ask(self, batch: Sequence[_Waiting]) -> list[Output | Exception]:
        """One answer or reason per request of the batch."""
        if len(batch) == 1:
            return [self._ask_alone(batch[0])]
        sizes = [len(waiting.rows) for waiting in batch]
        self._observe(sum(sizes))
        try:
            output = self._call(np.concatenate([waiting.rows for waiting in batch]))
        except Exception:
            # One request spoils the batch: alone, only that one fails.
            return [self._ask_alone(waiting) for waiting in batch]
        return list(_split(output, sizes))

    def _ask_alone(self, waiting: _Waiting) -> Output | Exception:
        try:
            return self._call(waiting.rows)
        except Exception as error:
            return error

    def _call(self, rows: Rows) -> Output:
        self._called_at = time.monotonic()
        try:
            return self._predict(rows)
        finally:
            self._called_at = None


def _split(output: Output, sizes: Sequence[int]) -> list[Output]:
    parts, start = [], 0
    for size in sizes:
        end = start + size
        probability = None if output.probability is None else output.probability[start:end]
        parts.append(Output(output.prediction[start:end], probability))
        start = end
    return parts


def _deliver(batch: Sequence[_Waiting], answers: Sequence[Output | BaseException]) -> None:
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.answer.done():
            continue
        if isinstance(answer, BaseException):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)
