"""HTTPRoutes of one model, as plain data.

A route per version, `NAME-VERSION`, and per alias, `NAME-ALIAS`, pins one version by path and by header, `NAME-split`
divides by weight, and `NAME-unknown` answers what names no version. They are objects of their own since `spec.rules` is
an atomic list: weights move during a rollout, the rest does not, and no route nears the 16 rules that the Gateway API
allows, whatever the number of versions.
Precedence between them is the Gateway API's: an exact path beats a prefix, a longer prefix a shorter one, and a path
with a header match the same path alone (https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule). Between headers
Envoy Gateway lets an exact value beat a pattern (1.9.1, `internal/gatewayapi/sort.go`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelway._common import Manifest, labels
from modelway.gateway.policy import ACCESS_LABEL, API_VERSION, ASSIGNMENT_HEADER, OWN_CLASS, Policy, Sticky
from modelway.serving.routes_checks import VERSION_HEADER
from modelway.serving.runtimes import HTTP_PORT, Options, PublicPath, Runtime, runtime_of, split_base, split_paths

NOT_MIRRORED = frozenset({"/feedback"})
"""Public paths whose copy would count the same thing twice."""


@dataclass(frozen=True)
class Arm:
    """One version in the routes."""

    version: str
    service: str
    weight: int
    runtime: Runtime | None = None
    """How it is served; None: by our own server, nothing switched on."""
    shadow: bool = False
    """Whether it gets copies of the split's requests, which nobody waits for, instead of a share."""

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
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names of versions, by alias."""
    sticky: Sticky | None = None
    """What keeps a user on one version; None: every request of the split is drawn by itself."""
    gateway_class: str = OWN_CLASS

    def arm(self, version: str) -> Arm:
        """The version of this name."""
        return next(arm for arm in self.arms if arm.version == version)

    @property
    def weighted(self) -> Sequence[Arm]:
        """Versions of the split, also those with weight 0."""
        return [arm for arm in self.arms if not arm.shadow]

    @property
    def split_path(self) -> str:
        """Path that is split over the versions by weight: `/NAME/predict`, or what stands for it in their protocol."""
        return self.path_prefix + split_base([arm.server for arm in self.weighted])

    def pinned_path(self, arm: Arm) -> str:
        """Path that always meets one version."""
        return f"{self.path_prefix}/{arm.version}{arm.server.base}"


def pinned_route(spec: RouteSpec, arm: Arm, alias: str | None = None) -> Manifest:
    """The route of one version, or of an alias of it."""
    name = alias or arm.version
    rules = []
    for path in arm.server.paths:
        matches = [_match(f"{spec.path_prefix}/{name}{path.public}", path)]
        if path.split:
            matches.append(_match(spec.path_prefix + path.public, path, _version_header(name)))
        # A rule that rewrites a prefix may have one match only (Gateway API, a validation of the CRD).
        groups = [[match] for match in matches] if path.prefix else [matches]
        rules += [_rule(spec, group, path, [arm], "pinned") for group in groups]
    return _route(spec, f"{spec.model}-{name}", rules)


def split_route(spec: RouteSpec) -> Manifest:
    """The route whose weights move during a rollout: every version that is no shadow, in the order of the config."""
    paths = split_paths([arm.server for arm in spec.weighted])
    rules = [
        _rule(spec, [_match(spec.path_prefix + path.public, path)], path, spec.weighted, "split") for path in paths
    ]
    return _route(spec, f"{spec.model}-split", rules)


def settled_split(spec: RouteSpec) -> Manifest:
    """The split route of a model whose weights no judge moves."""
    return lent(split_route(spec)) if spec.gateway_class == OWN_CLASS else split_route(spec)


def lent(route: Manifest) -> Manifest:
    """A split route with the places of versions without a share lent to the one with the largest, which they come from.

    Envoy Gateway (1.9.1, `processHTTPRouteRules`) makes no cluster of a backend with weight 0. A weight that leaves or
    reaches 0 would add a cluster or take it away, and a proxy, which learns of clusters and of routes one after the
    other, answers 500 in between. A place that is lent keeps its cluster, whose pods change instead: nobody is asked
    but who has a share, and no request meets a cluster that is not there.
    """
    if all(backend.get("weight") for rule in route["spec"]["rules"] for backend in rule["backendRefs"]):
        return route
    rules = [{**rule, "backendRefs": _lent(rule["backendRefs"])} for rule in route["spec"]["rules"]]
    return {**route, "spec": {**route["spec"], "rules": rules}}


def _lent(backends: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = [dict(backend) for backend in backends]
    largest = max(found, key=lambda backend: int(backend["weight"]))
    for backend in found:
        if backend["weight"] == 0:
            backend.update(name=largest["name"], weight=1)
            largest["weight"] -= 1
    return found


def unknown_manifests(spec: RouteSpec) -> list[Manifest]:
    """The answer to what names no version of the model, and the route to it; none without Envoy Gateway, as no standard
    object answers by itself."""
    if spec.gateway_class != OWN_CLASS:
        return []
    name = f"{spec.model}-unknown"
    answer = {
        "apiVersion": API_VERSION,
        "kind": "HTTPRouteFilter",
        "metadata": {"name": name, "namespace": spec.namespace, "labels": labels(spec.model, "answer")},
        # The gateway puts the sentence into the shape of all its errors.
        "spec": {"directResponse": {"statusCode": 404, "body": {"type": "Inline", "inline": unknown_sentence(spec)}}},
    }
    matches = [{"path": {"type": "PathPrefix", "value": spec.path_prefix or "/"}}]
    # Without these a header that names no version would be left to the split.
    any_version = {"type": "RegularExpression", "name": VERSION_HEADER, "value": ".*"}
    matches += [
        _match(spec.path_prefix + path.public, path, any_version)
        for path in split_paths([arm.server for arm in spec.weighted])
    ]
    reference = {"group": "gateway.envoyproxy.io", "kind": "HTTPRouteFilter", "name": name}
    rule = {"matches": matches, "filters": [{"type": "ExtensionRef", "extensionRef": reference}]}
    return [answer, _route(spec, name, [rule])]


def unknown_sentence(spec: RouteSpec) -> str:
    """What is wrong with a request that names no version or path of the model, and what it may name."""
    known = ", ".join(arm.version for arm in spec.arms)
    aliases = f", aliases: {', '.join(spec.aliases)}" if spec.aliases else ""
    return f"nothing is served under this path or version; versions of {spec.model}: {known}{aliases}"


def route_manifests(spec: RouteSpec) -> list[Manifest]:
    """Everything that routes a model: by version, by alias, by weight, and what is unknown."""
    return [
        *(pinned_route(spec, arm) for arm in spec.arms),
        *(pinned_route(spec, spec.arm(version), alias) for alias, version in spec.aliases.items()),
        settled_split(spec),
        *unknown_manifests(spec),
    ]


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


def _match(path: str, kind: PublicPath, header: Mapping[str, str] | None = None) -> dict[str, Any]:
    match: dict[str, Any] = {"path": {"type": "PathPrefix" if kind.prefix else "Exact", "value": path}}
    if header is not None:
        match["headers"] = [dict(header)]
    return match


def _version_header(name: str) -> dict[str, str]:
    return {"type": "Exact", "name": VERSION_HEADER, "value": name}


def _rule(
    spec: RouteSpec, matches: list[dict[str, Any]], path: PublicPath, arms: Sequence[Arm], assignment: str
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
    seconds = max(arm.server.request_timeout_seconds for arm in arms) if limit is None else limit
    split = assignment == "split"
    return {
        "matches": matches,
        "filters": [
            {"type": "URLRewrite", "urlRewrite": {"path": rewrite}},
            {"type": "RequestHeaderModifier", "requestHeaderModifier": headers},
            *(_mirrors(spec, path) if split else ()),
        ],
        "timeouts": {"request": f"{seconds}s"},
        "backendRefs": [_split_backend(spec, arm) if split else {**_backend(arm), "weight": 1} for arm in arms],
    }


def _mirrors(spec: RouteSpec, path: PublicPath) -> list[dict[str, Any]]:
    """Copies for the shadows that have this path."""
    shadows = [arm for arm in spec.arms if arm.shadow and path in arm.server.paths]
    return [
        {"type": "RequestMirror", "requestMirror": {"backendRef": _backend(arm)}}
        for arm in shadows
        if path.public not in NOT_MIRRORED
    ]


def _split_backend(spec: RouteSpec, arm: Arm) -> dict[str, Any]:
    backend = {**_backend(arm), "weight": arm.weight}
    if spec.gateway_class == OWN_CLASS:
        # Only with a filter on every backend does Envoy Gateway (1.9.1, `HasFiltersInSettings`) make a cluster of each:
        # a hash then chooses a version and not a pod of any, and the gateway's metrics tell the versions apart, which
        # objectives and experiments need of a split that is not sticky as well.
        set_again = {"set": [{"name": ASSIGNMENT_HEADER, "value": "split"}]}
        backend["filters"] = [{"type": "RequestHeaderModifier", "requestHeaderModifier": set_again}]
    return backend


def _backend(arm: Arm) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": arm.service, "port": HTTP_PORT}
