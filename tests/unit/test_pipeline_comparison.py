"""Paired tests, slices and calibration: the textbook's figures, and no more false alarms than promised."""

import re
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import brier_score_loss

from pipeline import gate, rules
from pipeline.calibration import calibration
from pipeline.paired import holm, paired_test
from pipeline.rules import FeatureSlices, Rules, SliceRules
from pipeline.slices import compare
from pipeline.store import Facts
from tools.problem import ProblemError

ROWS = 200


def facts(**changes: Any) -> Facts:
    base: dict[str, Any] = {
        "task": "classification",
        "family": "any",
        "seed": 0,
        "target": "ill",
        "features": ("age", "sex"),
        "classes": ("no", "yes"),
        "data_sha256": "",
        "model_sha256": "",
        "libraries": {},
    }
    return Facts(**(base | changes))


def answers(better: int, worse: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Truth, candidate and champion that differ in `better` and `worse` of 200 rows."""
    truth = np.array([0, 1] * (ROWS // 2))
    candidate, champion = truth.copy(), truth.copy()
    candidate[:worse] = 1 - candidate[:worse]
    champion[worse : worse + better] = 1 - champion[worse : worse + better]
    return truth, candidate, champion


@pytest.mark.parametrize(("better", "worse"), [(0, 1), (2, 10), (7, 7), (9, 1)])
def test_mcnemar_is_the_tail_of_a_fair_coin(better: int, worse: int) -> None:
    total = better + worse
    tail = sum(comb(total, heads) for heads in range(worse, total + 1)) / 2**total
    test = paired_test("classification", *answers(better, worse))
    assert (test.name, test.better, test.worse) == ("exact McNemar", better, worse)
    assert test.p_value == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_equal_answers_are_no_evidence(task: Any) -> None:
    truth = np.array([0, 1] * 10)
    assert paired_test(task, truth, truth, truth).p_value == 1.0


def test_wilcoxon_compares_the_absolute_errors() -> None:
    generator = np.random.default_rng(2)
    truth = generator.normal(size=ROWS)
    candidate, champion = truth + generator.normal(0, 1.5, ROWS), truth + generator.normal(size=ROWS)
    test = paired_test("regression", truth, candidate, champion)
    expected = stats.wilcoxon(np.abs(truth - candidate), np.abs(truth - champion), alternative="greater").pvalue
    assert test.p_value == pytest.approx(expected)
    assert test.p_value < 0.001
    assert test.better + test.worse == ROWS


def test_holm_multiplies_by_the_number_of_tests_that_are_left() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_exact_test_decides_accuracy() -> None:
    truth, candidate, champion = answers(better=0, worse=6)
    held_out = gate.HeldOut("classification", 2, truth)
    verdict = gate.judge(held_out, candidate, champion, metric="accuracy", margin=0.01)
    assert not verdict.accepted
    assert verdict.reasons == (
        "accuracy: candidate − champion is -0.0300 [-0.0550, -0.0100], margin 0.0100; "
        "exact McNemar: 0 rows better, 6 worse, p = 0.01562: the candidate is worse",
    )
    assert gate.judge(held_out, candidate, champion, metric="accuracy", margin=0.04).accepted
    truth, candidate, champion = answers(better=0, worse=5)
    assert gate.judge(gate.HeldOut("classification", 2, truth), candidate, champion, metric="accuracy").accepted


def sliced(found: SliceRules, candidate: NDArray[Any], champion: NDArray[Any] | None, **changes: Any) -> Any:
    age = np.arange(ROWS, dtype=np.float32)
    rows = np.column_stack([age, age % 2]).astype(np.float32)
    truth = np.array([0, 1] * (ROWS // 2))
    return compare(facts(**changes), rows, truth, candidate, champion, found)


def test_slices_cut_at_edges_values_and_classes() -> None:
    features = (FeatureSlices(feature="age", edges=(50, 120)), FeatureSlices(feature="sex", values=(0, 1)))
    truth = np.array([0, 1] * (ROWS // 2))
    found = sliced(SliceRules(by_class=True, features=features), truth, None)
    assert [(each.name, each.rows) for each in found] == [
        ("ill is no", 100),
        ("ill is yes", 100),
        ("age below 50", 50),
        ("age from 50 to 120", 70),
        ("age from 120", 80),
        ("sex is 0", 100),
        ("sex is 1", 100),
    ]
    assert {each.candidate for each in found} == {1.0}
    assert not any(each.worse for each in found)


def test_a_loss_in_one_slice_is_found_that_the_whole_hides() -> None:
    truth = np.array([0, 1] * (ROWS // 2))
    candidate, champion = truth.copy(), truth.copy()
    candidate[:12] = 1 - candidate[:12]
    champion[188:] = 1 - champion[188:]
    features = (FeatureSlices(feature="age", edges=(50,)),)
    low, high = sliced(SliceRules(features=features), candidate, champion)
    assert paired_test("classification", truth, candidate, champion).p_value > 0.5
    assert (low.worse, high.worse) == (True, False)
    assert str(low) == (
        "age below 50 (50 rows): accuracy 0.7600, champion 1.0000; exact McNemar: 0 rows better, 12 worse, "
        "p = 0.0004883: the candidate is worse"
    )
    assert not any(each.worse for each in sliced(SliceRules(features=features, margin=0.3), candidate, champion))


def test_a_slice_of_few_rows_is_reported_and_not_judged() -> None:
    truth = np.array([0, 1] * (ROWS // 2))
    wrong = truth.copy()
    wrong[:10] = 1 - wrong[:10]
    features = (FeatureSlices(feature="age", edges=(10,)),)
    low, _high = sliced(SliceRules(features=features), wrong, truth)
    assert str(low) == "age below 10: 10 rows, not judged"
    assert (low.candidate, low.worse) == (0.0, False)
    assert sliced(SliceRules(features=features, minimum_rows=10), wrong, truth)[0].worse


def test_equal_models_are_worse_in_some_slice_at_most_five_times_in_a_hundred() -> None:
    generator = np.random.default_rng(17)
    features = (FeatureSlices(feature="age", edges=(40, 80, 120, 160)), FeatureSlices(feature="sex", values=(0, 1)))
    truth = np.array([0, 1] * (ROWS // 2))
    alarms = 0
    for _ in range(400):
        candidate, champion = (np.where(generator.random(ROWS) < 0.15, 1 - truth, truth) for _ in range(2))
        alarms += any(each.worse for each in sliced(SliceRules(features=features, margin=0), candidate, champion))
    assert alarms / 400 <= 0.05


def test_slices_of_what_the_model_does_not_have_are_refused_together() -> None:
    features = (FeatureSlices(feature="weight", edges=(1,)),)
    truth = np.array([0, 1] * (ROWS // 2))
    with pytest.raises(ProblemError) as caught:
        sliced(SliceRules(by_class=True, features=features), truth, None, task="regression", classes=None)
    assert [str(problem) for problem in caught.value.problems] == [
        "slices.features weight: is no feature of the model: got 'weight', allowed age, sex; correct the rules.",
        "slices.byClass: needs classes: got a regression, allowed a classification; remove it.",
    ]


def test_calibration_is_the_textbooks() -> None:
    generator = np.random.default_rng(3)
    claimed = generator.random(ROWS)
    truth = (generator.random(ROWS) < claimed).astype(np.int64)
    probability = np.column_stack([1 - claimed, claimed])
    found = calibration(truth, (claimed > 0.5).astype(np.int64), probability)
    assert found.brier.value == pytest.approx(brier_score_loss(truth, claimed))
    assert [each.rows for each in found.bins] == [20] * 10
    assert [each.predicted for each in found.bins] == sorted(each.predicted for each in found.bins)
    assert found.error.value == pytest.approx(np.mean([abs(each.predicted - each.observed) for each in found.bins]))
    assert found.error.low < found.error.value < found.error.high
    first = found.bins[0]
    exact = stats.binomtest(round(first.observed * 20), 20).proportion_ci(0.95, method="exact")
    assert (first.low, first.high) == pytest.approx((exact.low, exact.high))


def test_probabilities_that_are_far_off_have_a_large_error() -> None:
    truth = np.array([0, 1] * (ROWS // 2))
    claimed = np.where(truth == 1, 0.6, 0.4)
    probability = np.column_stack([1 - claimed, claimed])
    assert calibration(truth, truth, probability).error.value == pytest.approx(0.4)


def test_many_classes_are_judged_by_the_class_that_is_predicted() -> None:
    truth = np.array([0, 1, 2] * 40)
    probability = np.tile([0.2, 0.3, 0.5], (120, 1))
    predicted = np.full(120, 2)
    found = calibration(truth, predicted, probability)
    assert found.brier.value == pytest.approx((0.5**2 + 0.5**2 + 0.5**2) / 3)
    assert len(found.bins) == 6


def test_rules_come_from_a_file_and_options_win(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("metric: recall\nmargin: 0.02\nslices: {byClass: true}\ncalibration: {maximumError: 0.1}\n")
    found = rules.read(file, {"margin": 0.03})
    assert (found.metric, found.margin, found.slices.by_class) == ("recall", 0.03, True)
    assert rules.read(None, {}) == Rules()
    assert Rules.model_validate(found.document()) == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]\n{", "rules.yaml: is no file of rules: got expected "),
        ("- a", "rules.yaml: is no file of rules: got no map, allowed a YAML map of rules; correct it as docs/evaluation.md says."),
        ("floor: 1", "rules.yaml floor: is no rule of the gate: got 1, allowed Extra inputs are not permitted; correct it as"),
        ("margin: -1", "rules.yaml margin: is no rule of the gate: got -1, allowed Input should be greater than or equal to 0;"),
        ("slices: {features: [{feature: a}]}", "allowed edges or values, one of the two; correct it as"),
        ("slices: {features: [{feature: a, edges: [2, 1]}]}", "allowed edges in rising order; correct it as"),
        ("calibration: {}", "rules.yaml calibration.maximumError: is no rule of the gate: got {}, allowed Field required;"),
    ],
)  # fmt: skip
def test_rules_that_are_none_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(ProblemError) as caught:
        rules.read(tmp_path / "rules.yaml", {})
    assert sentence in str(caught.value).replace(f"{tmp_path}/", "")


def test_a_file_of_rules_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        rules.read(tmp_path / "none.yaml", {})
    assert "No such file or directory" in str(caught.value)


def test_the_rules_of_the_document_and_of_the_example_are_rules(tmp_path: Path) -> None:
    project = Path(__file__).resolve().parents[2]
    _config, block = re.findall(r"```yaml\n(.*?)```", (project / "docs/evaluation.md").read_text(), re.DOTALL)
    (tmp_path / "rules.yaml").write_text(block)
    found = rules.read(tmp_path / "rules.yaml", {})
    assert (found.metric, found.slices.minimum_rows, len(found.slices.features)) == ("recall", 20, 2)
    assert found.calibration == rules.CalibrationRules(maximum_error=0.1)
    assert rules.read(project / "pipeline/example_rules.yaml", {}).floors == {"accuracy": 0.9, "recall": 0.85}
