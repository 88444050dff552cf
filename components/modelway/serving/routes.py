"""HTTPRoutes of one model, as plain data.

A route per version, `NAME-VERSION`, pins it by path and by header, and `NAME-split` divides by weight. They are objects
of their own since `spec.rules` is an atomic list: weights move during a rollout, the rest does not, and no route nears
the 16 rules that the Gateway API allows, whatever the number of versions.
Precedence between them is the Gateway API's: an exact path beats a prefix, a longer prefix a shorter one, and a path
with a header match the same path alone (https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from modelway._common import Manifest, labels
from modelway.gateway.policy import ACCESS_LABEL, ASSIGNMENT_HEADER, Policy
from modelway.serving.runtimes import HTTP_PORT, Options, PublicPath, Runtime, runtime_of, split_base, split_paths

VERSION_HEADER = "x-model-version"
MAX_VERSIONS = 8
"""Half of the backends that the Gateway API allows in one rule, and more than anyone compares at once."""


@dataclass(frozen=True)
class Arm:
    """One version in the routes."""

    version: str
    service: str
    weight: int
    runtime: Runtime | None = None
    """How it is served; None: by our own server, nothing switched on."""

    @property
    def server(self) -> Runtime:
        """How it is served."""
        return self.runtime or runtime_of("", self.version, Options())


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
    policy: Policy = field(default_factory=Policy)

    @property
    def split_path(self) -> str:
        """Path that is split over the versions by weight: `/NAME/predict`, or what stands for it in their protocol."""
        return self.path_prefix + split_base([arm.server for arm in self.arms])

    def pinned_path(self, arm: Arm) -> str:
        """Path that always meets one version."""
        return f"{self.path_prefix}/{arm.version}{arm.server.base}"


def pinned_route(spec: RouteSpec, arm: Arm) -> Manifest:
    """The route of one version."""
    rules = []
    for path in arm.server.paths:
        matches = [_match(f"{spec.path_prefix}/{arm.version}{path.public}", path)]
        if path.split:
            matches.append(_match(spec.path_prefix + path.public, path, arm.version))
        # A rule that rewrites a prefix may have one match only (Gateway API, a validation of the CRD).
        groups = [[match] for match in matches] if path.prefix else [matches]
        rules += [_rule(spec, group, path, [(arm, 1)], "pinned") for group in groups]
    return _route(spec, f"{spec.model}-{arm.version}", rules)


def split_route(spec: RouteSpec) -> Manifest:
    """The route whose weights move during a rollout."""
    weighted = [(arm, arm.weight) for arm in spec.arms]
    paths = split_paths([arm.server for arm in spec.arms])
    rules = [_rule(spec, [_match(spec.path_prefix + path.public, path)], path, weighted, "split") for path in paths]
    return _route(spec, f"{spec.model}-split", rules)


def route_manifests(spec: RouteSpec) -> list[Manifest]:
    """The pinned routes and the split route."""
    return [*(pinned_route(spec, arm) for arm in spec.arms), split_route(spec)]


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
        "metadata": {
            "name": name,
            "namespace": spec.namespace,
            "labels": {**labels(spec.model, "route"), ACCESS_LABEL: spec.policy.access},
        },
        "spec": body,
    }


def _match(path: str, kind: PublicPath, version: str | None = None) -> dict[str, Any]:
    match: dict[str, Any] = {"path": {"type": "PathPrefix" if kind.prefix else "Exact", "value": path}}
    if version is not None:
        match["headers"] = [{"type": "Exact", "name": VERSION_HEADER, "value": version}]
    return match


def _rule(
    spec: RouteSpec, matches: list[dict[str, Any]], path: PublicPath, arms: Sequence[tuple[Arm, int]], assignment: str
) -> dict[str, Any]:
    rewrite = (
        {"type": "ReplacePrefixMatch", "replacePrefixMatch": path.upstream}
        if path.prefix
        else {"type": "ReplaceFullPath", "replaceFullPath": path.upstream}
    )
    headers: dict[str, Any] = {"set": [{"name": ASSIGNMENT_HEADER, "value": assignment}]}
    if spec.policy.auth and spec.policy.auth.jwt:
        # The gateway has read the token; with it the server could ask elsewhere in the client's name.
        headers["remove"] = ["authorization"]
    limit = spec.policy.limits.timeout_seconds
    seconds = max(arm.server.request_timeout_seconds for arm, _ in arms) if limit is None else limit
    return {
        "matches": matches,
        "filters": [
            {"type": "URLRewrite", "urlRewrite": {"path": rewrite}},
            {"type": "RequestHeaderModifier", "requestHeaderModifier": headers},
        ],
        "timeouts": {"request": f"{seconds}s"},
        "backendRefs": [
            {"group": "", "kind": "Service", "name": arm.service, "port": HTTP_PORT, "weight": weight}
            for arm, weight in arms
        ],
    }
