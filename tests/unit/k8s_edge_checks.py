"""What the objects around the servers must say: who reaches whom, who may ask the API server, what the gateway does."""

from collections.abc import Sequence
from typing import Any

from tests.unit.k8s_checks import COMPONENT, NAME, PART_OF, Objects, bare, selector
from tests.unit.k8s_facts import ALIASES, FETCHED, TRACED, Version, versions

GATEWAY, MONITORING = "modelway-gateway", "modelway-monitoring"
ALERTMANAGER = {NAME: "alertmanager", COMPONENT: "alertmanager", PART_OF: "modelway"}
API_GROUP, RBAC = "gateway.networking.k8s.io", "rbac.authorization.k8s.io"
ACCESS = {"access-keyed": "keyed", "access-jwt": "keyed", "access-internal": "internal"}
"""Who reaches the model of a set, where it is not everyone."""
PINNED_ONLY = ("/docs", "/openapi.json")
KNOWN = ("gateway-all", "monitoring-known-nodes", "cert-manager-acme")
"""Sets that name the API server's address and have a second namespace of models."""


def _in(namespace: str, **labels: str) -> dict[str, Any]:
    """Pods of a namespace, all or those with these labels."""
    peer: dict[str, Any] = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    return {**peer, "podSelector": {"matchLabels": labels}} if labels else peer


