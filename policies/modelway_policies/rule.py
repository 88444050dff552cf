"""What a rule is, where it comes from and what it says of an object."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelway_policies.objects import Container, Object, UnknowableError, containers_of

Options = Mapping[str, Any]
"""A rule's own settings, by the names in its schema."""


@dataclass(frozen=True)
class Source:
    """A published control that a rule carries out."""

    framework: str
    version: str
    reference: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.framework, self.version, self.reference) if part)


def cis(section: str) -> Source:
    """A section of the CIS Kubernetes Benchmark."""
    return Source("CIS Kubernetes Benchmark", "1.11.1", section)


def nsa(chapter: str) -> Source:
    """A chapter of the Kubernetes Hardening Guide of NSA and CISA (https://media.defense.gov, August 2022)."""
    return Source("NSA/CISA Kubernetes Hardening Guide", "1.2", chapter)


def pss(control: str) -> Source:
    """A profile and control of https://kubernetes.io/docs/concepts/security/pod-security-standards/."""
    return Source("Pod Security Standards", "", control)


def own(number: int) -> Source:
    """A rule of Modelway's own."""
    return Source("Modelway", "", f"MW-{number}")


@dataclass(frozen=True)
class Finding:
    """What a check found; its fix is the rule's unless it says another."""

    subject: Object
    """The object that is wrong."""
    where: str
    what: str
    got: str
    allowed: str
    fix: str = ""


Findings = Iterable[Finding]
ObjectCheck = Callable[[Object, Options], Findings]
StackCheck = Callable[[Sequence[Object], Options], Findings]

EXEMPT: Mapping[str, Any] = {
    "type": "array",
    "default": [],
    "description": "Objects that the rule leaves alone, each with its reason",
    "items": {
        "type": "object",
        "properties": {
            "namespace": {"type": "string"},
            "name": {"type": "string"},
            "reason": {"type": "string", "minLength": 1},
        },
        "required": ["namespace", "reason"],
        "additionalProperties": False,
    },
}


@dataclass(frozen=True)
class Rule:
    """One rule of the pack."""

    name: str
    """Stable: configuration and reports use it."""
    description: str
    """What holds where it is kept, in one sentence."""
    sources: tuple[Source, ...]
    fix: str
    """What to do, in the imperative."""
    kinds: tuple[str, ...]
    """Kinds that it judges; a rule over the stack reads others beside them."""
    on_object: ObjectCheck | None = None
    """Judges one object by itself."""
    on_stack: StackCheck | None = None
    """Judges relations: gets every object of the stack."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"exempt": EXEMPT})
    """JSON schema of each of its settings, with the default."""

    def defaults(self) -> dict[str, Any]:
        """Its settings where nobody sets them."""
        return {name: schema["default"] for name, schema in self.options.items()}

    def sentence(self, finding: Finding) -> str:
        """What is wrong where, what was found, what is allowed and what to do."""
        found = f"{finding.where}: {finding.what}: got {finding.got}, allowed {finding.allowed}"
        return f"{found}; {finding.fix or self.fix}."


def each_container(check: Callable[[Container], Findings]) -> ObjectCheck:
    """A check of all containers, where what is unknown of one does not keep the others from being judged."""

    def judge_all(data: Object, _options: Options) -> Iterator[Finding]:
        for container in containers_of(data):
            yield from known(check(container))

    return judge_all


def known(findings: Findings) -> Iterator[Finding]:
    """The findings up to where an unknown value stops the check."""
    try:
        yield from findings
    except UnknowableError:
        return
