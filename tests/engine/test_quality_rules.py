"""Rules of quality and drift over two pods' own counters, judged by promtool against scikit-learn and the server."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from modelway.monitoring.config import prometheus_rules
from modelway.monitoring.quality import MINIMUM_ROWS, MINIMUM_TRUTHS, MISSING, OTHER, SMOOTHING_ROWS
from modelway_server import drift, feedback
from modelway_server.drift_window import DriftWindow
from modelway_server.prediction_id import Signer
from modelway_server.replay import SeenIds
from modelway_server.runtimes.base import Output
from modelway_server.signature import Signature
from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, precision_recall_fscore_support

from tests.engine import alert_judging

LABELS = ("m", "v1")
MINUTES = 24 * 60
VERSION = 'model="m",version="v1"'
Value = float | None


def series(registry: CollectorRegistry, pod: str) -> list[dict[str, str]]:
    """The pod's counters rising evenly, each hour by what they are now; gauges as they are."""
    found = []
    for family in registry.collect():
        for sample in family.samples:
            labels = ",".join(f"{key}={json.dumps(value)}" for key, value in {**sample.labels, "pod": pod}.items())
            steps = f"{sample.value}x{MINUTES}" if family.type == "gauge" else f"0+{sample.value / 60}x{MINUTES}"
            found.append({"series": f"{sample.name}{{{labels}}}", "values": steps})
    return found


def judge(folder: Path, given: list[dict[str, str]], expected: dict[str, Value], tolerance: float = 1e-6) -> None:
    """Compare each rule's value after a day with what is expected, None: it has no value."""
    tests = [
        {
            "expr": f"abs({expr} - {value!r}) < bool {tolerance}" if value is not None else expr,
            "eval_time": f"{MINUTES}m",
            "exp_samples": [] if value is None else [{"labels": _labels(expr), "value": 1}],
        }
        for expr, value in expected.items()
    ]
    alert_judging.judge(folder, prometheus_rules()["groups"], given, "1m", tests, "1h")


def _labels(expr: str) -> str:
    return expr[expr.index("{") : expr.index("}") + 1]


