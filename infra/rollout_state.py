"""An experiment as the cluster has it: the plan, the judge's state and the live weights; and the commands to the judge.

Documents are read with fields of our own and whatever else they hold is left alone: the judge of a newer image writes
more. Times are seconds since 1970.
"""

import json
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra import machine
from infra.deploy import Job
from infra.names import MODELS_NAMESPACE
from tools.problem import Problem, ProblemError

MANAGER = "modelway-rollout"
"""Field manager of our commands."""
COMMAND = "modelway.dev/rollout-command"
ASK_SECONDS = 10
ANSWER_SECONDS = 60.0
"""Longest time that a judge which runs needs to carry a command out: it looks every few seconds."""
ENDED = ("promoted", "rolled back")


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Totals(_Document):
    """One metric in one version."""

    trials: int = 0
    events: int = 0

    @property
    def share(self) -> float | None:
        """Share of trials with the event; None without trials."""
        return self.events / self.trials if self.trials else None


class MetricState(_Document):
    """What is known of one metric."""

    champion: Totals = Totals()
    candidate: Totals = Totals()
    guardrail: bool = False
    evidence: float = 1.0
    enough: float
    effect: tuple[float, float] = (-1.0, 1.0)
    """Bounds of the candidate's share less the champion's."""


class SampleRatio(_Document):
    """Whether traffic is divided as weighted."""

    evidence: float = 1.0
    enough: float
    counts: dict[str, int] = Field(default_factory=dict)


class Verdict(_Document):
    """What the judge last thought."""

    decision: str = "hold"
    reason: str = ""
    at: float = 0.0


class Entry(_Document):
    """One line of the history."""

    at: float
    event: str
    weights: dict[str, int] = Field(default_factory=dict)
    reason: str = ""
    evidence: dict[str, float] = Field(default_factory=dict)


class Point(_Document):
    """One look in the plot."""

    at: float
    weights: dict[str, int] = Field(default_factory=dict)
    evidence: dict[str, float] = Field(default_factory=dict)
    effect: dict[str, tuple[float, float]] = Field(default_factory=dict)


class Ended(_Document):
    """An experiment before this one."""

    experiment: str
    champion: str = ""
    candidate: str
    status: str
    ended_at: float
    reason: str = ""


class State(_Document):
    """What the judge wrote."""

    experiment: str
    champion: str
    candidate: str
    status: str
    mode: str
    started_at: float
    step: int = 0
    weights: dict[str, int]
    verdict: Verdict = Verdict()
    missing: str | None = None
    metrics: dict[str, MetricState]
    sample_ratio: SampleRatio | None = None
    history: list[Entry] = Field(default_factory=list)
    series: list[Point] = Field(default_factory=list)
    previous: list[Ended] = Field(default_factory=list)
    command: str = ""
    """Id of the last command that was carried out or refused."""

    @property
    def ended(self) -> Entry | None:
        """The line of the history that ended the experiment; None while it runs."""
        found = [entry for entry in self.history if entry.event == self.status]
        return found[-1] if self.status in ENDED and found else None


@dataclass(frozen=True)
class Rollout:
    """One model's experiment."""

    model: str
    plan: Mapping[str, Any]
    """`plan.json`; empty where the model has no experiment in the cluster."""
    state: State | None
    """None before the judge's first look."""
    weights: Mapping[str, int] = field(default_factory=dict)
    """Live weights of the split route by version, whoever set them."""
    pending: str = ""
    """Command that the judge has not seen yet."""

    @property
    def current(self) -> bool:
        """Whether the state is that of the plan: not after a new image, before the judge looked."""
        return self.state is not None and self.state.experiment == self.plan.get("experiment")


def kubectl_of(work: Job) -> list[str]:
    """kubectl for the stack's cluster; raises `ProblemError` when there is none to ask."""
    stack = f"stack {work.files.name}"
    up = f"run `modelway up {work.files.name}`"
    if gone := machine.cluster_gone(work.settings):
        raise ProblemError([Problem(stack, "it has no cluster", gone, "a deployed stack", up)])
    if machine.asleep(work.settings):
        fix = "run `modelway node up`, which starts it with all that it served"
        raise ProblemError([Problem(stack, "the cluster does not answer", "a stopped node", "a running node", fix)])
    kubectl = machine.kubectl(work.settings)
    if not kubectl:
        raise ProblemError([Problem("kubectl", "this program is missing", "nothing on PATH", "kubectl", up)])
    return kubectl


