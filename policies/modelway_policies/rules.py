"""The table of all rules."""

from modelway_policies import images, limits, pods, relations, routes, secrets
from modelway_policies.rule import Rule

RULES: tuple[Rule, ...] = (
    *images.RULES,
    *pods.RULES,
    *secrets.RULES,
    *limits.RULES,
    *relations.RULES,
    *routes.RULES,
)
BY_NAME = {rule.name: rule for rule in RULES}
KINDS = frozenset(kind for rule in RULES for kind in rule.kinds)
"""Kinds that some rule reads; nothing else of a stack is unpacked."""
