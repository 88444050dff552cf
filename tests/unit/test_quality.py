"""Promises of the stack config about predictions: what reaches Prometheus, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from modelway.monitoring.config import prometheus_rules
from modelway.monitoring.objects import monitoring_manifests
from modelway.monitoring.quality_args import OBJECTIVES, Quality, quality_of
from modelway.monitoring.self_watch import self_watch_groups
from modelway.monitoring.stack import monitoring_spec

from infra.config_quality import QualitySettings
from infra.quality import quality_args
from infra.settings import load
from tools.problem import ProblemError

DIGEST = "registry.example/iris@sha256:" + "a" * 64
DOCUMENT = Path(__file__).resolve().parents[2] / "docs/model-quality.md"
VERSIONS: list[dict[str, Any]] = [
    {"name": "v1", "image": DIGEST, "weight": 100},
    {"name": "v2", "image": DIGEST, "shadow": True},
]
FED = {"feedback": True, "feedbackOutcomes": ["revenue"]}
ONE = {"predictionDriftPsi": 0.25}
ABOUT = "modelway:models iris.quality"


def config(quality: dict[str, Any], model: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    entry = {"name": "iris", "versions": VERSIONS, "quality": quality, **(model or {})}
    return {"modelway:cluster": {"provider": "node"}, "modelway:models": [entry], **more}


def said(quality: dict[str, Any]) -> list[Quality]:
    return [quality_of(args) for args in quality_args(load(config(quality, FED), "test"))]


def test_each_version_makes_the_promises_of_its_model_and_a_shadow_none_that_needs_feedback() -> None:
    found = said(
        {
            "severity": "page",
            "driftWindow": "1d",
            "feedbackWindow": "1h",
            "predictionDriftPsi": 0.2,
            "accuracyAtLeast": 0.9,
            "recallAtLeast": {"setosa": 0.8},
            "outcomesAtLeast": {"revenue": 0},
            "truth": {"freshWithinHours": 6, "percent": 90},
        }
    )
    shared: dict[str, Any] = {"severity": "page", "drift_window": "1d", "feedback_window": "1h"}
    assert found == [
        Quality(
            "iris", "v1", **shared, prediction_drift_psi=0.2, accuracy_at_least=0.9, recall_at_least={"setosa": 0.8},
            outcomes_at_least={"revenue": 0}, truth_fresh_within_hours=6, truth_fresh_percent=90,
        ),
        Quality("iris", "v2", **shared, prediction_drift_psi=0.2),
    ]  # fmt: skip
    assert said({"accuracyAtLeast": 0.9}) == [Quality("iris", "v1", accuracy_at_least=0.9)]


def test_a_model_that_promises_nothing_has_no_rules_of_its_own() -> None:
    raw = config({})
    del raw["modelway:models"][0]["quality"]
    assert quality_args(load(raw, "test")) == []


def test_the_promises_are_in_the_rules_of_prometheus() -> None:
    promise: Any = {"model": "iris", "version": "v1", "accuracy_at_least": 0.9}
    spec = monitoring_spec("m", {"image": DIGEST, "models_namespaces": ["models"], "quality": [promise]})
    (rules,) = [each["data"]["rules.yml"] for each in monitoring_manifests(spec) if "rules.yml" in each.get("data", {})]
    promised = prometheus_rules((), [Quality("iris", "v1", accuracy_at_least=0.9)])["groups"]
    assert yaml.safe_load(rules) == {"groups": [*promised, *self_watch_groups()]}


@pytest.mark.parametrize(
    ("quality", "sentence"),
    [
        ({}, ".predictionDriftPsi: nothing is promised: got no objective, allowed "),
        ({"severity": "mail", **ONE}, ".severity: unknown value: got 'mail', allowed ticket, page; correct it."),
        ({"driftWindow": "2h", **ONE}, ".driftWindow: unknown value: got '2h', allowed 1h, 1d; correct it."),
        ({"feedbackWindow": "30d", **ONE}, ".feedbackWindow: unknown value: got '30d', allowed 1h, 1d; correct it."),
        ({"predictionDriftPsi": 0}, ".predictionDriftPsi: out of range: got 0, allowed more than 0; change it."),
        ({"featureDriftPsi": -1}, ".featureDriftPsi: out of range: got -1, allowed more than 0; change it."),
        (
            {"missingFeaturePercent": 100},
            ".missingFeaturePercent: out of range: got 100, allowed more than 0 and less than 100; change it.",
        ),
        (
            {"accuracyAtLeast": 90},
            ".accuracyAtLeast: out of range: got 90, allowed more than 0 and less than 1; change it.",
        ),
        (
            {"macroF1AtLeast": 1},
            ".macroF1AtLeast: out of range: got 1, allowed more than 0 and less than 1; change it.",
        ),
        (
            {"recallAtLeast": {"setosa": 80}},
            ".recallAtLeast: out of range for setosa: got 80, allowed more than 0 and less than 1; change it.",
        ),
        (
            {"absoluteErrorAtMost": 2, "accuracyAtLeast": 0.9},
            ".absoluteErrorAtMost: no model is measured by both: got absoluteErrorAtMost and accuracyAtLeast, allowed "
            "those of a regression or those of classes; remove one.",
        ),
        (
            {"outcomesAtLeast": {"profit": 1}},
            ".outcomesAtLeast: names no outcome: got 'profit', allowed revenue; add it to feedbackOutcomes.",
        ),
        (
            {"truth": {"freshWithinHours": 360}},
            ".truth.freshWithinHours: cannot be measured: got 360, allowed whole hours from 1 on, fewer than the 360 of "
            "retentionHours; lower it, or raise retentionHours.",
        ),
        (
            {"truth": {"freshWithinHours": 6, "percent": 100}},
            ".truth.percent: out of range: got 100, allowed 70 to 99.9; change it.",
        ),
    ],
)
def test_a_promise_that_cannot_be_is_refused_in_one_sentence(quality: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ProblemError) as caught:
        load(config(quality, FED), "test")
    assert str(caught.value).splitlines()[0].startswith(ABOUT + sentence)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            config({"accuracyAtLeast": 0.9}),
            ": nobody tells what became of predictions: got accuracyAtLeast without feedback, allowed a model with "
            "feedback; set feedback, or remove accuracyAtLeast.",
        ),
        (
            config({"truth": {"freshWithinHours": 6}}),
            ": nobody tells what became of predictions: got truth without feedback, allowed a model with feedback; "
            "set feedback, or remove truth.",
        ),
        (
            config(
                {"predictionDriftPsi": 0.2},
                {"versions": [{"name": "v1", "image": DIGEST, "runtime": "container"}]},
            ),
            ": its server does not export what is promised: got v1 with runtime container, allowed runtime modelway; "
            "remove quality.",
        ),
        (
            config({"predictionDriftPsi": 0.2}, **{"modelway:monitoring": {"enabled": False}}),
            ": nothing would measure it: got monitoring off, allowed with monitoring; enable monitoring.",
        ),
        (
            config({"predictionDriftPsi": 0.2}, **{"modelway:monitoring": {"retentionHours": 12}}),
            ".driftWindow: samples are not kept for a day: got retentionHours 12, allowed 24 or more; "
            "raise retentionHours.",
        ),
    ],
)
def test_a_promise_that_nobody_would_measure_is_refused_in_one_sentence(raw: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ProblemError) as caught:
        load(raw, "test")
    assert str(caught.value) == ABOUT + sentence


@pytest.mark.parametrize(
    ("quality", "sentence"),
    [
        (
            [{"model": "iris", "version": "v1", "accuracy_at_least": 0.9}] * 2,
            "quality: two objectives of one version: got iris v1 twice, allowed one each; remove one.",
        ),
        (
            [{"model": "iris", "version": "v1", "accuracy_at_least": 0.9, "truth_fresh_percent": 90}],
            "quality iris v1.truth_fresh_percent: alone: got truth_fresh_percent only, allowed truth_fresh_percent with "
            "truth_fresh_within_hours; add the other or remove it.",
        ),
    ],
)
def test_the_component_refuses_promises_by_itself(quality: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence) + "$"):
        monitoring_spec("m", {"image": DIGEST, "models_namespaces": ["models"], "quality": quality})


def test_the_document_has_every_field_and_its_example_is_accepted() -> None:
    text = DOCUMENT.read_text()
    example = yaml.safe_load(text.split("```yaml")[1].split("```")[0])["modelway:models"][0]
    (first,) = said({**example["quality"], "outcomesAtLeast": {"revenue": 3}})[:1]
    assert first.prediction_drift_psi == example["quality"]["predictionDriftPsi"]
    for name, field in QualitySettings.model_fields.items():
        assert f"| `{field.alias or name}" in text
    assert set(OBJECTIVES) - set(QualitySettings.model_fields) == {"truth_fresh_within_hours"}