def scored(
    pairs: Iterable[tuple[Any, Any]],
    classes: Sequence[Any] | None,
    outcomes: Sequence[dict[str, float]] = (),
    names: Sequence[str] = (),
) -> CollectorRegistry:
    """Counters of a pod that got these pairs of prediction and truth, and these outcomes."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    signer = Signer([bytes(32)], "m", "v1", "00" * 32, classes, 3600)
    signature = Signature.model_construct(classes=classes)
    server = feedback.Feedback(signer, SeenIds(3600, 10_000), signature, registry, LABELS, names)
    for predicted, truth in pairs:
        server.score(json.dumps({"id": signer.issue(predicted), "truth": truth}).encode())
    for outcome in outcomes:
        some = 0.0 if classes is None else classes[0]
        server.score(json.dumps({"id": signer.issue(some), "outcome": outcome}).encode())
    return registry


def quality(pairs: list[tuple[Any, Any]], classes: Sequence[Any]) -> dict[str, Value]:
    predicted, truth = [[str(side) for side in column] for column in zip(*pairs, strict=True)]
    names = [str(name) for name in classes]
    found = {name for pair in pairs for name in map(str, pair)}
    precision, recall, f1, _ = precision_recall_fscore_support(truth, predicted, labels=names, zero_division=0.0)
    expected: dict[str, Value] = {}
    for window in ("1h", "1d"):
        expected |= {
            f"model_version:modelway_feedback_accuracy:ratio{window}{{{VERSION}}}": accuracy_score(truth, predicted),
            f"model_version:modelway_feedback_macro_f1:ratio{window}{{{VERSION}}}": f1_score(
                truth, predicted, average="macro"
            ),
        }
        for index, name in enumerate(names):
            labels = f'{{class="{name}",{VERSION}}}'
            of_class: dict[str, Value] = {
                "precision": precision[index] if name in predicted else None,
                "recall": recall[index] if name in truth else None,
                "f1": f1[index] if name in found else None,
            }
            for kind, value in of_class.items():
                shown = None if value is None else float(value)
                expected[f"model_version_class:modelway_feedback_{kind}:ratio{window}{labels}"] = shown
    return {expr: None if value is None else float(value) for expr, value in expected.items()}


def test_accuracy_precision_recall_and_f1_of_two_pods_are_those_of_scikit_learn(tmp_path: Path) -> None:
    classes = ("benign", "malignant", "unsure", "never")
    first = [("benign", "benign")] * 20 + [("benign", "malignant")] * 3 + [("unsure", "benign")] * 2
    second = [("malignant", "malignant")] * 11 + [("malignant", "benign")] * 4 + [("benign", "unsure")]
    given = series(scored(first, classes), "a") + series(scored(second, classes), "b")
    judge(tmp_path, given, quality(first + second, classes))


def test_more_classes_than_the_matrix_holds_have_the_same_figures(tmp_path: Path) -> None:
    random, classes = np.random.default_rng(0), tuple(range(30))
    truths = random.integers(0, 29, 400)
    guesses = np.where(random.random(400) < 0.6, truths, random.integers(0, 29, 400))
    pairs = list(zip(guesses.tolist(), truths.tolist(), strict=True))
    given = series(scored(pairs[:100], classes), "a") + series(scored(pairs[100:], classes), "b")
    no_class = f'{{class="{OTHER}",{VERSION}}}'
    sides = {f"model_version_class:modelway_feedback_{side}:increase1h{no_class}" for side in ("predicted", "actual")}
    judge(tmp_path, given, quality(pairs, classes) | dict.fromkeys(sides))


def test_the_error_of_a_regression_and_the_mean_of_outcomes_are_those_of_all_pods(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    predicted, truth = random.normal(size=(2, 90)).tolist()
    pairs = list(zip(predicted, truth, strict=True))
    revenue = random.normal(1, 5, 50).tolist()
    outcomes = [{"revenue": value} for value in revenue]
    given = series(scored(pairs[:40], None, outcomes[:10], ["revenue", "rare"]), "a")
    given += series(scored(pairs[40:], None, [*outcomes[10:], {"rare": 1}], ["revenue", "rare"]), "b")
    judge(
        tmp_path,
        given,
        {
            f"model_version:modelway_feedback_absolute_error:mean1h{{{VERSION}}}": float(
                mean_absolute_error(truth, predicted)
            ),
            f"model_version:modelway_feedback_absolute_errors:increase1d{{{VERSION}}}": 24.0 * 90,
            f'model_version_name:modelway_feedback_outcome:mean1h{{{VERSION},name="revenue"}}': float(np.mean(revenue)),
            f'model_version_name:modelway_feedback_outcome:mean1d{{{VERSION},name="revenue"}}': float(np.mean(revenue)),
            f'model_version_name:modelway_feedback_outcome:mean1h{{{VERSION},name="rare"}}': None,
        },
    )


def test_a_day_is_the_sum_of_its_hours_while_pods_restart_come_and_go(tmp_path: Path) -> None:
    labels = f'{{{VERSION},pod="%s"}}'
    name = "modelway_feedback_absolute_error"
    pods = {
        # Restarts ten minutes into an hour.
        "restarts": (f"0+2x{10 * 60 + 10} 0+3x{MINUTES}", 2 * 610 + 3 * (MINUTES - 611)),
        # Lives from half past six to a quarter past eleven.
        "goes": (f"_x390 0+5x285 _x{MINUTES}", 5 * 285),
        # Answers in bursts: a minute in five.
        "bursts": (" ".join(f"{10 * number}x4" for number in range(MINUTES // 5 + 1)), 10 * (MINUTES // 5)),
    }
    given = [
        {"series": f"{name}_{part}{labels % pod}", "values": values}
        for pod, (values, _) in pods.items()
        for part in ("count", "sum")
    ]
    rows = float(sum(count for _, count in pods.values()))
    # Per hour, `increase` may add what one more of the 60 samples would have shown; here they come once a minute.
    counted: dict[str, Value] = {f"model_version:{name}s:increase1d{{{VERSION}}}": rows}
    judge(tmp_path, given, counted, tolerance=rows / 60)
    judge(tmp_path, given, {f"model_version:{name}:mean1d{{{VERSION}}}": 1.0})


def test_too_few_truths_have_no_quality(tmp_path: Path) -> None:
    pairs = [("a", "a")] * (MINIMUM_TRUTHS - 2)
    judge(
        tmp_path,
        series(scored(pairs, ("a", "b")), "a"),
        {
            f"model_version:modelway_feedback_accuracy:ratio1h{{{VERSION}}}": None,
            f'model_version_class:modelway_feedback_f1:ratio1h{{class="a",{VERSION}}}': None,
            f"model_version:modelway_feedback_macro_f1:ratio1h{{{VERSION}}}": None,
            f"model_version:modelway_feedback_accuracy:ratio1d{{{VERSION}}}": 1.0,
        },
    )


DECILES = [index / 10 for index in range(1, 10)]
REFERENCE = drift.Reference.model_validate(
    {
        "format": 1,
        "features": {
            "x": {"edges": DECILES, "counts": [40] * 10, "missing": 0},
            "y": {"edges": list(range(20)), "counts": list(range(10, 31)), "missing": 20},
        },
        "prediction": {"classes": ["no", "yes"], "counts": [60, 40, 0]},
    }
)


def served(rows: np.ndarray[Any, Any], predictions: list[str]) -> CollectorRegistry:
    """Counters and reference of a pod that answered these rows; not its gauges of drift, which are of one pod."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    monitor = drift.DriftMonitor(REFERENCE, registry, LABELS)
    monitor.add(rows.astype(np.float32), Output(predictions, None))
    monitor.flush()
    for family in list(DriftWindow(REFERENCE, LABELS, monitor.collect).collect()):
        if isinstance(family, GaugeMetricFamily) and family.name.endswith("_reference"):
            registry.register(_Fixed(family))  # type: ignore[arg-type]
    return registry


