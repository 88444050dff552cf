"""What a stack serves now: models, versions, weights, pods and URLs, experiments, and what Prometheus knows of them."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from infra import machine, rollout_state
from infra.config_schema import ModelSettings, Settings
from infra.deploy import Job, toolset
from infra.names import MODELS_NAMESPACE
from infra.observed import ANSWERS, Alert, Facts, Observed, observe
from infra.rollout_state import Rollout
from infra.routes import weight_of
from tools.problem import ProblemError

READ_SECONDS = 10
Pods = dict[tuple[str, str], tuple[int, int]]
"""Ready and wanted pods by model and version."""
UNSEEN = "unknown while the cluster does not answer"
OFF = "it is off in this stack (modelway:monitoring.enabled), so rates, errors, budgets, drift and alerts are unknown"


@dataclass(frozen=True)
class VersionState:
    """One version of a model."""

    model: str
    version: str
    weight: int
    """Share of the split URL in percent: the live one, which a judge may have moved, where the cluster answers."""
    ready: int | None
    """Pods that serve; None when the cluster does not answer."""
    wanted: int | None
    url: str
    """Empty before the first `up`."""
    shadow: bool = False
    """Whether it gets copies of requests instead of a share."""
    objectives: tuple[str, ...] = ()
    """Which it has: `availability`, `latency`."""
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class StackState:
    """One stack."""

    stack: str
    deployed: bool
    cluster: str
    """`answers`, else why it does not, in one sentence."""
    versions: Sequence[VersionState]
    split_urls: Mapping[str, str] = field(default_factory=dict)
    """URL of each model that is split by weight."""
    monitoring: str = UNSEEN
    """`answers`, else why there are no numbers, in one sentence."""
    alerts: Sequence[Alert] = ()
    """Every alert that fires."""
    experiments: Mapping[str, Rollout] = field(default_factory=dict)
    """Of the models that have one in the cluster."""
    unread: str = ""
    """Why weights and experiments could not be read; then weights are those of the config."""


@dataclass(frozen=True)
class _Seen:
    """What the cluster said."""

    cluster: str
    pods: Pods | None = None
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    unread: str = ""
    observed: Observed = field(default_factory=lambda: Observed(UNSEEN))


def look(work: Job) -> StackState:
    """The state of the stack; works with the cluster down and before the first `up`."""
    from infra.engine.session import stack_outputs

    with ThreadPoolExecutor(1) as pool:
        # Side by side: the engine takes as long as the cluster.
        seen = pool.submit(_seen, work.settings)
        outputs = stack_outputs(work.files, toolset(work, quiet=True)) or {}
    return _state(work, outputs, seen.result())


def look_again(work: Job, before: StackState) -> StackState:
    """The same stack now; its URLs, which only `up` changes, are those of `before`."""
    urls = {(each.model, each.version): each.url for each in before.versions}
    after = _state(work, {}, _seen(work.settings))
    versions = [replace(each, url=urls[each.model, each.version]) for each in after.versions]
    return replace(after, deployed=before.deployed, split_urls=before.split_urls, versions=versions)


def _state(work: Job, outputs: Mapping[str, Any], seen: _Seen) -> StackState:
    urls: Mapping[str, Sequence[str]] = outputs.get("urls") or {}
    served: Mapping[str, Sequence[str]] = outputs.get("versions") or {}
    versions = []
    for model in work.settings.models:
        own = list(urls.get(model.name) or ())[1:]
        pinned = dict(zip(served.get(model.name) or (), own, strict=False))
        versions += _versions(model, pinned, seen)
    return StackState(
        stack=work.files.name,
        deployed=bool(urls),
        cluster=seen.cluster,
        versions=versions,
        split_urls={name: each[0] for name, each in urls.items() if each},
        monitoring=seen.observed.monitoring,
        alerts=seen.observed.alerts,
        experiments={name: rollout for name, rollout in seen.rollouts.items() if rollout.plan},
        unread=seen.unread,
    )


def _versions(model: ModelSettings, urls: Mapping[str, str], seen: _Seen) -> list[VersionState]:
    live = seen.rollouts[model.name].weights if model.name in seen.rollouts else {}
    objectives: tuple[str, ...] = ()
    if model.slo is not None:
        objectives = ("availability", "latency") if model.slo.latency is not None else ("availability",)
    found = []
    for version in model.versions:
        ready, wanted = (None, None) if seen.pods is None else seen.pods.get((model.name, version.name), (0, 0))
        found.append(
            VersionState(
                model=model.name,
                version=version.name,
                weight=live.get(version.name, weight_of(model, version)),
                ready=ready,
                wanted=wanted,
                url=urls.get(version.name, ""),
                shadow=version.shadow,
                objectives=objectives,
                facts=seen.observed.facts.get((model.name, version.name), Facts()),
            )
        )
    return found


def _seen(settings: Settings) -> _Seen:
    """What the cluster says, asked for everything at once."""
    if gone := machine.cluster_gone(settings):
        return _Seen(f"there is no cluster: {gone}; `modelway up` makes it")
    if machine.asleep(settings):
        return _Seen("the node is stopped; `modelway node up` starts it with all that it served")
    kubectl = machine.kubectl(settings)
    if not kubectl:
        return _Seen("unknown: no kubectl here yet; `modelway up` gets it")
    models = [model.name for model in settings.models]
    with ThreadPoolExecutor(3) as pool:
        deployments = pool.submit(_pods, kubectl)
        rollouts = pool.submit(_rollouts, kubectl, models)
        observed = pool.submit(observe, kubectl, models) if settings.monitoring.enabled else None
    pods, cluster = deployments.result()
    if pods is None:
        return _Seen(cluster)
    found, unread = rollouts.result()
    return _Seen(cluster, pods, found, unread, observed.result() if observed else Observed(OFF))


def _rollouts(kubectl: Sequence[str], models: Sequence[str]) -> tuple[dict[str, Rollout], str]:
    """Live weights and experiments, and why they cannot be read."""
    try:
        return rollout_state.look(kubectl, models), ""
    except ProblemError as error:
        return {}, " ".join(str(problem) for problem in error.problems)


def _pods(kubectl: Sequence[str]) -> tuple[Pods | None, str]:
    """Ready and wanted pods, and how the cluster is."""
    question = ["get", "deployments", "-n", MODELS_NAMESPACE, "-o", "json", f"--request-timeout={READ_SECONDS}s"]
    asked = subprocess.run([*kubectl, *question], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        last = (asked.stderr.strip().splitlines() or ["no answer"])[-1]
        return None, f"it does not answer: {last.rstrip('?.')}"
    return pods_by_version(json.loads(asked.stdout)), ANSWERS


def pods_by_version(deployments: Mapping[str, Any]) -> Pods:
    """Ready and wanted pods of each Deployment that carries the labels of a model and a version."""
    found = {}
    for each in deployments["items"]:
        labels = each["metadata"].get("labels") or {}
        name, version = labels.get("app.kubernetes.io/name"), labels.get("app.kubernetes.io/version")
        if name and version:
            ready = each.get("status", {}).get("readyReplicas", 0)
            found[name, version] = (ready, each["spec"].get("replicas", 1))
    return found
