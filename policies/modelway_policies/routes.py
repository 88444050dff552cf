"""Rules on routes that clients outside the cluster reach: TLS, authentication and rate limits."""

from collections.abc import Iterator, Sequence

from modelway_policies.objects import Object, items, labels_of, name_of, namespace_of, section, selects, title, value
from modelway_policies.rule import Finding, Options, Rule, known, nsa, own

ROUTES = ("HTTPRoute", "GRPCRoute")
_AUTHENTICATION = ("apiKeyAuth", "basicAuth", "extAuth", "jwt", "oidc")
_READ = (*ROUTES, "Gateway", "GatewayClass", "EnvoyProxy", "Namespace")


def _parents(route: Object) -> list[Object]:
    """Its references to Gateways."""
    parents = items(route, "spec", "parentRefs")
    return [parent for parent in parents if (value(parent, "kind") or "Gateway") == "Gateway"]


def _named(objects: Sequence[Object], kind: str, name: str, namespace: str | None = None) -> Object | None:
    return next(
        (
            each
            for each in objects
            if each.get("kind") == kind
            and name_of(each) == name
            and (namespace is None or namespace_of(each) == namespace)
        ),
        None,
    )


def _gateway(route: Object, parent: Object, objects: Sequence[Object]) -> Object | None:
    """The Gateway of a reference; None where another stack made it."""
    return _named(objects, "Gateway", value(parent, "name"), value(parent, "namespace") or namespace_of(route))


def _inside(gateway: Object, objects: Sequence[Object]) -> bool:
    """Whether only pods of the cluster reach its proxies, by the Service that Envoy Gateway makes for them."""
    reference = section(gateway, "spec", "infrastructure", "parametersRef")
    namespace = namespace_of(gateway)
    if not reference:
        parent = _named(objects, "GatewayClass", value(gateway, "spec", "gatewayClassName"))
        reference = section(parent, "spec", "parametersRef")
        namespace = value(reference, "namespace") or namespace
    proxy = _named(objects, "EnvoyProxy", value(reference, "name"), namespace) if reference else None
    return bool(value(proxy, "spec", "provider", "kubernetes", "envoyService", "type") == "ClusterIP")


def _outside(route: Object, objects: Sequence[Object]) -> list[tuple[Object, Object | None]]:
    """The Gateways that show a route to the outside, each with the reference to it."""
    pairs = [(parent, _gateway(route, parent, objects)) for parent in _parents(route)]
    return [(parent, gateway) for parent, gateway in pairs if gateway is None or not _inside(gateway, objects)]


def _redirects(route: Object) -> bool:
    """Whether it answers nothing but redirects to HTTPS."""
    rules = items(route, "spec", "rules")
    schemes = [
        [
            value(each, "requestRedirect", "scheme")
            for each in items(rule, "filters")
            if value(each, "type") == "RequestRedirect"
        ]
        for rule in rules
    ]
    return bool(rules) and all(found == ["https"] for found in schemes)


def _admits(listener: Object, gateway: Object, route: Object, objects: Sequence[Object]) -> bool:
    """Whether routes of this namespace may attach to a listener."""
    namespaces = section(listener, "allowedRoutes", "namespaces")
    origin = value(namespaces, "from") or "Same"
    if origin == "Same":
        return namespace_of(gateway) == namespace_of(route)
    if origin == "Selector":
        namespace = _named(objects, "Namespace", namespace_of(route))
        return namespace is None or selects(section(namespaces, "selector"), labels_of(namespace))
    return bool(origin == "All")


def _tls(objects: Sequence[Object], _options: Options) -> Iterator[Finding]:
    for route in objects:
        if route.get("kind") in ROUTES:
            yield from known(_plain(route, objects))


def _plain(route: Object, objects: Sequence[Object]) -> Iterator[Finding]:
    if _redirects(route):
        return
    for parent, gateway in _outside(route, objects):
        for listener in items(gateway, "spec", "listeners") if gateway else ():
            asked = {"sectionName": value(listener, "name"), "port": value(listener, "port")}
            if any(value(parent, key) not in (None, found) for key, found in asked.items()):
                continue
            if value(listener, "protocol") == "HTTP" and gateway and _admits(listener, gateway, route, objects):
                got = f"listener {value(listener, 'name')} of {title(gateway)}"
                yield Finding(route, title(route), "served without TLS", got, "listeners with protocol HTTPS")


