import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from modelway_server.batching import Batcher
from modelway_server.errors import ApiError
from modelway_server.runtimes.base import NonFiniteError, Output, Rows
from modelway_server.settings import Settings


class FakeModel:
    """Answers the first feature of each row; -1 spoils the whole batch. `gate` holds it back."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.batches: list[int] = []
        self.threads: set[int] = set()

    def predict(self, rows: Rows) -> Output:
        self.entered.set()
        self.gate.wait()
        self.batches.append(len(rows))
        self.threads.add(threading.get_ident())
        bad = np.flatnonzero(rows[:, 0] == -1)
        if len(bad):
            raise NonFiniteError(tuple(bad.tolist()))
        return Output(rows[:, 0].tolist(), None)


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


def row(*values: float) -> Rows:
    return np.array([[value] for value in values], dtype=np.float32)


def batcher(model: FakeModel, threaded: bool, **settings: Any) -> tuple[Batcher, list[int]]:
    observed: list[int] = []
    return Batcher(model.predict, Settings(**settings), threaded, observed.append), observed


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


@pytest.mark.parametrize("threaded", [False, True])
def test_each_request_gets_its_own_rows_back(model: FakeModel, threaded: bool) -> None:
    async def scenario() -> None:
        queue, _ = batcher(model, threaded)
        found = await asyncio.gather(*(queue.predict(row(number, number + 0.5)) for number in range(20)))
        assert [list(output.prediction) for output in found] == [[n, n + 0.5] for n in range(20)]
        assert queue.queued_rows == 0

    run(scenario)


def test_requests_of_one_turn_of_the_loop_are_one_batch(model: FakeModel) -> None:
    async def scenario() -> None:
        queue, observed = batcher(model, threaded=False)
        await asyncio.gather(*(queue.predict(row(number)) for number in range(5)))
        assert (model.batches, observed) == ([5], [5])

    run(scenario)


def test_a_lone_request_waits_for_nobody(model: FakeModel) -> None:
    async def scenario() -> None:
        queue, observed = batcher(model, threaded=False)
        loop = asyncio.get_running_loop()
        timers = []
        loop.call_later = lambda *arguments: timers.append(arguments)  # type: ignore[assignment,method-assign]
        await queue.predict(row(1))
        assert (model.batches, observed, timers) == ([1], [], [])

    run(scenario)


def test_what_gathers_while_the_model_is_busy_is_the_next_batch_up_to_the_cap(model: FakeModel) -> None:
    async def scenario() -> None:
        queue, _ = batcher(model, threaded=True, max_batch_rows=4)
        model.gate.clear()
        first = asyncio.create_task(queue.predict(row(0)))
        await asyncio.to_thread(model.entered.wait)
        rest = [asyncio.create_task(queue.predict(row(number))) for number in range(1, 7)]
        large = asyncio.create_task(queue.predict(row(*range(9))))
        await asyncio.sleep(0)
        assert queue.queued_rows == 15
        model.gate.set()
        await asyncio.gather(first, *rest, large)
        assert model.batches == [1, 4, 2, 9]
        assert threading.get_ident() not in model.threads
        assert len(model.threads) == 1

    run(scenario)


@pytest.mark.parametrize("threaded", [False, True])
def test_one_bad_row_fails_alone(model: FakeModel, threaded: bool) -> None:
    async def scenario() -> None:
        queue, _ = batcher(model, threaded)
        found = await asyncio.gather(*(queue.predict(row(v)) for v in (1, -1, 3)), return_exceptions=True)
        assert [type(one) for one in found] == [Output, NonFiniteError, Output]
        assert queue.queued_rows == 0
        assert list((await queue.predict(row(4))).prediction) == [4]

    run(scenario)


def test_a_full_queue_refuses_with_a_time_to_come_back(model: FakeModel) -> None:
    async def scenario() -> None:
        queue, _ = batcher(model, threaded=True, max_queue_rows=3)
        model.gate.clear()
        tasks = [asyncio.create_task(queue.predict(row(0)))]
        await asyncio.to_thread(model.entered.wait)
        tasks += [asyncio.create_task(queue.predict(row(n))) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as caught:
            await queue.predict(row(9))
        assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})
        model.gate.set()
        await asyncio.gather(*tasks)
        assert list((await queue.predict(row(*range(5)))).prediction) == [0, 1, 2, 3, 4]

    run(scenario)


def test_a_request_that_waits_too_long_is_given_up_even_if_the_model_never_answers(model: FakeModel) -> None:
    async def scenario() -> None:
        queue, _ = batcher(model, threaded=True, predict_timeout_seconds=0.01)
        model.gate.clear()
        found = await asyncio.gather(queue.predict(row(0)), queue.predict(row(1)), return_exceptions=True)
        assert [one.status for one in found if isinstance(one, ApiError)] == [504, 504]
        model.gate.set()

    run(scenario)


def test_how_long_the_model_has_been_busy_is_known_while_it_is(model: FakeModel) -> None:
    async def scenario() -> None:
        queue, _ = batcher(model, threaded=True, predict_timeout_seconds=0.01)
        assert queue.busy_seconds() == 0
        model.gate.clear()
        found = await asyncio.gather(queue.predict(row(0)), return_exceptions=True)
        # Given up, and still running.
        assert isinstance(found[0], ApiError)
        first = queue.busy_seconds()
        assert 0 < first < queue.busy_seconds()
        model.gate.set()
        await queue.predict(row(1))
        assert queue.busy_seconds() == 0

    run(scenario)


def test_a_request_that_is_cancelled_is_not_predicted(model: FakeModel) -> None:
    async def scenario() -> None:
        queue, _ = batcher(model, threaded=True)
        model.gate.clear()
        first = asyncio.create_task(queue.predict(row(0)))
        await asyncio.to_thread(model.entered.wait)
        gone, kept = (asyncio.create_task(queue.predict(row(n))) for n in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(first, kept)
        assert model.batches == [1, 1]
        assert queue.queued_rows == 0

    run(scenario)
