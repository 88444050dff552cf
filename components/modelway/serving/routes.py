"""HTTPRoutes of one model, as plain data.

Two routes per model, since `spec.rules` is an atomic list: `NAME` pins versions by path and by header, and
`NAME-split` is one rule whose weights move during a rollout.
Precedence between them is the Gateway API's: an exact path with a header match beats the same path alone
(https://gateway-api.sigs.k8s.io/reference/api-spec/main/spec/#httprouterule).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelway._common import Manifest, labels
from modelway.serving.objects import HTTP_PORT, REQUEST_TIMEOUT_SECONDS

VERSION_HEADER = "x-model-version"
MAX_VERSIONS = 8
"""A pinned version takes two of the 16 rules that the Gateway API allows in one route."""


@dataclass(frozen=True)
class Arm:
    """One version in the routes."""

    version: str
    service: str
    weight: int


@dataclass(frozen=True)
class RouteSpec:
    """Everything that decides the routes of one model."""

    model: str
    namespace: str
    gateway_name: Any
    """Text, or a value that becomes text while deploying."""
    gateway_namespace: str
    arms: Sequence[Arm]
    path_prefix: str
    """Path before `/predict`: `/breast-cancer`, or empty for a model that owns its host."""
    host: str | None = None

    @property
    def split_path(self) -> str:
        """Path that is split over the versions by weight."""
        return f"{self.path_prefix}/predict"

    def pinned_path(self, version: str) -> str:
        """Path that always meets one version."""
        return f"{self.path_prefix}/{version}/predict"


def route_manifests(spec: RouteSpec) -> list[Manifest]:
    """The pinned route and the split route."""
    pinned = [
        rule
        for arm in spec.arms
        for rule in (
            _rule([_match(spec.pinned_path(arm.version))], [arm], weighted=False),
            _rule([_match(spec.split_path, arm.version)], [arm], weighted=False),
        )
    ]
    split = [_rule([_match(spec.split_path)], list(spec.arms), weighted=True)]
    return [_route(spec, spec.model, pinned), _route(spec, f"{spec.model}-split", split)]


def _route(spec: RouteSpec, name: str, rules: list[dict[str, Any]]) -> Manifest:
    body: dict[str, Any] = {
        "parentRefs": [
            {
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "name": spec.gateway_name,
                "namespace": spec.gateway_namespace,
            }
        ],
        "rules": rules,
    }
    if spec.host:
        body["hostnames"] = [spec.host]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": spec.namespace, "labels": labels(spec.model, "route")},
        "spec": body,
    }


def _match(path: str, version: str | None = None) -> dict[str, Any]:
    match: dict[str, Any] = {"path": {"type": "Exact", "value": path}}
    if version is not None:
        match["headers"] = [{"type": "Exact", "name": VERSION_HEADER, "value": version}]
    return match


def _rule(matches: list[dict[str, Any]], arms: list[Arm], weighted: bool) -> dict[str, Any]:
    rewrite = {"type": "ReplaceFullPath", "replaceFullPath": "/predict"}
    return {
        "matches": matches,
        "filters": [{"type": "URLRewrite", "urlRewrite": {"path": rewrite}}],
        "timeouts": {"request": f"{REQUEST_TIMEOUT_SECONDS}s"},
        "backendRefs": [
            {
                "group": "",
                "kind": "Service",
                "name": arm.service,
                "port": HTTP_PORT,
                "weight": arm.weight if weighted else 1,
            }
            for arm in arms
        ],
    }
