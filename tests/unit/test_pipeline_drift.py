"""The bins that live traffic is compared with: right for numbers, categories, constants and few rows, and as served."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelway_server import drift as server
from modelway_server.runtimes.base import Output
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from pipeline import data, drift, store, training

RANDOM = np.random.default_rng(7)


def bins_of(values: Any) -> dict[str, Any]:
    return drift._bins(np.asarray(values, dtype=np.float32))


def window_psi(reference: NDArray[Any], live: NDArray[Any]) -> float:
    """PSI that the server shows, from `reference` binned by the pipeline."""
    bins = server.Bins.model_validate(bins_of(reference))
    document = server.Reference(format=1, features={"x": bins}, prediction=bins)
    layout = server.Layout(document)
    counts = layout.count(live.astype(np.float32)[:, None])
    return float(server.psi(counts[0], layout.shares[0], len(layout.columns["x"])))


def test_many_values_are_cut_into_equal_shares() -> None:
    found = bins_of(RANDOM.permutation(4000))
    assert found["counts"] == [400] * 10
    assert found["edges"] == [400 * decile - 0.5 for decile in range(1, 10)]
    assert found["missing"] == 0


@pytest.mark.parametrize(("rows", "bins"), [(79, 1), (119, 1), (120, 3), (200, 5), (399, 9), (400, 10), (10_000, 10)])
def test_a_bin_has_at_least_forty_reference_rows(rows: int, bins: int) -> None:
    counts = bins_of(RANDOM.permutation(rows))["counts"]
    assert len(counts) == bins
    assert min(counts) >= 39


def test_each_of_few_values_has_a_bin_and_unknown_values_one_on_either_side() -> None:
    found = bins_of([0.0] * 970 + [1.0] * 25 + [3.0] * 5)
    assert found == {"edges": [-0.5, 0.5, 2.0, 4.0], "counts": [0, 970, 25, 5, 0], "missing": 0}


def test_a_constant_shows_when_it_ceases_to_be_one() -> None:
    constant = np.full(500, 20.0)
    assert bins_of(constant)["counts"] == [0, 500, 0]
    assert window_psi(constant, constant) == 0
    for value in (19.0, 21.0):
        assert window_psi(constant, np.where(np.arange(500) < 100, value, 20.0)) > 0.25


def test_a_frequent_value_among_many_has_a_bin_to_itself() -> None:
    found = bins_of(np.concatenate([np.zeros(950), np.arange(1, 51)]))
    assert found == {"edges": [0.5], "counts": [950, 50], "missing": 0}
    found = bins_of(np.concatenate([np.zeros(500), np.arange(1, 501)]))
    assert found["counts"] == [500, 100, 100, 100, 100, 100]


def test_missing_values_are_counted_apart() -> None:
    found = bins_of([*range(400), *[np.nan] * 100])
    assert (found["counts"], found["missing"]) == ([40] * 10, 100)


def test_a_rounding_error_carries_no_value_over_an_edge() -> None:
    for values in (np.repeat([0.1, 0.2, 0.7], 200), np.linspace(0.1, 0.9, 1000)):
        bins = server.Bins.model_validate(bins_of(values))
        layout = server.Layout(server.Reference(format=1, features={"x": bins}, prediction=bins))
        stored = values.astype(np.float32)[:, None]
        expected = layout.count(stored)
        for nudged in (np.nextafter(stored, np.float32(-9)), np.nextafter(stored, np.float32(9))):
            assert layout.count(nudged).tolist() == expected.tolist()


def test_rare_classes_share_a_bin_where_rows_are_few() -> None:
    counts, names = np.array([90, 5, 80, 25]), ["a", "b", "c", "d"]
    assert drift._classes(counts, names) == {"classes": ["a", "b", "c", "d"], "counts": [90, 5, 80, 25, 0]}
    assert drift._classes(counts // 2, names) == {"classes": ["a"], "counts": [45, 54]}
    assert drift._classes(counts // 3, names) == {"classes": [], "counts": [65]}
    many = drift._classes(np.full(100, 40), list(range(100)))
    assert many == {"classes": list(range(19)), "counts": [40] * 19 + [81 * 40]}


@pytest.mark.parametrize("rows", [120, 200, 400, 5000])
def test_without_drift_psi_stays_below_a_tenth_in_99_of_100_windows_of_the_least_size(rows: int) -> None:
    random, windows, high = np.random.default_rng(3), 2000, 0
    for _ in range(windows):
        high += window_psi(random.normal(size=rows), random.normal(size=server.MINIMUM_ROWS)) >= 0.1
    assert high <= windows // 100


@pytest.mark.parametrize("rows", [120, 200, 400, 5000])
def test_a_shift_by_a_standard_deviation_shows_in_every_window(rows: int) -> None:
    random = np.random.default_rng(4)
    for shift in (-1.0, 1.0):
        for _ in range(500):
            live = random.normal(shift, size=server.MINIMUM_ROWS)
            assert window_psi(random.normal(size=rows), live) > 0.25


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_server_counts_the_reference_rows_as_the_pipeline_did(task: str, tmp_path: Path) -> None:
    table = data.read_example()
    if task == "regression":
        values = table.rows[:, 0]
        changes = {"task": task, "classes": None, "answers": values}
        table = dataclasses.replace(table, **changes)
    training.train(table, tmp_path, None)
    model = store.load(tmp_path, "--model")
    reference = server.Reference.model_validate(drift.reference(model))
    monitor = server.DriftMonitor(reference, CollectorRegistry(), ("m", "v"))
    layout = monitor.layout
    counts = layout.count(model.training_rows)
    assert list(layout.features) == list(table.features)
    for name, row in layout.features.items():
        bins = reference.features[name]
        assert counts[row, : len(bins.counts)].tolist() == list(bins.counts)
    predicted: list[Any] = model.predict(model.held_out_rows).tolist()
    if model.facts.classes is not None:
        predicted = [model.facts.classes[index] for index in predicted]
    found = layout.count_predictions(Output(predicted, None).prediction)
    assert found.tolist() == list(reference.prediction.counts)