def _tcp(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def _address(cidr: str | None, *ports: int) -> dict[str, Any]:
    block = {"cidr": cidr} if cidr else {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}
    return {"to": [{"ipBlock": block}], "ports": _tcp(*ports)}


DNS = {"to": [_in("kube-system", **{"k8s-app": "kube-dns"})], "ports": [{"protocol": "UDP", "port": 53}, *_tcp(53)]}
EGRESS: dict[str, list[Any]] = {
    "bucket": [DNS, {"to": [_in("storage")], "ports": [{"protocol": "TCP"}]}],
    "google": [DNS, _address(None, 443), _address("169.254.169.252/32", 988), _address("169.254.169.254/32", 80)],
    "amazon": [DNS, _address(None, 443), _address("169.254.170.23/32", 80)],
    "web": [DNS, _address("192.0.2.0/24", 8443)],
    "address": [_address("192.0.2.9/32", 80)],
    "volume": [],
}
"""What versions reach that fetch their model from there."""
COLLECTING: dict[str, list[Any]] = {
    "service": [DNS, {"to": [_in("observability")], "ports": [{"protocol": "TCP"}]}],
    "address": [_address("192.0.2.11/32", 4318)],
}
"""What versions reach that send their spans there."""
OWNER = "gateway.envoyproxy.io/owning-gateway-name"
PROXY = {COMPONENT: "proxy"}
CONTROLLER = {"control-plane": "envoy-gateway"}


CLOUDS = {
    "monitoring-amazon": [_address(None, 443), _address("169.254.170.23/32", 80)],
    "monitoring-google": [
        _address(None, 443),
        _address("169.254.169.252/32", 988),
        _address("169.254.169.254/32", 80),
    ],
}
"""The cloud's interface, and where a pod gets its identity."""


def _closed(objects: Objects, name: str, pods: dict[str, str], ingress: list[Any], egress: list[Any]) -> None:
    """The policy lets in and out what is named, and nothing else."""
    assert objects.named("NetworkPolicy", name)["spec"] == {
        "podSelector": {"matchLabels": pods} if pods else {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }


def server_traffic(objects: Objects) -> None:
    """Only proxies reach the port of predictions and only Prometheus the one of metrics; a server reaches nothing, or
    where it gets its model.
    """
    for version in versions(objects.name):
        ingress = [
            {
                "from": [_in("ingress-nginx") if objects.name == "ingress-plain" else _in(GATEWAY, **PROXY)],
                "ports": _tcp(version.server.ports["http"]),
            },
            {
                "from": [_in(MONITORING, **{COMPONENT: "prometheus"})],
                "ports": _tcp(version.server.metrics_port),
            },
        ]
        egress = {FETCHED: EGRESS, TRACED: COLLECTING}.get(version.model, {}).get(version.name, [])
        _closed(objects, version.full_name, selector(version), ingress, egress)


def platform_traffic(objects: Objects) -> None:
    """The controller, the certificate job, the proxies, cert-manager and Prometheus reach what they need."""
    known = objects.name in KNOWN
    api_server = _address("192.0.2.10/32" if known else None, 443, 6443)
    namespaces = ["modelway-models", *(["more-models"] if known else [])]
    metrics = {"from": [_in(MONITORING)], "ports": _tcp(19001)}
    controls = _tcp(18000, 18001, 18002)
    if objects.name.startswith("gateway"):
        _closed(
            objects,
            "controller",
            CONTROLLER,
            [{"from": [_in(GATEWAY, **PROXY)], "ports": controls}, metrics],
            [DNS, api_server],
        )
        _closed(objects, "certgen", {"app": "certgen"}, [], [DNS, api_server])
        servers = {"to": [_in(namespace, **{COMPONENT: "model-server"}) for namespace in namespaces]}
        egress = [DNS, {"to": [_in(GATEWAY, **CONTROLLER)], "ports": controls}, servers]
        solver = {"acme.cert-manager.io/http01-solver": "true"}
        ports = _tcp(10080) if objects.name == "gateway" else _tcp(10080, 10443)
        others = []
        if objects.name == "gateway-all":
            pods = {"from": [{"namespaceSelector": {}}], "ports": _tcp(10080)}
            inside = {**PROXY, OWNER: "modelway-internal"}
            spans = COLLECTING["service"][1]
            _closed(objects, "internal-proxy", inside, [pods, metrics], [*egress, spans])
            others = [_address(None, 443), spans]
        if objects.name == "gateway-acme":
            asked = {"from": [_in(GATEWAY, **PROXY)], "ports": _tcp(8089)}
            _closed(objects, "acme-solver", solver, [asked], [])
            others = [{"to": [_in(GATEWAY, **solver)], "ports": _tcp(8089)}]
        _closed(objects, "proxy", {**PROXY, OWNER: "modelway"}, [{"ports": ports}, metrics], [*egress, *others])
    if objects.name.startswith("cert-manager"):
        _closed(objects, "cert-manager", {}, [], [DNS, api_server])
        caller = {"from": [{"ipBlock": {"cidr": "192.0.2.10/32"}}]} if known else {}
        _closed(objects, "webhook", {COMPONENT: "webhook"}, [{**caller, "ports": _tcp(10250)}], [])
    if objects.name == "cert-manager-acme":
        _closed(objects, "acme", {COMPONENT: "controller"}, [], [_address(None, 80, 443)])
    if objects.name.startswith("monitoring"):
        own = {NAME: "prometheus", COMPONENT: "prometheus", PART_OF: "modelway"}
        server = {"podSelector": {"matchLabels": {COMPONENT: "model-server"}}}
        egress = [
            DNS,
            api_server,
            _address("192.0.2.0/24" if known else None, 10250),
            {"to": [{**_in(namespace), **server} for namespace in namespaces]},
            {"to": [_in(namespace, **{COMPONENT: "rollout-judge"}) for namespace in namespaces], "ports": _tcp(9090)},
            {"to": [_in(GATEWAY)], "ports": _tcp(19001)},
        ]
        readers = [
            _in(each, **{"modelway.dev/reads-prometheus": "true"}) for each in ("modelway-models", "modelway-keda")
        ]
        asking = [{"from": readers, "ports": _tcp(9090)}] if known else []
        if objects.name == "monitoring-alerting":
            egress += [{"to": [{"podSelector": {"matchLabels": ALERTMANAGER}}], "ports": _tcp(9093)}]
        egress += CLOUDS.get(objects.name, [])
        _closed(objects, "prometheus", own, asking, egress)
    if objects.name.startswith("alertmanager"):
        told = [{"from": [{"podSelector": {"matchLabels": {COMPONENT: "prometheus"}}}], "ports": _tcp(9093)}]
        ways = {
            "alertmanager": [{"to": [_in("alerts")], "ports": [{"protocol": "TCP"}]}],
            "alertmanager-outside": [
                _address(None, 443),
                {"to": [{"ipBlock": {"cidr": "192.0.2.25/32"}}], "ports": _tcp(587)},
            ],
        }
        _closed(objects, "alertmanager", ALERTMANAGER, told, [DNS, *ways[objects.name]])


def permissions(objects: Objects) -> None:
    """Prometheus may list pods where it scrapes and read the nodes' metrics; nobody else gets a role from us."""
    if not objects.name.startswith("monitoring"):
        return
    namespaces = [GATEWAY, "modelway-models", *(["more-models"] if objects.name in KNOWN else [])]
    subjects = [{"kind": "ServiceAccount", "name": "prometheus", "namespace": MONITORING}]

    def rule(resource: str, *verbs: str) -> dict[str, Any]:
        return {"apiGroups": [""], "resources": [resource], "verbs": list(verbs)}

    nodes = [rule("nodes", "get", "list", "watch"), rule("nodes/metrics", "get")]
    wide = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "modelway-prometheus"}
    assert bare(objects.named("ClusterRole", wide["name"])) == {"rules": nodes}
    assert bare(objects.named("ClusterRoleBinding", wide["name"])) == {"roleRef": wide, "subjects": subjects}
    assert len(objects.of("Role")) == len(namespaces)
    for namespace in namespaces:
        role = {"apiGroup": RBAC, "kind": "Role", "name": "prometheus"}
        pods = [rule("pods", "get", "list", "watch")]
        assert bare(objects.named("Role", "prometheus", namespace)) == {"rules": pods}
        binding = objects.named("RoleBinding", "prometheus", namespace)
        assert bare(binding) == {"roleRef": role, "subjects": subjects}


def routes(objects: Objects) -> None:
    """Exactly the public paths are routed, pinned by version and split by weight, each to its upstream path."""
    found = {version.name: version for version in versions(objects.name)}
    if objects.name == "ingress-plain":
        _ingress(objects, next(iter(found.values())))
    if not found or objects.name == "ingress-plain":
        return
    model = next(iter(found.values())).model
    names = dict(zip(found, found, strict=True)) | ALIASES.get(model, {})
    for name, version in ((name, found[target]) for name, target in names.items()):
        paths = version.server.paths | (dict.fromkeys(PINNED_ONLY, False) if version.docs else {})
        rules = _route(objects, f"{model}-{name}")
        _rules(rules, version, "pinned", [{**_backend(version), "weight": 1}])
        wanted: dict[tuple[bool, str, str | None], str] = {}
        for path, below in paths.items():
            wanted[below, f"/{model}/{name}{path}", None] = path
            if path not in PINNED_ONLY:
                wanted[below, f"/{model}{path}", name] = path
        assert _matches(rules) == wanted
    weighted = [version for version in found.values() if not version.shadow]
    common = set.intersection(*(set(version.server.paths) for version in weighted))
    _split(objects, weighted, [version for version in found.values() if version.shadow], common)
    _unknown(objects, model, names, {path: weighted[0].server.paths[path] for path in common})


def _ingress(objects: Objects, version: Version) -> None:
    """The public paths of one version on a host of its own, and nothing that a controller would understand otherwise."""
    ingress = objects.named("Ingress", f"{version.model}-split", "modelway-models")
    assert ingress["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
    service = {"service": {"name": version.full_name, "port": {"name": "http"}}}
    paths = [
        {"path": path, "pathType": "Prefix" if below else "Exact", "backend": service}
        for path, below in version.server.paths.items()
    ]
    rules = [{"host": f"{version.model}.example", "http": {"paths": paths}}]
    assert ingress["spec"] == {"ingressClassName": "nginx", "rules": rules}


def _split(objects: Objects, weighted: list[Version], shadows: list[Version], common: set[str]) -> None:
    model = weighted[0].model
    rules = _route(objects, f"{model}-split")
    again = {"set": [{"name": "x-modelway-assignment", "value": "split"}]}
    filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": again}]
    # The first has all the weight; the places of the others are lent to it.
    weights = [101 - len(weighted), *[1] * (len(weighted) - 1)]
    backends = [{**_backend(weighted[0]), "weight": weight, "filters": filters} for weight in weights]
    mirrors = [{"type": "RequestMirror", "requestMirror": {"backendRef": _backend(shadow)}} for shadow in shadows]
    _rules(rules, weighted[0], "split", backends, mirrors)
    assert _matches(rules) == {(weighted[0].server.paths[path], f"/{model}{path}", None): path for path in common}


def _unknown(objects: Objects, model: str, names: dict[str, str], common: dict[str, bool]) -> None:
    """Whatever else is below the model's path, or names a version in the header that there is not, gets a list."""
    name = f"{model}-unknown"
    (rule,) = _route(objects, name)
    reference = {"group": "gateway.envoyproxy.io", "kind": "HTTPRouteFilter", "name": name}
    assert rule["filters"] == [{"type": "ExtensionRef", "extensionRef": reference}]
    assert set(rule) == {"matches", "filters"}
    header = [{"type": "RegularExpression", "name": "x-model-version", "value": ".*"}]
    below, *named = rule["matches"]
    assert below == {"path": {"type": "PathPrefix", "value": f"/{model}"}}
    assert all(match["headers"] == header for match in named)
    assert {match["path"]["value"]: match["path"]["type"] for match in named} == {
        f"/{model}{path}": "PathPrefix" if prefix else "Exact" for path, prefix in common.items()
    }
    answer = objects.named("HTTPRouteFilter", name, "modelway-models")["spec"]
    direct = answer["directResponse"]
    assert (set(answer), direct["statusCode"]) == ({"directResponse"}, 404)
    assert set(direct) == {"statusCode", "body"}
    assert set(direct["body"]) == {"type", "inline"}
    assert direct["body"]["type"] == "Inline"
    listed = set(direct["body"]["inline"].replace(",", "").split())
    assert listed >= set(names)


def _route(objects: Objects, name: str) -> list[Any]:
    spec = objects.named("HTTPRoute", name)["spec"]
    gateway = "modelway-internal" if objects.name == "access-internal" else "modelway"
    parent = {"group": API_GROUP, "kind": "Gateway", "name": gateway, "namespace": GATEWAY}
    assert spec["parentRefs"] == [parent]
    assert spec.get("hostnames") == (["iris.example"] if objects.name.startswith(("runtime", "mixed")) else None)
    assert objects.named("HTTPRoute", name)["metadata"]["labels"] == {
        **selected(name, objects),
        PART_OF: "modelway",
        "modelway.dev/access": ACCESS.get(objects.name, "public"),
    }
    assert set(spec) <= {"parentRefs", "hostnames", "rules"}
    return list(spec["rules"])


def selected(name: str, objects: Objects) -> dict[str, str]:
    """Labels by which a model's policies find its routes."""
    (model,) = {version.model for version in versions(objects.name)}
    assert name.startswith(f"{model}-")
    return {NAME: model, COMPONENT: "route"}


def _backend(version: Version) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": version.full_name, "port": 8080}


def _rules(
    rules: list[Any], version: Version, assignment: str, backends: list[Any], mirrors: Sequence[Any] = ()
) -> None:
    headers: dict[str, Any] = {"set": [{"name": "x-modelway-assignment", "value": assignment}]}
    if version.model == "jwt":
        headers["remove"] = ["authorization"]
    seconds = 20 if version.model == "keyed" else version.server.timeout
    for rule in rules:
        assert set(rule) == {"matches", "filters", "timeouts", "backendRefs"}
        rewrite, modifier, *copies = rule["filters"]
        feedback = rewrite["urlRewrite"]["path"].get("replaceFullPath") == "/feedback"
        assert copies == ([] if feedback else list(mirrors))
        assert (rewrite["type"], set(rewrite["urlRewrite"])) == ("URLRewrite", {"path"})
        assert modifier == {"type": "RequestHeaderModifier", "requestHeaderModifier": headers}
        assert rule["timeouts"] == {"request": f"{seconds}s"}
        assert rule["backendRefs"] == backends


def _matches(rules: list[Any]) -> dict[tuple[bool, str, str | None], str]:
    """Upstream path by whether everything below is public, public path and version header."""
    result = {}
    for rule in rules:
        rewrite = rule["filters"][0]["urlRewrite"]["path"]
        below = rewrite["type"] == "ReplacePrefixMatch"
        field = "replacePrefixMatch" if below else "replaceFullPath"
        assert set(rewrite) == {"type", field}
        for match in rule["matches"]:
            assert match["path"] == {"type": "PathPrefix" if below else "Exact", "value": match["path"]["value"]}
            version = None
            if "headers" in match:
                version = match["headers"][0]["value"]
                assert match["headers"] == [{"type": "Exact", "name": "x-model-version", "value": version}]
            result[(below, match["path"]["value"], version)] = rewrite[field]
    return result


CHECKS = (server_traffic, platform_traffic, permissions, routes)
