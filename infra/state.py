"""What a stack serves now: models, versions, weights, pods and URLs."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Column, Table

from infra import machine
from infra.config_schema import Settings
from infra.deploy import Job, toolset
from infra.engine.session import stack_outputs
from infra.names import MODELS_NAMESPACE
from infra.rollout_state import live_weights
from infra.routes import weight_of

READ_SECONDS = 10


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


def look(work: Job) -> StackState:
    """The state of the stack; works with the cluster down and before the first `up`."""
    outputs = stack_outputs(work.files, toolset(work, quiet=True))
    urls: Mapping[str, Sequence[str]] = (outputs or {}).get("urls") or {}
    pods, cluster = _pods(work.settings)
    live = _live_weights(work.settings) if pods else {}
    versions = []
    for model in work.settings.models:
        own = list(urls.get(model.name) or ())[1:]
        served = list(((outputs or {}).get("versions") or {}).get(model.name) or ())
        pinned = dict(zip(served, own, strict=False))
        for version in model.versions:
            ready, wanted = pods.get((model.name, version.name), (0, 0)) if pods is not None else (None, None)
            url = pinned.get(version.name, "")
            weight = live.get(model.name, {}).get(version.name, weight_of(model, version))
            versions.append(VersionState(model.name, version.name, weight, ready, wanted, url, version.shadow))
    splits = {name: each[0] for name, each in urls.items() if each}
    return StackState(work.files.name, bool(urls), cluster, versions, splits)


def _live_weights(settings: Settings) -> dict[str, dict[str, int]]:
    """Weights of the split routes by model and version, whoever set them; none where they cannot be read."""
    question = ["get", "httproutes", "-n", MODELS_NAMESPACE, "-o", "json", f"--request-timeout={READ_SECONDS}s"]
    asked = subprocess.run([*machine.kubectl(settings), *question], capture_output=True, text=True, check=False)
    routes = json.loads(asked.stdout)["items"] if asked.returncode == 0 else []
    by_name = {each["metadata"]["name"]: each for each in routes}
    return {model.name: live_weights(model.name, by_name.get(f"{model.name}-split")) for model in settings.models}


def _pods(settings: Settings) -> tuple[dict[tuple[str, str], tuple[int, int]] | None, str]:
    """Ready and wanted pods by model and version, and how the cluster is."""
    if gone := machine.cluster_gone(settings):
        return None, f"there is no cluster: {gone}; `modelway up` makes it"
    if machine.asleep(settings):
        return None, "the node is stopped; `modelway node up` starts it with all that it served"
    command = machine.kubectl(settings)
    if not command:
        return None, "unknown: no kubectl here yet; `modelway up` gets it"
    question = ["get", "deployments", "-n", MODELS_NAMESPACE, "-o", "json", f"--request-timeout={READ_SECONDS}s"]
    asked = subprocess.run([*command, *question], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        last = (asked.stderr.strip().splitlines() or ["no answer"])[-1]
        return None, f"it does not answer: {last.rstrip('?.')}"
    return pods_by_version(json.loads(asked.stdout)), "answers"


def pods_by_version(deployments: Mapping[str, Any]) -> dict[tuple[str, str], tuple[int, int]]:
    """Ready and wanted pods of each Deployment that carries the labels of a model and a version."""
    found = {}
    for each in deployments["items"]:
        labels = each["metadata"].get("labels") or {}
        name, version = labels.get("app.kubernetes.io/name"), labels.get("app.kubernetes.io/version")
        if name and version:
            ready = each.get("status", {}).get("readyReplicas", 0)
            found[name, version] = (ready, each["spec"].get("replicas", 1))
    return found


def as_json(state: StackState) -> dict[str, Any]:
    """The state as plain data."""
    return {
        "stack": state.stack,
        "deployed": state.deployed,
        "cluster": state.cluster,
        "models": [
            {"model": model, "url": state.split_urls.get(model, ""), "versions": _of_model(state, model)}
            for model in dict.fromkeys(version.model for version in state.versions)
        ],
    }


def _of_model(state: StackState, model: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in vars(each).items() if k != "model"} for each in state.versions if each.model == model]


def table(state: StackState) -> Table:
    """One line per version, after the line of the model's split URL."""
    result = Table(
        "model",
        "version",
        "weight",
        "pods ready",
        Column("URL", overflow="fold"),
        title=f"stack {state.stack}",
        box=None,
        pad_edge=False,
    )
    for model in dict.fromkeys(version.model for version in state.versions):
        result.add_row(model, "(split)", "", "", state.split_urls.get(model, "not deployed"))
        for each in state.versions:
            if each.model == model:
                pods = "?" if each.ready is None else f"{each.ready}/{each.wanted}"
                share = "shadow" if each.shadow else f"{each.weight} %"
                result.add_row("", each.version, share, pods, each.url)
    return result
