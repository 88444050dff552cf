"""The drift monitor: counters of bins, samples of rows, constant memory, threads."""

import math
import threading
from typing import Any

import numpy as np
import pytest
from drift_testing import UNIFORM, Watcher, numbers, reference
from modelway_server.drift import MAXIMUM_FEATURES
from modelway_server.runtimes.base import Output


def test_rows_are_counted_by_feature_and_bin() -> None:
    server = Watcher()
    # 0.5 is an edge of both features and belongs above it.
    server.add([[0.05, 0], [0.5, 0.5], [0.95, 1], [7, -3], [math.nan, 2]], ["no", "yes", "yes", "no", "no"])
    assert server.counts("modelway_feature_bin_total") == {}
    server.monitor.flush()
    server.monitor.flush()
    assert server.counts("modelway_feature_bin_total") == {
        "x 00": 1,
        "x 05": 1,
        "x 09": 2,
        "x missing": 1,
        "code 00": 1,
        "code 01": 1,
        "code 02": 2,
        "code 03": 1,
    }
    assert server.counts("modelway_prediction_bin_total") == {"no": 3, "yes": 2}


def test_every_known_series_exists_before_its_first_event() -> None:
    server = Watcher()
    assert len(server.counts("modelway_feature_bin_total", zero=True)) == 11 + 5
    assert list(server.counts("modelway_prediction_bin_total", zero=True)) == ["no", "yes", "(other)"]


def test_reference_shares_are_shown_with_the_bins() -> None:
    server = Watcher(reference(x=numbers([0.5, 1, 2], [1, 2, 3, 0], missing=2)))
    shares = {"x 00": 0.125, "x 01": 0.25, "x 02": 0.375, "x 03": 0.0, "x missing": 0.25}
    assert server.counts("modelway_feature_bin_reference", zero=True) == shares
    assert server.counts("modelway_prediction_bin_reference", zero=True) == {"no": 0.6, "yes": 0.4, "(other)": 0.0}
    assert list(shares) == list(server.counts("modelway_feature_bin_total", zero=True))


def test_values_of_a_regression_are_binned() -> None:
    server = Watcher(reference(numbers([0, 10], [50, 50, 100]), x=UNIFORM))
    server.add(np.zeros((5, 1)), [-1.0, 0.0, 9.5, 10.0, 1e30])
    server.monitor.flush()
    assert server.counts("modelway_prediction_bin_total") == {"00": 1, "01": 2, "02": 2}


def test_classes_without_a_bin_of_their_own_share_one() -> None:
    server = Watcher(reference({"classes": ["a", "c"], "counts": [50, 40, 10]}, x=UNIFORM))
    server.add(np.zeros((5, 1)), ["a", "b", "c", "d", "a"])
    server.monitor.flush()
    assert server.counts("modelway_prediction_bin_total") == {"a": 2, "c": 1, "(other)": 2}


def test_a_full_ring_takes_no_more_rows_until_it_is_counted() -> None:
    server = Watcher(ring_rows=100)
    for _ in range(3):
        server.add(np.zeros((40, 2)))
    server.add(np.zeros((1, 2)))
    server.monitor.flush()
    assert sum(server.counts("modelway_prediction_bin_total").values()) == 40 + 40 + 20
    server.add(np.zeros((5, 2)))
    server.monitor.flush()
    assert sum(server.counts("modelway_prediction_bin_total").values()) == 105


def test_a_request_larger_than_the_ring_is_sampled_evenly() -> None:
    server = Watcher(ring_rows=100)
    rows = np.column_stack([(np.arange(1000) + 0.5) / 1000, np.zeros(1000)])
    server.add(rows, ["no"] * 500 + ["yes"] * 500)
    server.monitor.flush()
    assert set(server.counts("modelway_feature_bin_total").values()) == {10, 100}
    assert server.counts("modelway_prediction_bin_total") == {"no": 50, "yes": 50}


def test_memory_stays_the_same_however_many_rows_come() -> None:
    server = Watcher(ring_rows=100)
    held = [(id(ring.rows), len(ring.predictions)) for ring in (server.monitor._ring, server.monitor._spare)]
    for rows in (1, 7, 100, 5000):
        for _ in range(50):
            server.add(np.zeros((rows, 2)))
            server.monitor.flush()
    after = [(id(ring.rows), len(ring.predictions)) for ring in (server.monitor._ring, server.monitor._spare)]
    assert sorted(after) == sorted(held)
    assert {size for _, size in after} == {100}


@pytest.mark.usefixtures("hasty_threads")
def test_no_row_is_lost_or_counted_twice_while_another_thread_counts() -> None:
    server, done = Watcher(ring_rows=10_000), threading.Event()

    def count() -> None:
        while not done.is_set():
            server.monitor.flush()

    counting = [threading.Thread(target=count) for _ in range(2)]
    adding = [threading.Thread(target=lambda: [server.add(np.zeros((1, 2))) for _ in range(3000)]) for _ in range(3)]
    for thread in (*counting, *adding):
        thread.start()
    for thread in adding:
        thread.join()
    done.set()
    for thread in counting:
        thread.join()
    server.monitor.flush()
    assert server.counts("modelway_prediction_bin_total") == {"no": 9000}
    assert server.counts("modelway_feature_bin_total") == {"x 00": 9000, "code 01": 9000}


def test_features_beyond_the_limit_or_with_too_few_rows_are_left_out() -> None:
    names = [f"f{index}" for index in range(MAXIMUM_FEATURES + 50)]
    features = dict.fromkeys(names, UNIFORM) | {"f1": numbers([], [30])}
    server = Watcher(reference({"classes": [], "counts": [30]}, **features))
    server.add(np.zeros((1000, len(names))))
    server.monitor.flush()
    watched = [name for name in names[:MAXIMUM_FEATURES] if name != "f1"]
    assert list(server.counts("modelway_feature_bin_total")) == [f"{name} 00" for name in watched]
    assert list(server.counts("modelway_feature_drift_psi")) == watched
    assert server.counts("modelway_drift_features") == {"watched": 99, "left_out": 51}
    assert server.counts("modelway_prediction_bin_total", zero=True) == {}
    assert server.counts("modelway_prediction_drift_psi", zero=True) == {}


def test_a_reference_that_watches_nothing_is_no_error() -> None:
    server = Watcher(reference({"classes": [], "counts": [30]}, f0=numbers([], [30])))
    server.add(np.zeros((1000, 1)))
    server.monitor.flush()
    assert server.counts("modelway_feature_drift_psi", zero=True) == {}
    assert server.counts("modelway_drift_features") == {"left_out": 1}


class _Flushing(list[str]):
    """Predictions that are read while another thread tries to count."""

    def __init__(self, flush: threading.Thread) -> None:
        super().__init__(["no"])
        self._flush = flush

    def __getitem__(self, index: Any) -> Any:
        self._flush.start()
        # It has to wait for this row, so that this ends without it; otherwise it is over at once.
        self._flush.join(0.2)
        return super().__getitem__(index)


def test_a_row_is_added_whole_before_the_ring_is_counted() -> None:
    server = Watcher()
    flush = threading.Thread(target=server.monitor.flush)
    server.monitor.add(np.zeros((1, 2), np.float32), Output(_Flushing(flush), None))
    flush.join()
    assert server.counts("modelway_prediction_bin_total") == {"no": 1}
