"""The split route with other weights: everything but the weights is as the deployment wrote it."""

import copy
from typing import Any

from rollout_judge.plan import Plan
from rollout_judge.state import Weights

Manifest = dict[str, Any]


class RouteError(ValueError):
    """`route.json` is none that weights can be moved in."""


def versions_of(route: Manifest, model: str) -> list[str]:
    """Versions by position in `backendRefs`; a backend is the Service `MODEL-VERSION`.

    Raises:
        RouteError: rules without backends, with different ones, or with the Service of another model.
    """
    found: list[list[str]] = []
    for rule in route.get("spec", {}).get("rules", []):
        names = [str(backend["name"]) for backend in rule.get("backendRefs", [])]
        if strangers := [name for name in names if not name.startswith(f"{model}-")]:
            raise RouteError(f"route.json: a backend is no version of {model}: got {strangers[0]}")
        found.append([name.removeprefix(f"{model}-") for name in names])
    if not found or not found[0] or any(names != found[0] for names in found):
        raise RouteError(f"route.json: every rule should have the same versions: got {found}")
    return found[0]


def weighted(route: Manifest, model: str, weights: Weights) -> Manifest:
    """What is applied: identity and rules, each backend with its version's weight.

    The place of a version without a share is lent to the one with the largest, which gives up one part for each: where
    a weight leaves or reaches 0, Envoy Gateway 1.9.1 adds a cluster or takes it away, and the proxies answer 500 until
    they know both the clusters and the routes.
    """
    rules = copy.deepcopy(route["spec"]["rules"])
    for rule in rules:
        for backend in rule["backendRefs"]:
            backend["weight"] = weights.get(str(backend["name"]).removeprefix(f"{model}-"), 0)
        largest = max(rule["backendRefs"], key=lambda backend: int(backend["weight"]))
        for backend in rule["backendRefs"]:
            if backend["weight"] == 0:
                backend.update(name=largest["name"], weight=1)
                largest["weight"] -= 1
    metadata = {key: route["metadata"][key] for key in ("name", "namespace")}
    return {"apiVersion": route["apiVersion"], "kind": route["kind"], "metadata": metadata, "spec": {"rules": rules}}


def fitted(weights: Weights, versions: list[str], champion: str) -> Weights:
    """`weights` for these versions: a new one gets nothing, what a removed one had goes to the champion."""
    found = {version: weights.get(version, 0) for version in versions}
    found[champion] += 100 - sum(found.values())
    return found


def baseline(plan: Plan, versions: list[str]) -> Weights:
    """All to the champion, as the deployment has it without an experiment."""
    return {version: 100 if version == plan.champion else 0 for version in versions}


def contains(actual: object, wanted: object) -> bool:
    """Whether `actual` is `wanted` but for fields that the API server fills in."""
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(
            key in actual and contains(actual[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(wanted)
            and all(contains(one, other) for one, other in zip(actual, wanted, strict=True))
        )
    return actual == wanted