def _policies(route: Object, gateway: Object | None, kind: str, objects: Sequence[Object]) -> list[Object]:
    """The policies of a kind that count for a route: its own, else those of the Gateway."""
    policies = [each for each in objects if each.get("kind") == kind]
    own_ones = [each for each in policies if _targets(each, route)]
    inherited = [each for each in policies if gateway and _targets(each, gateway)]
    # A policy of the route replaces that of the Gateway, unless it says that it is merged.
    merged = any(value(each, "spec", "mergeType") for each in own_ones)
    return own_ones + inherited if merged or not own_ones else own_ones


def _targets(policy: Object, target: Object) -> bool:
    if namespace_of(policy) != namespace_of(target):
        return False
    spec = section(policy, "spec")
    references = (*items(spec, "targetRefs"), section(spec, "targetRef"))
    # A reference to one section leaves the others as they are.
    whole = [each for each in references if not value(each, "sectionName")]
    if any((value(each, "kind"), value(each, "name")) == (target.get("kind"), name_of(target)) for each in whole):
        return True
    return any(
        value(each, "kind") == target.get("kind") and selects(each, labels_of(target))
        for each in items(spec, "targetSelectors")
    )


def _authenticates(policy: Object) -> bool:
    found = {field for field in _AUTHENTICATION if section(policy, "spec", field)}
    if value(policy, "spec", "jwt", "optional"):
        found.discard("jwt")
    return bool(found)


def _authentication(objects: Sequence[Object], _options: Options) -> Iterator[Finding]:
    for route in objects:
        if route.get("kind") in ROUTES:
            allowed = f"a SecurityPolicy with one of {', '.join(_AUTHENTICATION)} that targets it"
            yield from known(_guarded(route, objects, "SecurityPolicy", "answers anyone", allowed))


def _rate_limit(objects: Sequence[Object], _options: Options) -> Iterator[Finding]:
    for route in objects:
        if route.get("kind") in ROUTES:
            what, allowed = "answers without end", "a BackendTrafficPolicy with rateLimit that targets it"
            yield from known(_guarded(route, objects, "BackendTrafficPolicy", what, allowed))


def _guarded(route: Object, objects: Sequence[Object], kind: str, what: str, allowed: str) -> Iterator[Finding]:
    if _redirects(route):
        return
    for _, gateway in _outside(route, objects):
        policies = _policies(route, gateway, kind, objects)
        guards = _authenticates if kind == "SecurityPolicy" else _limits
        if not any(guards(each) for each in policies):
            got = ", ".join(title(each) for each in policies) or f"no {kind}"
            yield Finding(route, title(route), what, got, allowed)


def _limits(policy: Object) -> bool:
    limit = section(policy, "spec", "rateLimit")
    return any(items(limit, kind, "rules") for kind in ("local", "global"))


RULES = (
    Rule(
        "route-tls",
        "No route that clients outside the cluster reach is served without TLS.",
        (own(11), nsa("Network separation and hardening: Encryption")),
        "give the Gateway a certificate (`modelway:gateway` tls) and let its HTTP listener redirect only",
        _READ,
        on_stack=_tls,
    ),
    Rule(
        "route-authentication",
        "No route that clients outside the cluster reach answers without knowing who asks.",
        (own(12), nsa("Authentication and authorization: Authentication")),
        "set `access` of the model to keyed or internal",
        (*_READ, "SecurityPolicy"),
        on_stack=_authentication,
    ),
    Rule(
        "route-rate-limit",
        "No route that clients outside the cluster reach answers as many requests as anyone sends.",
        (own(13),),
        "set `limits` of the model or of `modelway:gateway` to what its pods can answer",
        (*_READ, "BackendTrafficPolicy"),
        on_stack=_rate_limit,
    ),
)
