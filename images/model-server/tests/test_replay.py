"""What was counted once is refused again: over time, over workers, in constant memory."""

import multiprocessing
import os
import signal
import threading
from typing import Any

import pytest
from modelway_server.replay import SeenIds

FORK = multiprocessing.get_context("fork")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


def identity(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_an_id_is_accepted_once() -> None:
    seen = SeenIds(60, 1000)
    assert [seen.add(identity(number)) for number in (1, 2, 1, 2, 3)] == [True, True, False, False, True]


def test_several_are_accepted_together_or_not_at_all() -> None:
    seen = SeenIds(60, 1000)
    assert seen.add(b"truth")
    assert not seen.add(b"outcome", b"truth")
    assert seen.add(b"outcome")


def test_an_id_is_remembered_until_it_expires() -> None:
    clock = Clock()
    seen = SeenIds(100, 1000, clock)
    clock.seconds += 99
    assert seen.add(b"late in its generation")
    clock.seconds += 1
    assert seen.add(b"begins the next generation")
    clock.seconds += 99
    assert not seen.add(b"late in its generation")


def test_an_id_is_forgotten_after_two_generations() -> None:
    clock = Clock()
    seen = SeenIds(100, 1000, clock)
    assert seen.add(b"id")
    for _ in range(2):
        clock.seconds += 100
        seen.add(str(clock.seconds).encode())
    assert seen.add(b"id")


def test_the_last_ids_are_remembered_however_many_came() -> None:
    seen = SeenIds(3600, 1000)
    for number in range(10_000):
        seen.add(identity(number))
    assert not any(seen.add(identity(number)) for number in range(9000, 10_000))


def test_full_filters_refuse_less_than_one_new_id_in_ten_thousand() -> None:
    # Documented are 4e-6: in 50,000 new ids 0.2 are expected, and 5 have a chance below 1e-5.
    seen = SeenIds(3600, 2**16)
    for number in range(2**17):
        seen.add(identity(number))
    refused = sum(not seen.add(identity(number)) for number in range(10**9, 10**9 + 50_000))
    assert refused < 5


def _add_all(seen: SeenIds, start: Any, answers: Any) -> None:
    start.wait()
    answers.put(sum(seen.add(identity(number)) for number in range(2000)))


def test_of_several_workers_one_accepts_each_id() -> None:
    seen, start, answers = SeenIds(60, 10_000), FORK.Barrier(3), FORK.Queue()
    workers = [FORK.Process(target=_add_all, args=(seen, start, answers)) for _ in range(3)]
    for worker in workers:
        worker.start()
    accepted = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(accepted) == 2000


def _hold(seen: SeenIds, held: Any) -> None:
    with seen._alone():
        held.set()
        threading.Event().wait()


def test_a_worker_that_is_killed_blocks_no_other() -> None:
    seen, held = SeenIds(60, 1000), FORK.Event()
    worker = FORK.Process(target=_hold, args=(seen, held))
    worker.start()
    held.wait(60)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    assert seen.add(b"id")


@pytest.mark.usefixtures("hasty_threads")
def test_of_several_threads_one_accepts_each_id() -> None:
    seen, accepted = SeenIds(60, 10_000), []

    def add() -> None:
        accepted.append(sum(seen.add(identity(number)) for number in range(2000)))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(accepted) == 2000


@pytest.mark.parametrize(("capacity", "mebibytes"), [(2**20, 8), (2**16, 0.5)])
def test_memory_is_what_is_documented(capacity: int, mebibytes: float) -> None:
    assert len(SeenIds(60, capacity)._memory) == mebibytes * 2**20 + 64
