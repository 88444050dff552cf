"""`docs/policies.md`: every rule with its sources, from the code. `python -m modelway_policies.table` prints it."""

import json
import sys

from modelway_policies.rule import Rule
from modelway_policies.rules import RULES

_HEAD = """# Rules of the policy pack

Made by `make policies` from [policies](../policies/README.md). A rule is advisory in development and mandatory in
staging and production; `modelway:policies` changes the level or the settings of single rules.

Sources: *CIS* is the CIS Kubernetes Benchmark 1.11.1 by section, *NSA/CISA* the Kubernetes Hardening Guide 1.2 by
chapter, *PSS* the Pod Security Standards by profile and control; *MW* numbers are Modelway's own.
A rule *of the object* judges one resource by itself, one *of the stack* the relations between all of them.

| rule | what holds | judges | sources | fix | settings |
|---|---|---|---|---|---|
"""
_SHORT = {
    "CIS Kubernetes Benchmark": "CIS",
    "NSA/CISA Kubernetes Hardening Guide": "NSA/CISA",
    "Pod Security Standards": "PSS",
}


def table() -> str:
    """The whole document."""
    return _HEAD + "".join(_row(rule) for rule in RULES)


def _row(rule: Rule) -> str:
    sources = "; ".join(
        source.reference
        if source.framework == "Modelway"
        else f"{_SHORT.get(source.framework, source.framework)} {source.reference}"
        for source in rule.sources
    )
    settings = ", ".join(
        f"`{name}` ({json.dumps(value)})" if value != [] else f"`{name}`" for name, value in _settings(rule)
    )
    judged = "the object" if rule.on_object else "the stack"
    return f"| `{rule.name}` | {rule.description} | {judged} | {sources} | {rule.fix} | {settings} |\n"


def _settings(rule: Rule) -> list[tuple[str, object]]:
    return list(rule.defaults().items())


if __name__ == "__main__":
    sys.stdout.write(table())
