"""What the engine reports while it runs, as steps with a title, an age and a note on what they wait for."""

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from pulumi.automation.events import DiagnosticEvent, EngineEvent, PolicyEvent, StepEventMetadata

from infra.cost_estimate import Resource

DOING = {
    "create": "creating",
    "update": "updating",
    "delete": "deleting",
    "create-replacement": "creating the replacement",
    "delete-replaced": "deleting the replaced one",
    "read": "reading",
    "refresh": "reading",
    "import": "importing",
    "discard": "forgetting",
}
DONE = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "create-replacement": "replacement created",
    "delete-replaced": "replaced one deleted",
    "read": "read",
    "refresh": "read",
    "import": "imported",
    "discard": "forgotten",
}
SIGN = {
    "create": "+",
    "update": "~",
    "delete": "-",
    "create-replacement": "+",
    "delete-replaced": "-",
    "replace": "±",
}
NOTE_CHARACTERS = 120
OWN_PACK = "modelway"
"""Name of the policy pack in `policies/`."""
_AMBIENT = re.compile(r"using pulumi-\S+ from \$PATH at ")
"""The engine's remark on each plugin that the toolchain provides, which has said so itself."""
_COLOUR = re.compile(r"<\{%.*?%\}>")


@dataclass
class EngineStep:
    """One resource that the engine works on."""

    urn: str
    op: str
    title: str
    """Short type and logical name: `Deployment breast-cancer-v1`."""
    started: float = field(default_factory=time.monotonic)
    note: str = ""
    """What it waits for, as its provider says."""

    @property
    def seconds(self) -> float:
        """Its age."""
        return time.monotonic() - self.started


@dataclass(frozen=True)
class Change:
    """One resource that a preview would change."""

    op: str
    urn: str
    title: str
    keys: tuple[str, ...]
    """Properties that differ; those that force a replacement when `op` is `replace`."""


class Display(Protocol):
    """Shows a run while it happens. Called from the engine's event thread."""

    def began(self, step: EngineStep) -> None:
        """A step starts."""

    def ended(self, step: EngineStep, failed: bool) -> None:
        """A step ended."""

    def say(self, text: str) -> None:
        """One line of text."""


class Recorder:
    """Follows the events of one run: what runs now, what changed, what went wrong."""

    def __init__(self, display: Display) -> None:
        self.running: dict[str, EngineStep] = {}
        self.changes: list[Change] = []
        self.resources: dict[str, Resource] = {}
        """Everything that the stack will have, by URN."""
        self.counts: Counter[str] = Counter()
        """Resources by operation, as the engine's own summary counts them."""
        self.seconds = 0
        self.errors: list[tuple[str, str]] = []
        """URN (empty for the program itself) and message."""
        self.advice: dict[str, list[str]] = {}
        """What policies found that does not stop the run, by the policy's name."""
        self._display = display
        self._guard = threading.Lock()

    def __call__(self, event: EngineEvent) -> None:
        """Take one event."""
        with self._guard:
            if event.resource_pre_event:
                self._began(event.resource_pre_event.metadata, bool(event.resource_pre_event.planning))
            elif event.res_outputs_event:
                self._ended(event.res_outputs_event.metadata.urn, failed=False)
            elif event.res_op_failed_event:
                self._ended(event.res_op_failed_event.metadata.urn, failed=True)
            elif event.diagnostic_event:
                self._diagnostic(event.diagnostic_event)
            elif event.policy_event:
                self._policy(event.policy_event)
            elif event.summary_event:
                self.counts.update(
                    {
                        str(op.value if hasattr(op, "value") else op): count
                        for op, count in event.summary_event.resource_changes.items()
                    }
                )
                self.seconds = event.summary_event.duration_seconds

    def _began(self, step: StepEventMetadata, planning: bool) -> None:
        op = str(step.op.value)
        state = step.new or step.old
        if planning and step.new is not None and op not in ("delete", "delete-replaced", "create-replacement"):
            self.resources[step.urn] = Resource(step.type, step.urn.rpartition("::")[2], step.new.inputs or {})
        if (
            op != "same"
            and op not in ("create-replacement", "delete-replaced")
            and not step.type.startswith("pulumi:pulumi:")
        ):
            keys = step.keys if op == "replace" else list(step.detailed_diff or {}) or step.diffs
            self.changes.append(Change(op, step.urn, title(step.urn), tuple(keys or ())))
        if op in DOING and not planning and state is not None and state.custom:
            self.running[step.urn] = EngineStep(step.urn, op, title(step.urn))
            self._display.began(self.running[step.urn])

    def _ended(self, urn: str, failed: bool) -> None:
        if step := self.running.pop(urn, None):
            self._display.ended(step, failed)

    def _policy(self, event: PolicyEvent) -> None:
        # Our own pack names the object in its sentence; of other packs only the URN says which it is.
        own, text = event.policy_pack_name == OWN_PACK, plain(event.message)
        if event.enforcement_level == "mandatory":
            self.errors.append(("" if own else event.resource_urn or "", f"policy {event.policy_name}: {text}"))
        else:
            where = "" if own or not event.resource_urn else f"{title(event.resource_urn)}: "
            self.advice.setdefault(event.policy_name, []).append(where + text)

    def _diagnostic(self, event: DiagnosticEvent) -> None:
        text, urn = plain(event.message), event.urn or ""
        if not text or event.severity == "debug" or _AMBIENT.match(text):
            return
        if event.severity == "error":
            self.errors.append((urn, text))
        elif event.ephemeral or event.severity == "info":
            if step := self.running.get(urn):
                step.note = shortened(text.splitlines()[0])
        else:
            self._display.say(f"{title(urn)}: {text}" if urn else text)


def title(urn: str) -> str:
    """Short type and logical name of a URN: `Deployment breast-cancer-v1`."""
    kind, _, name = urn.split("::", 2)[-1].partition("::")
    own = kind.rsplit("$", 1)[-1]
    if own.startswith("pulumi:providers:"):
        return f"provider {own.rsplit(':', 1)[-1]} {name}"
    return f"{own.rsplit(':', 1)[-1]} {name}"


def shortened(text: str) -> str:
    """A note that fits into one line beside its resource."""
    return text if len(text) <= NOTE_CHARACTERS else text[: NOTE_CHARACTERS - 1] + "…"


def plain(text: str) -> str:
    """A message without the engine's colour marks."""
    return _COLOUR.sub("", text).strip()


def as_json(change: Change) -> dict[str, Any]:
    """A change for `preview --json`."""
    return {"op": change.op, "resource": change.title, "urn": change.urn, "keys": list(change.keys)}
