"""The gate: what is worse is blocked, what is equal passes, and every figure is the textbook's."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from pipeline import gate, metrics
from tools.problem import ProblemError

ROWS = 200
SIMULATIONS = 500


def noisy(truth: NDArray[np.int64], wrong: float, generator: np.random.Generator, classes: int) -> NDArray[np.int64]:
    """Predictions that are wrong with probability `wrong`."""
    shifted = (truth + generator.integers(1, classes, size=len(truth))) % classes
    return np.where(generator.random(len(truth)) < wrong, shifted, truth)


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_those_of_scikit_learn(classes: int) -> None:
    generator = np.random.default_rng(5)
    truth = generator.integers(0, classes, ROWS)
    predicted = noisy(truth, 0.2, generator, classes)
    own = gate.judge(gate.HeldOut("classification", classes, truth), predicted, None).candidate
    average = "binary" if classes == 2 else "macro"
    assert own["accuracy"].value == pytest.approx(reference.accuracy_score(truth, predicted))
    for name in ("precision", "recall", "f1"):
        score = getattr(reference, f"{name}_score")(truth, predicted, average=average)
        assert own[name].value == pytest.approx(score)


def test_scores_of_a_regression_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(5)
    truth = generator.normal(1e4, 30, ROWS).astype(np.float32)
    predicted = (truth + generator.normal(0, 10, ROWS)).astype(np.float32)
    own = gate.judge(gate.HeldOut("regression", 0, truth), predicted, None).candidate
    assert own["mae"].value == pytest.approx(reference.mean_absolute_error(truth, predicted))
    assert own["r2"].value == pytest.approx(reference.r2_score(truth, predicted))


def test_intervals_hold_what_a_bootstrap_by_hand_gives() -> None:
    generator = np.random.default_rng(7)
    truth = generator.integers(0, 2, ROWS)
    predicted = noisy(truth, 0.1, generator, 2)
    interval = gate.judge(gate.HeldOut("classification", 2, truth), predicted, None).candidate["accuracy"]
    right = truth == predicted
    by_hand = [right[generator.integers(0, ROWS, ROWS)].mean() for _ in range(4000)]
    assert (interval.low, interval.high) == pytest.approx(np.percentile(by_hand, [2.5, 97.5]), abs=0.006)


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
@pytest.mark.parametrize("margin", [0.0, 0.01])
def test_equal_classifiers_are_rejected_at_most_five_times_in_a_hundred(metric: str, margin: float) -> None:
    generator = np.random.default_rng(11)
    rejected = 0
    for _ in range(SIMULATIONS):
        truth = generator.integers(0, 2, ROWS)
        candidate, champion = noisy(truth, 0.1, generator, 2), noisy(truth, 0.1, generator, 2)
        held_out = gate.HeldOut("classification", 2, truth)
        rejected += not gate.judge(held_out, candidate, champion, margin=margin, metric=metric).accepted
    assert rejected / SIMULATIONS <= 0.05


def test_equal_regressions_are_rejected_at_most_five_times_in_a_hundred() -> None:
    generator = np.random.default_rng(11)
    rejected = 0
    for _ in range(SIMULATIONS):
        truth = generator.normal(size=ROWS)
        candidate, champion = (truth + generator.normal(size=ROWS) for _ in range(2))
        rejected += not gate.judge(gate.HeldOut("regression", 0, truth), candidate, champion, margin=0).accepted
    assert rejected / SIMULATIONS <= 0.05


def test_a_much_worse_classifier_is_nearly_always_rejected() -> None:
    generator = np.random.default_rng(13)
    rejected = 0
    for _ in range(100):
        truth = generator.integers(0, 2, ROWS)
        candidate, champion = noisy(truth, 0.2, generator, 2), noisy(truth, 0.03, generator, 2)
        rejected += not gate.judge(gate.HeldOut("classification", 2, truth), candidate, champion).accepted
    assert rejected >= 99


def test_the_reason_of_a_rejection_is_written() -> None:
    truth = np.array([0, 1] * 100)
    worse = np.where(np.arange(ROWS) < 60, 1 - truth, truth)
    verdict = gate.judge(gate.HeldOut("classification", 2, truth), worse, truth, floors={"accuracy": 0.9})
    assert not verdict.accepted
    assert verdict.reasons[0] == "accuracy: 0.7000 misses the floor 0.9"
    assert verdict.reasons[1].startswith("f1: candidate − champion is -0.3000 [")
    assert verdict.reasons[1].endswith("], wholly below −0.0100: the candidate is worse")


def test_a_model_that_is_worse_by_less_than_the_margin_passes() -> None:
    truth = np.array([0, 1] * 100)
    worse = np.where(np.arange(ROWS) < 20, 1 - truth, truth)
    held_out = gate.HeldOut("classification", 2, truth)
    assert not gate.judge(held_out, worse, truth, margin=0.01).accepted
    assert gate.judge(held_out, worse, truth, margin=0.1).accepted


def test_identical_predictions_pass_without_a_margin() -> None:
    truth = np.array([0, 1] * 100)
    assert gate.judge(gate.HeldOut("classification", 2, truth), truth, truth, margin=0).accepted


def test_the_larger_error_of_a_regression_is_worse() -> None:
    truth = np.arange(200.0)
    held_out = gate.HeldOut("regression", 0, truth)
    near, far = truth + 1, truth + 2
    assert gate.judge(held_out, near, far).accepted
    verdict = gate.judge(held_out, far, near)
    assert not verdict.accepted
    assert verdict.reasons == (
        "mae: candidate − champion is 1.0000 [1.0000, 1.0000], wholly above 0.0100: the candidate is worse",
    )
    assert gate.judge(held_out, far, None, floors={"mae": 1.5}).reasons == ("mae: 2.0000 exceeds the limit 1.5",)


def test_a_class_that_is_never_predicted_scores_zero() -> None:
    truth = np.array([0, 1] * 100)
    own = gate.judge(gate.HeldOut("classification", 2, truth), np.zeros(ROWS, dtype=np.int64), None).candidate
    assert (own["precision"].value, own["recall"].value, own["f1"].value) == (0.0, 0.0, 0.0)


def test_unknown_metrics_and_margins_are_refused_together() -> None:
    held_out = gate.HeldOut("classification", 2, np.array([0, 1]))
    with pytest.raises(ProblemError) as caught:
        gate.judge(held_out, held_out.truth, None, margin=-1, metric="auc", floors={"mae": 1})
    allowed = "accuracy, precision, recall, f1 for a classification"
    assert [str(problem) for problem in caught.value.problems] == [
        f"--floor: names an unknown metric: got 'mae', allowed {allowed}; correct the option.",
        f"--metric: is unknown: got 'auc', allowed {allowed}; correct the option.",
        "--margin: is no margin: got -1, allowed 0 or more; correct the option.",
    ]


def test_resamples_draw_as_many_rows_as_there_are() -> None:
    weights = metrics.bootstrap_weights(50, seed=3)
    assert weights.shape == (2000, 50)
    assert (weights.sum(axis=1) == 50).all()
