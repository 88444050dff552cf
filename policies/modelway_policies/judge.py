"""Runs rules over plain objects, without an engine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelway_policies.objects import Object, name_of, namespace_of
from modelway_policies.rule import Finding, Options, Rule, known
from modelway_policies.rules import RULES


@dataclass(frozen=True)
class Violation:
    """A rule that an object breaks."""

    rule: Rule
    subject: Object
    sentence: str
    """What is wrong where, what was found, what is allowed and what to do."""


def judge(
    objects: Sequence[Object], options: Mapping[str, Options] | None = None, rules: Iterable[Rule] = RULES
) -> list[Violation]:
    """Everything that `rules` find in the objects of a stack.

    `options`: settings by the name of the rule, as in `modelway:policies`; defaults fill in what is left out.
    """
    found: list[Violation] = []
    for rule in rules:
        chosen = options_of(rule, (options or {}).get(rule.name, {}))
        found += judge_stack(rule, objects, chosen)
        found += [violation for each in objects for violation in judge_object(rule, each, chosen)]
    return found


def options_of(rule: Rule, given: Mapping[str, Any]) -> Options:
    """A rule's settings with its defaults."""
    return rule.defaults() | {name: value for name, value in given.items() if name in rule.options}


def judge_object(rule: Rule, data: Object, options: Options) -> list[Violation]:
    """What a rule finds in one object by itself."""
    if rule.on_object is None or data.get("kind") not in rule.kinds:
        return []
    return _violations(rule, rule.on_object(data, options), options)


def judge_stack(rule: Rule, objects: Sequence[Object], options: Options) -> list[Violation]:
    """What a rule finds in the relations between all objects of a stack."""
    if rule.on_stack is None:
        return []
    read = [each for each in objects if each.get("kind") in rule.kinds]
    return _violations(rule, rule.on_stack(read, options), options)


def _violations(rule: Rule, findings: Iterable[Finding], options: Options) -> list[Violation]:
    kept = known(finding for finding in findings if not _exempt(finding.subject, options))
    return [Violation(rule, finding.subject, rule.sentence(finding)) for finding in kept]


def _exempt(subject: Object, options: Options) -> bool:
    return any(
        each["namespace"] == namespace_of(subject) and each.get("name") in (None, name_of(subject))
        for each in options.get("exempt", ())
    )
