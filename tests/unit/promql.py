"""Names of the series in an expression of PromQL, by its grammar's plain parts; Prometheus itself judges the rest."""

import re

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
_MATCHERS = re.compile(r"\{[^{}]*\}")
_WINDOWS = re.compile(r"\[[^\]]*\]")
_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"(?<![\w:.$])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])")
_WORDS = {"or", "and", "unless", "bool", "by", "without", "on", "ignoring", "group_left", "group_right", "offset"}


def metrics(expression: str) -> set[str]:
    """The series that an expression reads."""
    for pattern in (_STRINGS, _MATCHERS, _WINDOWS, _LABELS):
        expression = pattern.sub(" ", expression)
    return set(_NAME.findall(expression)) - _WORDS
