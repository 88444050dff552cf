"""What the objects around the servers must say: who reaches whom, who may ask the API server, what the gateway does."""

from typing import Any

from tests.unit.k8s_checks import COMPONENT, NAME, PART_OF, Objects, bare, selector
from tests.unit.k8s_facts import Version, versions

GATEWAY, MONITORING = "modelway-gateway", "modelway-monitoring"
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
OWNER = "gateway.envoyproxy.io/owning-gateway-name"
PROXY = {COMPONENT: "proxy"}
CONTROLLER = {"control-plane": "envoy-gateway"}


def _closed(objects: Objects, name: str, pods: dict[str, str], ingress: list[Any], egress: list[Any]) -> None:
    """The policy lets in and out what is named, and nothing else."""
    assert objects.named("NetworkPolicy", name)["spec"] == {
        "podSelector": {"matchLabels": pods} if pods else {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }


def server_traffic(objects: Objects) -> None:
    """Only proxies reach the port of predictions and only Prometheus the one of metrics; a server reaches nothing."""
    for version in versions(objects.name):
        ingress = [
            {"from": [_in(GATEWAY, **PROXY)], "ports": _tcp(version.server.ports["http"])},
            {
                "from": [_in(MONITORING, **{COMPONENT: "prometheus"})],
                "ports": _tcp(version.server.metrics_port),
            },
        ]
        _closed(objects, version.full_name, selector(version), ingress, [])


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
            _closed(objects, "internal-proxy", inside, [pods, metrics], egress)
            others = [_address(None, 443)]
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
            {"to": [_in(GATEWAY)], "ports": _tcp(19001)},
        ]
        _closed(objects, "prometheus", own, [], egress)


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
    found = versions(objects.name)
    prefix = f"/{found[0].model}" if found else ""
    for version in found:
        paths = {**version.server.paths, **(dict.fromkeys(PINNED_ONLY, False) if version.docs else {})}
        rules = _route(objects, version.full_name)
        _rules(rules, version, "pinned", [{**_backend(version), "weight": 1}])
        assert _matches(rules) == {
            **{(below, prefix + f"/{version.name}" + path, None): path for path, below in paths.items()},
            **{(below, prefix + path, version.name): path for path, below in paths.items() if path not in PINNED_ONLY},
        }
    if found:
        rules = _route(objects, f"{found[0].model}-split")
        weights = [100, *[0] * (len(found) - 1)]
        backends = [{**_backend(version), "weight": weight} for version, weight in zip(found, weights, strict=True)]
        _rules(rules, found[0], "split", backends)
        common = set.intersection(*(set(version.server.paths) for version in found))
        assert _matches(rules) == {(found[0].server.paths[path], prefix + path, None): path for path in common}


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


def _rules(rules: list[Any], version: Version, assignment: str, backends: list[Any]) -> None:
    headers: dict[str, Any] = {"set": [{"name": "x-modelway-assignment", "value": assignment}]}
    if version.model == "jwt":
        headers["remove"] = ["authorization"]
    seconds = 20 if version.model == "keyed" else version.server.timeout
    for rule in rules:
        assert set(rule) == {"matches", "filters", "timeouts", "backendRefs"}
        rewrite, modifier = rule["filters"]
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
