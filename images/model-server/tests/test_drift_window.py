"""PSI and KS against independent implementations, and the gauges of the last hour, over several workers too."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drift_testing import DECILES, LABELS, TWO, Watcher, numbers, reference
from modelway_server.drift import MINIMUM_ROWS, Layout, ks, psi
from modelway_server.drift_window import DriftWindow
from scipy.stats import ks_2samp

SERVER = Path(__file__).parents[1]


def test_counting_agrees_with_a_plain_loop() -> None:
    random = np.random.default_rng(1)
    edges = np.sort(random.normal(size=(7, 20)), axis=1)
    lengths = [20, *random.integers(1, 20, size=6)]
    document = reference(**{f"f{i}": numbers(edges[i, :n], [1] * (n + 1)) for i, n in enumerate(lengths)})
    rows = random.normal(size=(1000, 7)).astype(np.float32)
    rows[random.random(rows.shape) < 0.05] = np.nan
    rows[random.random(rows.shape) < 0.01] = np.inf
    counts = Layout(document).count(rows)
    for index, length in enumerate(lengths):
        column = rows[:, index]
        present = column[~np.isnan(column)].tolist()
        expected = [0] * 21
        for value in present:
            expected[sum(value >= edge for edge in edges[index, :length])] += 1
        assert counts[index].tolist() == [*expected, 1000 - len(present)]


def plain_psi(counts: list[int], shares: list[float]) -> float:
    rows = sum(counts)
    total = rows + 0.5 * len(counts)
    live = [(count + 0.5) / total for count in counts]
    expected = [(share * rows + 0.5) / total for share in shares]
    return sum((a - e) * math.log(a / e) for a, e in zip(live, expected, strict=True))


@pytest.mark.parametrize(
    ("counts", "shares", "value"),
    [
        # By hand: ((250 − 500) · ln(250.5 / 500.5) + (750 − 500) · ln(750.5 / 500.5)) / 1001.
        ([250, 750], [0.5, 0.5], 0.2740461365),
        ([500, 500], [0.5, 0.5], 0.0),
        ([0, 1000], [0.5, 0.5], 3.7969042630),
        ([100, 0, 900], [0.1, 0.0, 0.9], 0.0),
    ],
)
def test_psi_is_that_of_the_plain_formula(counts: list[int], shares: list[float], value: float) -> None:
    assert plain_psi(counts, shares) == pytest.approx(value, abs=1e-9)
    assert float(psi(np.array(counts), np.array(shares), len(counts))) == pytest.approx(value, abs=1e-9)


def test_smoothing_moves_psi_by_less_than_a_hundredth_where_no_bin_is_rare() -> None:
    random = np.random.default_rng(2)
    for _ in range(200):
        shares, live = random.dirichlet([20] * 10, size=2)
        counts = random.multinomial(2000, live)
        exact = float(((counts / 2000 - shares) * np.log(counts / 2000 / shares)).sum())
        assert float(psi(counts, shares, 10)) == pytest.approx(exact, abs=0.01)


def test_padding_changes_neither_psi_nor_ks() -> None:
    counts, shares = np.array([[300, 200, 100]]), np.array([[0.3, 0.3, 0.4]])
    wide = np.array([[300, 200, 0, 0, 100]]), np.array([[0.3, 0.3, 0, 0, 0.4]])
    assert psi(*wide, 3) == pytest.approx(psi(counts, shares, 3))
    assert ks(*wide) == pytest.approx(ks(counts, shares))


def test_ks_is_that_of_scipy_where_every_value_is_an_edge() -> None:
    random = np.random.default_rng(3)
    for shift in (0.0, 0.3, 1.0, 3.0):
        before, after = (np.round(random.normal(at, 2, 3000)).clip(-8, 8) for at in (0.0, shift))
        edges = np.arange(-7.5, 8)
        counts = [np.bincount(np.searchsorted(edges, values), minlength=17) for values in (after, before)]
        expected = ks_2samp(before, after).statistic
        assert float(ks(counts[0], counts[1] / 3000)) == pytest.approx(expected, abs=1e-12)


def test_ks_of_bins_is_at_most_that_of_all_values_and_at_most_a_bin_below() -> None:
    random = np.random.default_rng(4)
    for shift in (0.0, 0.2, 1.0):
        before, after = random.normal(size=5000), random.normal(shift, size=5000)
        edges = np.quantile(before, DECILES)
        counts = [np.bincount(np.searchsorted(edges, values, side="right"), minlength=10) for values in (after, before)]
        exact, binned = ks_2samp(before, after).statistic, float(ks(counts[0], counts[1] / 5000))
        assert exact - 0.1 <= binned <= exact + 1e-12


def test_missing_values_count_as_the_largest_in_ks() -> None:
    assert float(ks(np.array([400, 400, 200]), np.array([0.5, 0.5, 0.0]))) == pytest.approx(0.2)


def test_gauges_are_those_of_the_window() -> None:
    server = Watcher()
    random = np.random.default_rng(5)
    x, codes = random.random(1000) ** 2, random.random(1000) < 0.5
    server.add(np.column_stack([x, codes]), ["yes" if code else "no" for code in codes])
    server.monitor.flush()
    counts = np.bincount(np.searchsorted(DECILES, x.astype(np.float32), side="right"), minlength=10).tolist()
    ones = int(codes.sum())
    found = server.counts("modelway_feature_drift_psi")
    assert found["x"] == pytest.approx(plain_psi([*counts, 0], [0.1] * 10 + [0]))
    assert found["code"] == pytest.approx(plain_psi([0, 1000 - ones, ones, 0, 0], [0, 0.7, 0.3, 0, 0]))
    drift = server.counts("modelway_feature_drift_ks")
    assert drift["x"] == pytest.approx(max(abs(np.cumsum(counts) / 1000 - np.arange(1, 11) / 10)))
    assert drift["code"] == pytest.approx(abs(ones / 1000 - 0.3))
    assert server.counts("modelway_prediction_drift_psi") == {
        "": pytest.approx(plain_psi([1000 - ones, ones, 0], [0.6, 0.4, 0]))
    }


def test_too_few_rows_have_no_value() -> None:
    server = Watcher()
    drift = ("modelway_feature_drift_psi", "modelway_feature_drift_ks", "modelway_prediction_drift_psi")
    server.add(np.zeros((MINIMUM_ROWS - 1, 2)))
    server.monitor.flush()
    assert [len(server.counts(name, zero=True)) for name in drift] == [0, 0, 0]
    server.add(np.zeros((1, 2)))
    server.monitor.flush()
    assert [len(server.counts(name, zero=True)) for name in drift] == [2, 2, 1]


def test_the_window_ends_after_an_hour() -> None:
    server = Watcher()
    same = np.column_stack([(np.arange(1000) + 0.5) / 1000, np.arange(1000) % 10 >= 7])
    server.add(np.zeros((1000, 2)))
    server.monitor.flush()
    assert server.counts("modelway_feature_drift_psi")["x"] > 1
    for _ in range(61):
        server.seconds += 60
        server.counts("modelway_feature_drift_psi")
    # The rows that came an hour and more ago are out, and no others have come.
    assert server.counts("modelway_feature_drift_psi", zero=True) == {}
    server.add(same)
    server.monitor.flush()
    assert server.counts("modelway_feature_drift_psi", zero=True) == {"x": 0, "code": 0}


def test_without_scrapes_for_more_than_an_hour_a_new_window_begins() -> None:
    server = Watcher()
    server.seconds += 3601
    server.add(np.zeros((1000, 2)))
    server.monitor.flush()
    assert server.counts("modelway_feature_drift_psi", zero=True) == {}
    server.add(np.zeros((1000, 2)))
    server.monitor.flush()
    assert len(server.counts("modelway_feature_drift_psi")) == 2


def test_a_window_keeps_at_most_one_snapshot_a_minute() -> None:
    window = DriftWindow(TWO, LABELS, lambda: (), clock := Clock())
    for _ in range(20_000):
        clock.seconds += 1
        list(window.collect())
    assert len(window._past) <= 61


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


WORKER = """
import json, sys
import numpy as np
from prometheus_client import CollectorRegistry
from modelway_server.drift import DriftMonitor, Reference
from modelway_server.runtimes.base import Output
monitor = DriftMonitor(Reference.model_validate_json(sys.argv[1]), CollectorRegistry(), ("cancer", "v1"))
for _ in range(2):
    monitor.add(np.full((500, 2), float(sys.argv[2]), np.float32), Output(["yes"] * 500, None))
    monitor.flush()