def look(kubectl: Sequence[str], models: Sequence[str]) -> dict[str, Rollout]:
    """The models as the cluster has them, by name; raises `ProblemError` when it does not answer."""
    asked = _ask(kubectl, "get", "configmaps,httproutes", "--output=json")
    if asked.returncode:
        raise ProblemError([_unanswered(asked.stderr)])
    return rollouts(json.loads(asked.stdout)["items"], models)


def rollouts(items: Sequence[Mapping[str, Any]], models: Sequence[str]) -> dict[str, Rollout]:
    """The models among these ConfigMaps and HTTPRoutes."""
    found = {(each["kind"], each["metadata"]["name"]): each for each in items}
    result = {}
    for model in models:
        plan = _data(found.get(("ConfigMap", f"{model}-experiment")), "plan.json")
        holder = found.get(("ConfigMap", f"{model}-experiment-state"))
        state = _state(model, _data(holder, "state.json")) if plan else None
        notes = (holder or {}).get("metadata", {}).get("annotations") or {}
        weights = live_weights(model, found.get(("HTTPRoute", f"{model}-split")))
        result[model] = Rollout(model, plan, state, weights, notes.get(COMMAND, ""))
    return result


def live_weights(model: str, route: Mapping[str, Any] | None) -> dict[str, int]:
    """Weights of a split route by version; empty where there is none."""
    rules = ((route or {}).get("spec") or {}).get("rules") or [{}]
    weights: dict[str, int] = {}
    # A version may have places of others besides its own (`modelway.serving.routes.lent`).
    for each in rules[0].get("backendRefs") or []:
        version = each["name"].removeprefix(f"{model}-")
        weights[version] = weights.get(version, 0) + each.get("weight", 1)
    return weights


def _data(config_map: Mapping[str, Any] | None, key: str) -> dict[str, Any]:
    text = ((config_map or {}).get("data") or {}).get(key)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _state(model: str, document: Mapping[str, Any]) -> State | None:
    if not document:
        return None
    try:
        return State.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where, got = f"{model}-experiment-state", ".".join(map(str, first["loc"]))
        fix = "use the modelway that deployed the judge"
        problem = Problem(where, "the judge's state has another format", got, "a format that is known here", fix)
        raise ProblemError([problem]) from None


def send(kubectl: Sequence[str], model: str, command: str, version: str | None, reason: str) -> str:
    """Write a command for the judge and return its id; raises `ProblemError` when the cluster refuses it."""
    wish = {"id": secrets.token_hex(8), "command": command, "version": version, "reason": reason}
    text = json.dumps({key: value for key, value in wish.items() if value is not None})
    patch = json.dumps({"metadata": {"annotations": {COMMAND: text}}})
    flags = ("--type=merge", "--patch-file=/dev/stdin", f"--field-manager={MANAGER}", "--output=name")
    asked = _ask(kubectl, "patch", "configmap", f"{model}-experiment-state", *flags, stdin=patch)
    if asked.returncode:
        raise ProblemError([_unanswered(asked.stderr)])
    return str(wish["id"])


def answered(kubectl: Sequence[str], model: str, sent: str) -> Rollout:
    """The experiment once the judge has carried the command out, or refused it.

    Raises:
        ProblemError: the judge does not answer; the command stays for when it does.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        now = look(kubectl, [model])[model]
        if now.state is not None and now.state.command == sent:
            return now
        if time.monotonic() > deadline:
            what, got = "the judge does not answer", f"no answer in {ANSWER_SECONDS:.0f} s"
            fix = f"see `kubectl logs deployment/{model}-judge -n {MODELS_NAMESPACE}`; it obeys once it runs"
            raise ProblemError([Problem(f"{model}-judge", what, got, "a running judge", fix)])
        time.sleep(1)


def _ask(kubectl: Sequence[str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    flags = (f"--namespace={MODELS_NAMESPACE}", f"--request-timeout={ASK_SECONDS}s")
    return subprocess.run([*kubectl, *arguments, *flags], input=stdin, capture_output=True, text=True, check=False)


def _unanswered(stderr: str) -> Problem:
    last = (stderr.strip().splitlines() or ["no answer"])[-1].rstrip("?.")
    what = "the cluster refused" if "from server" in last else "the cluster does not answer"
    return Problem("modelway:cluster", what, last, "kubectl's access to it", "check the cluster and your access")
