"""Objectives of the stack config: what reaches Prometheus, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
from modelway.monitoring.slo import LATENCY_EDGES_SECONDS, Latency, Slo, slo_groups, slo_of
from modelway.monitoring.stack import monitoring_spec

from infra.objectives import slo_args
from infra.settings import load
from tools.problem import ProblemError

DIGEST = "registry.example/iris@sha256:" + "a" * 64
PROJECT = Path(__file__).resolve().parents[2]
VERSIONS: list[dict[str, Any]] = [
    {"name": "v1", "image": DIGEST, "weight": 90},
    {"name": "v2", "image": DIGEST, "shadow": True},
    {"name": "v3", "image": DIGEST, "weight": 10},
    {"name": "v4", "image": DIGEST, "weight": 0},
]


def config(slo: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    model = {"name": "iris", "aliases": {"champion": "v1"}, "versions": VERSIONS}
    if slo is not None:
        model["slo"] = slo
    return {"modelway:cluster": {"provider": "node"}, "modelway:models": [model], **more}


def test_each_version_has_the_objective_of_its_model_with_the_routes_that_lead_to_it() -> None:
    slo = {"availabilityPercent": 99.5, "latency": {"percent": 99, "belowSeconds": 0.25}}
    found = [slo_of(args) for args in slo_args(load(config(slo), "test"))]
    promise = (99.5, Latency(99, 0.25))
    assert found == [
        Slo("iris", "v1", "modelway-models", 0, ("champion",), *promise),
        Slo("iris", "v2", "modelway-models", None, (), *promise),
        Slo("iris", "v3", "modelway-models", 1, (), *promise),
        Slo("iris", "v4", "modelway-models", None, (), *promise),
    ]


def test_a_model_without_an_objective_has_no_rules() -> None:
    assert slo_args(load(config(None), "test")) == []
    assert slo_groups([]) == []


def test_every_alert_links_to_a_runbook_and_says_what_was_promised() -> None:
    groups = slo_groups([Slo("iris", "v1", "m", 0, latency=Latency(99, 0.1))])
    alerts = {rule["alert"]: rule["annotations"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert {name: alert["summary"] for name, alert in alerts.items()} == {
        "ModelAvailabilityPage": "iris v1: availability burns its error budget (99.9 % promised)",
        "ModelAvailabilityTicket": "iris v1: availability burns its error budget (99.9 % promised)",
        "ModelLatencyPage": "iris v1: latency burns its error budget (99 % within 0.1 s promised)",
        "ModelLatencyTicket": "iris v1: latency burns its error budget (99 % within 0.1 s promised)",
    }
    for name, alert in alerts.items():
        page = (PROJECT / alert["runbook_url"]).read_text()
        assert name in page.splitlines()[0]


@pytest.mark.parametrize(
    ("slo", "sentence"),
    [
        (
            {"availabilityPercent": 100},
            "availabilityPercent: out of range: got 100, allowed 95 to 99.999; change it.",
        ),
        ({"availabilityPercent": 0}, "availabilityPercent: out of range: got 0, allowed 95 to 99.999; change it."),
        (
            {"latency": {"percent": 50, "belowSeconds": 0.1}},
            "latency.percent: out of range: got 50, allowed 95 to 99.999; change it.",
        ),
        (
            {"latency": {"percent": 99, "belowSeconds": 0.2}},
            "latency.belowSeconds: cannot be measured: got 0.2, allowed "
            f"{', '.join(f'{edge:g}' for edge in LATENCY_EDGES_SECONDS)}; take the nearest.",
        ),
    ],
)
def test_an_objective_that_cannot_be_is_refused(slo: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ProblemError) as caught:
        load(config(slo), "test")
    assert str(caught.value) == f"modelway:models iris.slo.{sentence}"


def test_a_latency_without_a_unit_is_refused() -> None:
    with pytest.raises(ProblemError) as caught:
        load(config({"latency": {"percent": 99, "below": 0.1}}), "test")
    assert "modelway:models[0].slo.latency.below: unknown key" in str(caught.value)


def test_an_objective_that_nothing_measures_is_refused() -> None:
    with pytest.raises(ProblemError) as caught:
        load(config({}, **{"modelway:monitoring": {"enabled": False}}), "test")
    assert str(caught.value) == (
        "modelway:models iris.slo: nothing would measure it: got monitoring off, allowed with monitoring; "
        "enable monitoring."
    )


@pytest.mark.parametrize(
    ("slos", "sentence"),
    [
        (
            [{"model": "iris", "version": "v1"}] * 2,
            "two objectives of one version: got iris v1 twice, allowed one each; remove one.",
        ),
        (
            [{"model": "iris", "version": "v1", "latency_percent": 99}],
            " iris v1.latency_percent: alone: got latency_percent only, allowed latency_percent with "
            "latency_below_seconds; add the other or remove it.",
        ),
    ],
)
def test_the_component_refuses_objectives_by_itself(slos: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence) + "$"):
        monitoring_spec("m", {"image": DIGEST, "models_namespaces": ["models"], "slos": slos})