class _Fixed:
    def __init__(self, family: GaugeMetricFamily) -> None:
        self.family = family

    def collect(self) -> list[GaugeMetricFamily]:
        return [self.family]


def traffic(random: np.random.Generator, rows: int) -> tuple[np.ndarray[Any, Any], list[str]]:
    x, y = random.random(rows) ** 2, random.normal(13, 1, rows)
    y[random.random(rows) < 0.1] = np.nan
    return np.column_stack([x, y]), ["yes" if value < 0.5 else "no" for value in random.random(rows)]


def test_drift_of_two_pods_is_what_the_server_computes_for_all_their_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    (first, guesses), (second, more) = traffic(random, 400), traffic(random, 700)
    layout = drift.Layout(REFERENCE)
    counts = layout.count(np.concatenate([first, second]).astype(np.float32))
    predicted = layout.count_predictions(guesses + more)
    bins = np.array([11, 22])
    expected: dict[str, Value] = {}
    for window, hours in (("1h", 1), ("1d", 24)):
        psi, ks = drift.psi(counts * hours, layout.shares, bins), drift.ks(counts, layout.shares)
        for index, name in enumerate(("x", "y")):
            labels = f'{{feature="{name}",{VERSION}}}'
            expected[f"model_version_feature:modelway_feature_drift_psi:{window}{labels}"] = float(psi[index])
            expected[f"model_version_feature:modelway_feature_drift_ks:{window}{labels}"] = float(ks[index])
            missing, kind = layout.columns[name][drift.MISSING], "model_version_feature:modelway_feature_missing"
            share = float(counts[index, missing] / counts[index].sum())
            expected[f"{kind}:ratio{window}{labels}"] = share
            expected[f"{kind}_excess:ratio{window}{labels}"] = share - float(layout.shares[index, missing])
        value = drift.psi(predicted * hours, layout.prediction_shares, 3)
        expected[f"model_version:modelway_prediction_drift_psi:{window}{{{VERSION}}}"] = float(value)
    judge(tmp_path, series(served(first, guesses), "a") + series(served(second, more), "b"), expected)


def test_too_few_rows_have_no_drift(tmp_path: Path) -> None:
    rows, guesses = traffic(np.random.default_rng(3), MINIMUM_ROWS - 10)
    names = {
        f'model_version_feature:modelway_feature_drift_{kind}:1h{{feature="x",{VERSION}}}' for kind in ("psi", "ks")
    }
    names.add(f"model_version:modelway_prediction_drift_psi:1h{{{VERSION}}}")
    names.add(f'model_version_feature:modelway_feature_missing:ratio1h{{feature="y",{VERSION}}}')
    judge(tmp_path, series(served(rows, guesses), "a"), dict.fromkeys(names))


def test_rules_and_server_agree_on_their_constants() -> None:
    assert (MINIMUM_ROWS, SMOOTHING_ROWS) == (drift.MINIMUM_ROWS, drift.SMOOTHING_ROWS)
    assert {OTHER} == {feedback.OTHER, drift.OTHER}
    assert MISSING == drift.MISSING
