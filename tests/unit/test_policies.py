"""The rules of the policy pack over their fixtures, without an engine."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from modelway_policies import RULES, judge
from modelway_policies.objects import UNKNOWN
from modelway_policies.settings import misfits, options_in
from modelway_policies.table import table

from tests.unit.policy_fixtures import Fixture, document, fixtures
from tools.paths import PROJECT

FIXTURES = fixtures()
SENTENCE = re.compile(r"^[^\n]+: [^\n]+: got [^\n]+, allowed [^\n]+; [^\n]+[^.]\.$")


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_a_failing_fixture_breaks_exactly_its_rule_and_a_passing_one_none(fixture: Fixture) -> None:
    violations = judge(fixture.objects(), options_in(fixture.options))
    assert {violation.rule.name for violation in violations} == ({fixture.rule} if fixture.fails else set())
    for violation in violations:
        assert SENTENCE.fullmatch(violation.sentence), violation.sentence
        assert "planted" not in violation.sentence


def test_every_rule_has_a_source_a_fix_a_passing_and_a_failing_fixture() -> None:
    assert judge(document()["base"]) == []
    assert [rule.name for rule in RULES] == list(document()["rules"])
    for rule in RULES:
        kinds = document()["rules"][rule.name]
        assert kinds["passing"], rule.name
        assert kinds["failing"], rule.name
        assert rule.sources, rule.name
        assert rule.fix, rule.name
        assert (rule.on_object is None) != (rule.on_stack is None)
        assert re.fullmatch(r"[A-Z][^\n]*\.", rule.description)
    names = [str(source) for rule in RULES for source in rule.sources if source.framework == "Modelway"]
    assert names == [f"Modelway MW-{number + 1}" for number in range(len(names))]


def _leaves(data: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield (*way, key)
        yield from _leaves(value, (*way, key))


def test_a_value_that_is_not_known_yet_breaks_no_rule() -> None:
    base = document()["base"]
    for index, each in enumerate(base):
        for way in _leaves(each):
            if way == ("kind",):
                continue
            objects = copy.deepcopy(base)
            place = objects[index]
            for key in way[:-1]:
                place = place[key]
            place[way[-1]] = UNKNOWN
            assert [violation.sentence for violation in judge(objects)] == [], way


def test_one_unknown_image_does_not_hide_another_that_is_wrong() -> None:
    objects = copy.deepcopy(document()["base"])
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    containers = deployment["spec"]["template"]["spec"]["containers"]
    containers.append({**copy.deepcopy(containers[0]), "name": "second", "image": "registry.example/second:v1"})
    containers[0]["image"] = UNKNOWN
    assert [violation.sentence for violation in judge(objects)] == [
        "Deployment models/iris-v1 container second: image without a digest: got 'registry.example/second:v1', "
        "allowed REPOSITORY@sha256:<64 hex digits>; write the digest that the registry printed."
    ]


def test_wrong_settings_of_rules_are_told_all_together() -> None:
    wrong = {
        "probe": "advisory",
        "probes": "strict",
        "seccomp": 3,
        "gpu-ceiling": {"maxGpus": "many"},
        "replica-ceiling": {"maxReplicas": 0, "enforcementLevel": "loud"},
        "non-root": {"exempt": [{"namespace": "models"}, {"namespace": "models", "reason": "  "}], "except": []},
        "required-labels": {"labels": ["team", 1]},
    }
    names = ", ".join(rule.name for rule in RULES)
    exemption = "namespace and reason, and name where one object is meant, each a text"
    assert [
        f"{where}: {what}: got {got}, allowed {allowed}; {fix}." for where, what, got, allowed, fix in misfits(wrong)
    ] == [
        f"modelway:policies.probe: no such rule: got 'probe', allowed {names}; remove or correct it.",
        "modelway:policies.probes.enforcementLevel: unknown value: got 'strict', allowed advisory, mandatory, "
        "disabled; correct it.",
        "modelway:policies.seccomp: wrong type: got 3, allowed one of advisory, mandatory, disabled, or a map; "
        "correct it.",
        "modelway:policies.gpu-ceiling.maxGpus: wrong type: got 'many', allowed a whole number; correct it.",
        "modelway:policies.replica-ceiling.maxReplicas: too small: got 0, allowed at least 1; correct it.",
        "modelway:policies.replica-ceiling.enforcementLevel: unknown value: got 'loud', allowed advisory, mandatory, "
        "disabled; correct it.",
        f"modelway:policies.non-root.exempt[0]: not an exemption: got {{'namespace': 'models'}}, allowed {exemption}; "
        "say what is exempt and why.",
        "modelway:policies.non-root.exempt[1]: not an exemption: got {'namespace': 'models', 'reason': '  '}, "
        f"allowed {exemption}; say what is exempt and why.",
        "modelway:policies.non-root.except: unknown key: got 'except', allowed enforcementLevel, exempt; "
        "remove or correct it.",
        "modelway:policies.required-labels.labels[1]: wrong type: got 1, allowed text; correct it.",
    ]
    assert misfits("strict") == [
        ("modelway:policies", "wrong type", "'strict'", "a map of rules", "correct it"),
    ]
    assert misfits({"probes": "disabled", "gpu-ceiling": {"maxGpus": 0, "enforcementLevel": "mandatory"}}) == []


def test_the_document_of_the_rules_is_what_the_code_gives() -> None:
    assert (PROJECT / "docs/policies.md").read_text() == table(), "run `make policies`"
