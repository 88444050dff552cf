"""Experiments: what is refused in preview, and that the judge reads what the deployment writes."""

import itertools
import json
import re
from typing import Any

import pytest
import yaml
from modelway.rollout.plan import Metric, Plan, experiment_id, least_trials, plan_document, plan_of, rule_misfits
from pydantic import ValidationError
from rollout_judge import plan as judge

from infra.config_schema import ExperimentSettings
from infra.rollout import champion_of, said
from infra.settings import load
from tests.unit.test_settings import DIGEST, PROJECT, config, sentences

RULES: dict[str, Any] = {"candidate": "v2", "metrics": [{"kind": "errors"}]}
WHERE = "modelway:models iris.experiment"
IMAGE = "registry.example/rollout-judge@sha256:" + "c" * 64


def stack(experiment: dict[str, Any] | None, model: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A stack with one model of two weighted versions and a shadow."""
    versions = [
        {"name": "v1", "image": DIGEST, "weight": 100},
        {"name": "v2", "image": DIGEST, "weight": 0},
        {"name": "v3", "image": DIGEST, "shadow": True},
    ]
    entry: dict[str, Any] = {"name": "iris", "versions": versions, **(model or {})}
    if experiment is not None:
        entry["experiment"] = experiment
    return config(models=[entry], **changes)


def rules(**changes: Any) -> dict[str, Any]:
    """An experiment's rules with changes."""
    return stack({**RULES, **changes})


def weights(first: int, second: int) -> dict[str, Any]:
    """Versions with other weights."""
    named = (("v1", first), ("v2", second))
    return {"versions": [{"name": name, "image": DIGEST, "weight": weight} for name, weight in named]}


CASES: list[tuple[dict[str, Any], str]] = [
    (
        stack(RULES, weights(90, 10)),
        f"{WHERE}.champion: weights are set under an experiment: got v1 90, v2 10, allowed the champion 100 and 0 for "
        "every other, from where the judge moves them; give the champion the weight 100, or remove the experiment.",
    ),
    (
        stack({**RULES, "champion": "v2", "candidate": "v1"}),
        f"{WHERE}.champion: weights are set under an experiment: got v1 100, v2 0, allowed v2 100 and 0 for every "
        "other, from where the judge moves them; give v2 the weight 100, or remove the experiment.",
    ),
    (
        rules(driftGate=True),
        f"{WHERE}.driftGate: has no limit: got true, allowed only with quality.predictionDriftPsi, its limit; set it, or "
        "remove driftGate.",
    ),
    (rules(candidate="v9"), f"{WHERE}.candidate: names no version: got 'v9', allowed v1, v2; name one of these."),
    (
        rules(candidate="v1"),
        f"{WHERE}.candidate: is the champion itself: got 'v1', allowed another version; name another candidate.",
    ),
    (
        rules(candidate="v3"),
        f"{WHERE}.candidate: is a shadow, which has no share to compare: got 'v3', allowed v1, v2; name another "
        "candidate, or remove its shadow.",
    ),
    (
        stack({"candidate": "v2"}),
        f"{WHERE}.metrics: nothing to decide by: got none, allowed 1 to 10 metrics; add {{kind: errors}}.",
    ),
    (
        rules(metrics=[{"kind": "errors"}] * 2),
        f"{WHERE}.metrics: named twice: got errors, allowed each metric once; remove one.",
    ),
    (
        rules(metrics=[{"kind": "eros"}]),
        f"{WHERE}.metrics.0.kind: unknown value: got 'eros', allowed errors, latency, accuracy, outcome; correct it.",
    ),
    (
        rules(metrics=[{"kind": "latency"}]),
        f"{WHERE}.metrics.0.thresholdSeconds: missing for latency: got nothing, allowed a value; set thresholdSeconds.",
    ),
    (
        rules(metrics=[{"kind": "errors", "thresholdSeconds": 0.1}]),
        f"{WHERE}.metrics.0.thresholdSeconds: does not fit errors: got 0.1, allowed only with latency; remove "
        "thresholdSeconds.",
    ),
    (
        rules(metrics=[{"kind": "errors", "margin": 0}]),
        f"{WHERE}.metrics.0.margin: no share: got 0, allowed more than 0 and less than 1; change it.",
    ),
    (
        rules(metrics=[{"kind": "accuracy"}]),
        f"{WHERE}.metrics.0: nobody tells what became of predictions: got accuracy without feedback, allowed a model "
        "with feedback; set feedback of the model, or remove the metric.",
    ),
    (
        stack(
            {**RULES, "metrics": [{"kind": "outcome", "name": "clicked"}]},
            {"feedback": True, "feedbackOutcomes": ["converted"]},
        ),
        f"{WHERE}.metrics.0.name: names no outcome: got 'clicked', allowed converted; add it to feedbackOutcomes.",
    ),
    (rules(mode="auto"), f"{WHERE}.mode: unknown value: got 'auto', allowed observe, guard, automatic; correct it."),
    (
        rules(steps=[10, 1, 100]),
        f"{WHERE}.steps: no way up: got 10, 1, 100, allowed 2 to 20 whole numbers that ascend and end with 100; "
        "correct them.",
    ),
    (rules(alpha=0.5), f"{WHERE}.alpha: out of range: got 0.5, allowed more than 0 and at most 0.2; change it."),
    (
        rules(maximumSeconds=60),
        f"{WHERE}.maximumSeconds: shorter than its steps: got 60, allowed 240 or more, 4 steps of 60 s; raise "
        "maximumSeconds.",
    ),
    (
        rules(expectedRequestsPerSecond=1, maximumSeconds=600),
        f"{WHERE}.maximumSeconds: shorter than the minimum sample needs: got 600, allowed 56848 or more at 1 requests "
        "per second; raise maximumSeconds.",
    ),
    (
        stack(RULES, monitoring={"enabled": False}),
        f"{WHERE}: nobody counts what is compared: got monitoring.enabled false, allowed monitoring enabled; enable "
        "monitoring, or remove the experiment.",
    ),
    (
        stack(RULES, gateway={"className": "other"}),
        f"{WHERE}: the gateway does not tell which requests no pod answered: got gateway class other, allowed only "
        "with className modelway; remove className, or the experiment.",
    ),
    (
        stack(RULES, {"rollBackTo": "v3"}),
        "modelway:models iris.rollBackTo: names no version of the split: got 'v3', allowed v1, v2; name one of these, "
        "or remove rollBackTo.",
    ),
    (
        stack(None, images={"rolloutJudge": IMAGE}),
        f"modelway:images.rolloutJudge: not used: got '{IMAGE}', allowed only where a model has an experiment; remove "
        "rolloutJudge.",
    ),
    (
        stack(RULES, images={"rolloutJudge": "judge:1"}),
        "modelway:images.rolloutJudge: no digest: got 'judge:1', allowed REPOSITORY@sha256:<64 hex digits>; write the "
        "digest that the push printed.",
    ),
    (
        stack(RULES, cluster={"provider": "kind"}),
        "modelway:images.rolloutJudge: missing for the experiment of iris: got nothing, allowed REPOSITORY@sha256:<64 "
        "hex digits>; push images/rollout-judge and write its digest.",
    ),
]


@pytest.mark.parametrize(("raw", "sentence"), CASES, ids=[sentence.split(": got")[0] for _, sentence in CASES])
def test_an_experiment_that_cannot_decide_is_refused_in_preview_in_one_sentence(
    raw: dict[str, Any], sentence: str
) -> None:
    assert sentence in sentences(raw)


def test_the_config_in_the_documents_is_accepted_and_its_table_has_every_field() -> None:
    text = (PROJECT / "docs/rollouts.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (model,) = load({**config(), **yaml.safe_load(block)}, "test").models
    assert model.experiment
    assert champion_of(model) == "v1"
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert {field.alias for field in ExperimentSettings.model_fields.values()} <= named


def test_a_server_that_does_not_count_is_refused() -> None:
    versions = [
        {"name": "v1", "image": DIGEST, "weight": 100},
        {"name": "v2", "image": DIGEST, "weight": 0, "runtime": "container"},
    ]
    assert sentences(stack(RULES, {"versions": versions})) == [
        f"{WHERE}.candidate: its server does not count what is compared: got v2 with runtime container, allowed runtime "
        "modelway; remove the experiment."
    ]


def test_the_champion_is_the_version_with_all_the_weight_unless_it_is_named() -> None:
    assert champion_of(load(rules(), "test").models[0]) == "v1"
    assert champion_of(load(rules(champion="v1"), "test").models[0]) == "v1"
    assert champion_of(load(stack(None), "test").models[0]) == ""


def test_one_line_gives_a_version_everything_and_ends_the_experiment() -> None:
    for experiment, split in ((RULES, {}), (None, weights(30, 70))):
        (model,) = load(stack(experiment, {**split, "rollBackTo": "v2"}), "test").models
        assert model.experiment is None
        assert [version.weight for version in model.versions if not version.shadow] == [0, 100]


def test_the_defaults_of_stack_components_and_judge_are_the_same() -> None:
    said = ExperimentSettings(candidate="v2").model_dump(exclude_none=True)
    said["metrics"] = [{"kind": "errors"}]
    configured = plan_of(said, champion="v1")
    written = plan_of(RULES, champion="v1")
    assert configured == written == Plan("v1", "v2", (Metric("errors"),))
    read = judge.Plan(
        model="iris", champion="v1", candidate="v2", experiment="x", metrics=(judge.Metric(kind=judge.Kind.ERRORS),)
    )
    assert judge.Plan.model_validate(plan_document("iris", written, "x")) == read


def test_the_judge_reads_every_field_and_knows_no_other() -> None:
    metrics = (Metric("latency", 0.02, threshold_seconds=0.2), Metric("outcome", name="converted"))
    full = Plan("v1", "v2", metrics, "automatic", (5, 100), 0.05, 2.0, 0.3, 10, 1.0, 500.0, 0.0, 100.0, True, 0.2, "1d")
    document = json.loads(json.dumps(plan_document("iris", full, "id")))
    assert set(document) == set(judge.Plan.model_fields)
    read = judge.Plan.model_validate(document)
    assert read.model_dump(mode="json", exclude_none=True) == document
    assert read.slow_threshold_seconds == full.slow_threshold_seconds == 0.2


def test_the_gate_of_the_drift_has_the_limit_and_the_window_of_the_models_quality() -> None:
    quality = {"quality": {"predictionDriftPsi": 0.2, "driftWindow": "1d"}}
    for gate, expected in ((True, (0.2, "1d")), (False, (None, None))):
        (model,) = load(stack({**RULES, "driftGate": gate}, quality), "test").models
        assert model.experiment is not None
        plan = plan_of(said(model, model.experiment), champion="v1")
        assert (plan.drift_psi, plan.drift_window) == expected


@pytest.mark.parametrize(
    "given", [{"drift_psi": 0.2}, {"drift_window": "1h"}, {"drift_psi": 0.2, "drift_window": "2h"}]
)
def test_a_gate_that_is_only_half_there_is_refused_by_component_and_judge(given: dict[str, Any]) -> None:
    plan = plan_of({**RULES, **given}, champion="v1")
    assert [misfit.field for misfit in rule_misfits(plan)] == ["drift_window"]
    with pytest.raises(ValidationError):
        judge.Plan.model_validate(plan_document("iris", plan, "id"))


def test_the_smallest_sample_is_the_judges_own() -> None:
    for margin, alpha in itertools.product((0.5, 0.05, 0.01, 0.001), (0.2, 0.05, 0.01)):
        assert least_trials(margin, alpha) == judge.least_trials(margin, alpha)


@pytest.mark.parametrize("maximum", [56_847.0, 56_849.0])
def test_a_horizon_that_the_judge_refuses_is_refused_in_preview(maximum: float) -> None:
    raw = rules(expectedRequestsPerSecond=1, maximumSeconds=maximum)
    plan = plan_of({**RULES, "expected_requests_per_second": 1.0, "maximum_seconds": maximum}, champion="v1")
    document = plan_document("iris", plan, "id")
    if maximum < plan.least_seconds:
        assert len(sentences(raw)) == 1
        with pytest.raises(ValidationError):
            judge.Plan.model_validate(document)
    else:
        assert load(raw, "test").models[0].experiment
        assert judge.Plan.model_validate(document)


def test_an_experiment_is_another_one_with_every_rule_image_and_server() -> None:
    plan = Plan("v1", "v2", (Metric("errors"),))
    ids = [
        experiment_id("iris", plan, ["a", "b"], []),
        experiment_id("iris", plan, ["a", "c"], []),
        experiment_id("iris", plan, ["a", "b"], ["modelway"]),
        experiment_id("iris", Plan("v1", "v2", (Metric("errors"),), mode="guard"), ["a", "b"], []),
        experiment_id("wine", plan, ["a", "b"], []),
    ]
    assert len(set(ids)) == len(ids)
    assert ids[0] == experiment_id("iris", plan, ["a", "b"], [])
