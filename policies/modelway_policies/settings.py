"""How strict each rule is, and its settings: `modelway:policies` of a stack, or the configuration of the pack."""

from collections.abc import Iterator, Mapping
from typing import Any

from modelway_policies.rule import Rule
from modelway_policies.rules import BY_NAME, RULES

LEVELS = ("advisory", "mandatory", "disabled")
LEVEL = "enforcementLevel"
_MANDATORY_IN = ("staging", "production")
_TYPES = {"integer": (int, "a whole number"), "array": (list, "a list")}

Misfit = tuple[str, str, str, str, str]
"""Where, what is wrong, got, allowed and fix."""


def level_in(environment: str | None) -> str:
    """Level of every rule that nothing else is said of: `mandatory` in staging and production."""
    return "mandatory" if environment in _MANDATORY_IN else "advisory"


def options_in(policies: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of each rule that `policies` names, with its level under `enforcementLevel` where it says one."""
    return {name: {LEVEL: given} if isinstance(given, str) else dict(given) for name, given in policies.items()}


def misfits(policies: Any, where: str = "modelway:policies") -> list[Misfit]:
    """Everything that is wrong in `modelway:policies`."""
    if not isinstance(policies, Mapping):
        return [(where, "wrong type", repr(policies), "a map of rules", "correct it")]
    found: list[Misfit] = []
    for name, given in policies.items():
        rule = BY_NAME.get(name)
        if rule is None:
            known = ", ".join(each.name for each in RULES)
            found.append((f"{where}.{name}", "no such rule", repr(name), known, "remove or correct it"))
        else:
            found += _of_rule(rule, given, f"{where}.{name}")
    return found


def _of_rule(rule: Rule, given: Any, where: str) -> Iterator[Misfit]:
    options = {LEVEL: given} if isinstance(given, str) else given
    if not isinstance(options, Mapping):
        yield where, "wrong type", repr(given), f"one of {', '.join(LEVELS)}, or a map", "correct it"
        return
    for name, value in options.items():
        if name == LEVEL:
            if value not in LEVELS:
                yield f"{where}.{LEVEL}", "unknown value", repr(value), ", ".join(LEVELS), "correct it"
        elif name not in rule.options:
            yield (
                f"{where}.{name}",
                "unknown key",
                repr(name),
                ", ".join((LEVEL, *rule.options)),
                "remove or correct it",
            )
        else:
            yield from _value(rule.options[name], value, f"{where}.{name}")


def _value(schema: Mapping[str, Any], value: Any, where: str) -> Iterator[Misfit]:
    kind, words = _TYPES[schema["type"]]
    if not isinstance(value, kind) or isinstance(value, bool):
        yield where, "wrong type", repr(value), words, "correct it"
    elif isinstance(value, int) and value < schema.get("minimum", value):
        yield where, "too small", str(value), f"at least {schema['minimum']}", "correct it"
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _item(schema["items"], each, f"{where}[{index}]")


def _item(schema: Mapping[str, Any], item: Any, where: str) -> Iterator[Misfit]:
    if schema["type"] == "string":
        if not isinstance(item, str):
            yield where, "wrong type", repr(item), "text", "correct it"
        return
    fields = dict(item) if isinstance(item, Mapping) else {}
    wrong = [name for name in fields if name not in schema["properties"]]
    wrong += [name for name in schema["properties"] if name in fields and not _is_text(fields[name])]
    missing = [name for name in schema["required"] if name not in fields]
    if wrong or missing:
        allowed = "namespace and reason, and name where one object is meant, each a text"
        yield where, "not an exemption", repr(item), allowed, "say what is exempt and why"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