"""
SCRAPE = """
import json, sys
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from modelway_server.drift import Reference
from modelway_server.drift_window import DriftWindow
registry = CollectorRegistry()
workers = MultiProcessCollector(registry)
registry.register(DriftWindow(Reference.model_validate_json(sys.argv[1]), ("cancer", "v1"), workers.collect))
samples = [sample for family in registry.collect() for sample in family.samples]
print(json.dumps([[sample.name, sample.labels, sample.value] for sample in samples if sample.value]))
"""


def test_several_workers_add_up_and_no_gauge_is_shown_twice(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(SERVER)}
    document = TWO.model_dump_json()

    def run(code: str, *arguments: str) -> str:
        command = [sys.executable, "-c", code, document, *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    for value in ("0", "1"):
        run(WORKER, value)
    samples = json.loads(run(SCRAPE))
    found = {(name, labels.get("feature"), labels.get("bin")): value for name, labels, value in samples}
    assert len(found) == len(samples)
    assert {key[1:]: value for key, value in found.items() if key[0] == "modelway_feature_bin_total"} == {
        ("x", "00"): 1000,
        ("x", "09"): 1000,
        ("code", "01"): 1000,
        ("code", "02"): 1000,
    }
    assert found["modelway_feature_drift_psi", "x", None] == pytest.approx(
        plain_psi([1000, *[0] * 8, 1000, 0], [0.1] * 10 + [0])
    )
    assert found["modelway_feature_drift_ks", "code", None] == pytest.approx(0.2)
    assert found["modelway_prediction_drift_psi", None, None] == pytest.approx(plain_psi([0, 2000, 0], [0.6, 0.4, 0]))
