"""The rule that no secret stands in plain text where everyone who sees the object can read it."""

import re
from collections.abc import Iterator
from typing import Any

from modelway_policies.objects import WORKLOADS, Container, Object, containers_of, items, section, title, value
from modelway_policies.rule import Finding, Options, Rule, cis, known, nsa

_NAMED = re.compile(
    r"(?:password|passwd|passphrase|secret|token|credentials?|(?:api|access|private|secret)[_-]?key)$", re.IGNORECASE
)
"""Names that end so hold a secret; `…_FILE`, `…_PATH` and `…_NAME` say where one is."""
_VOCABULARY = re.compile(r"(?:bos|cls|eos|mask|pad|sep|special|stop|unk)[_-]?token$", re.IGNORECASE)
"""Tokens of a language model, which are no secrets."""
_SHAPES = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\bgh[opsur]_[A-Za-z0-9]{36}"),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "an API key": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
    "a signed token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    "a password in a URL": re.compile(r"://[^/\s:@]+:[^/\s:@$]+@"),
}
_HARMLESS = re.compile(r"(?:true|false|yes|no|on|off|none|\d{1,6}|/.*|\$\(\w+\)|\$\{\w+\})?", re.IGNORECASE)
"""Switches, counts, paths of files and references to another variable."""
_FLAG = re.compile(r"--?([A-Za-z0-9][\w.-]*)(?:=(.*))?", re.DOTALL)


def _by_shape(text: Any) -> str | None:
    return next((name for name, shape in _SHAPES.items() if isinstance(text, str) and shape.search(text)), None)


def _by_name(name: str, text: Any) -> str | None:
    """What a named value is, when it is a secret. Its text is never part of the answer."""
    named = _NAMED.search(name) and not _VOCABULARY.search(name)
    if isinstance(text, str) and named and not _HARMLESS.fullmatch(text):
        return "a literal value"
    return _by_shape(text)


def _variables(container: Container) -> Iterator[tuple[str, str]]:
    for variable in items(container.data, "env"):
        name = str(value(variable, "name"))
        if found := _by_name(name, section(variable).get("value")):
            yield f"variable {name}", found


def _arguments(container: Container) -> Iterator[tuple[str, str]]:
    words = [*items(container.data, "command"), *items(container.data, "args")]
    for index, word in enumerate(words):
        flag = _FLAG.fullmatch(word) if isinstance(word, str) else None
        if flag is None:
            found = _by_shape(word)
        else:
            following = words[index + 1] if index + 1 < len(words) else None
            found = _by_name(flag[1], following if flag[2] is None else flag[2])
        if found:
            yield f"argument --{flag[1]}" if flag else "an argument", found


def _settings(data: Object) -> Iterator[tuple[str, str]]:
    for name, text in section(data, "data").items():
        if found := _by_name(name, text):
            yield f"key {name}", found


def _plain_secrets(data: Object, _options: Options) -> Iterator[Finding]:
    for container in containers_of(data):
        yield from known(_findings(data, container.where, (*_variables(container), *_arguments(container))))
    if data.get("kind") == "ConfigMap":
        yield from _findings(data, title(data), tuple(_settings(data)))


def _findings(data: Object, where: str, found: tuple[tuple[str, str], ...]) -> Iterator[Finding]:
    for place, what in found:
        yield Finding(data, f"{where} {place}", "a secret in plain text", what, "a reference to a Secret")


RULES = (
    Rule(
        "plain-secrets",
        "No secret stands in plain text in a variable, an argument or a ConfigMap.",
        (cis("5.4.1"), nsa("Network separation and hardening: Secrets")),
        "keep it in a Secret and mount that",
        (*WORKLOADS, "ConfigMap"),
        _plain_secrets,
    ),
)
