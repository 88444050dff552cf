"""Takes one field at a time away from a set of Kubernetes objects, or weakens it."""

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.unit.cloud_mutants import removals

Manifest = dict[str, Any]
Change = Callable[[Any], None]


@dataclass(frozen=True)
class Mutant:
    """A set of objects, one of which is harmed."""

    where: str
    """Kind, name and path, and what was put there, if anything."""
    manifests: list[Manifest]
    harmed: Manifest | None
    """None where the object as a whole is gone."""


PLUMBING = {
    r"Deployment/[^/]+/spec\.template\.spec\.containers\.0\.(env|command|args)\b": (
        "what a server is told, not what it may do; test_runtimes.py and test_prometheus.py hold it"
    ),
    r"Deployment/[^/]+/metadata\.annotations": "how long the engine waits",
    r"ScaledObject/[^/]+/spec\.triggers\.\d+\.metadata\.query": "what is asked; test_autoscaling.py holds it",
    r"(ScrapeConfig|PrometheusRule)/[^/]+/(spec|$)": "what Prometheus is told; engine/test_operator.py holds it",
    r"ConfigMap/[^/]+/data": "what they are told; test_prometheus.py, test_alert_delivery.py and test_handover.py hold it",
    r"ConfigMap/(prometheus$|prometheus/|(alertmanager|log-collector)-)": "without it the pod does not start",
    r"ServiceAccount/[^/]+/imagePullSecrets": "without it an image is not pulled: a pod that does not start",
    r"[^/]+/[^/]+/(apiVersion|kind)$": "no object without them: the API server and our own tables refuse it",
}
"""Paths whose loss harms no safety, as patterns, with the reason or the test that holds them."""


def mutants(manifests: list[Manifest]) -> Iterator[Mutant]:
    """Every mutant of a set: objects, fields, list elements and branches gone, booleans turned, fields weakened."""
    for index, manifest in enumerate(manifests):
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        rest = (manifests[:index], manifests[index + 1 :])
        if not _is_plumbing(f"{name}/"):
            yield Mutant(name, [*rest[0], *rest[1]], None)
        for path, harmed in removals(manifest):
            if not _is_plumbing(f"{name}/{path}"):
                yield Mutant(f"{name}/{path}", [*rest[0], harmed, *rest[1]], harmed)
        for what, change in weakenings(manifest):
            harmed = changed(manifest, change)
            yield Mutant(f"{name}+{what}", [*rest[0], harmed, *rest[1]], harmed)


def changed(manifest: Manifest, change: Change) -> Manifest:
    """A copy with the change."""
    copied = copy.deepcopy(manifest)
    change(copied)
    return copied


def _is_plumbing(where: str) -> bool:
    return any(re.match(pattern, where) for pattern in PLUMBING)


def weakenings(manifest: Manifest) -> Iterator[tuple[str, Change]]:
    """Changes that an attacker, or a careless author, would make to an object of this kind, with their names."""
    table: dict[str, dict[str, Change]] = {
        "Namespace": _namespace(manifest),
        "Service": _SERVICE,
        "NetworkPolicy": _NETWORK_POLICY,
        "ClusterRole": _RULES,
        "Role": _RULES,
        "ClusterRoleBinding": _BINDING,
        "RoleBinding": _BINDING,
        "Deployment": _DEPLOYMENT,
        "PodDisruptionBudget": {"maxUnavailable": lambda each: each["spec"].update(maxUnavailable="100%")},
        "HorizontalPodAutoscaler": {"minReplicas": lambda each: each["spec"].update(minReplicas=1)},
        "ScaledObject": {"asleep": lambda each: each["spec"].update(minReplicaCount=None)},
        "Lease": {"held by nobody that runs": lambda each: each["spec"].update(holderIdentity="other")},
        "APIService": {"unchecked": lambda each: each["spec"].update(insecureSkipTLSVerify=True)},
        "EnvoyProxy": _ENVOY_PROXY,
        "Gateway": _GATEWAY,
        "HTTPRoute": _routes(manifest.get("spec", {}).get("rules", [{}])[0]),
        "HTTPRouteFilter": _ANSWER,
        "Ingress": _INGRESS,
        "ClientTrafficPolicy": _CONNECTIONS,
        "SecurityPolicy": _security_policy(manifest.get("spec", {})),
        "BackendTrafficPolicy": _limits(manifest.get("spec", {})),
        "EnvoyExtensionPolicy": _EXTENSION,
        "Certificate": _CERTIFICATE,
    }
    yield from table.get(manifest["kind"], {}).items()


def _pod(**fields: Any) -> Change:
    return lambda each: each["spec"]["template"]["spec"].update(fields)


def _container(**fields: Any) -> Change:
    return lambda each: each["spec"]["template"]["spec"]["containers"][0].update(fields)


def _security(**fields: Any) -> Change:
    return lambda each: each["spec"]["template"]["spec"]["containers"][0]["securityContext"].update(fields)


def _pod_security(**fields: Any) -> Change:
    return lambda each: each["spec"]["template"]["spec"]["securityContext"].update(fields)


def _added(key: str, value: Any) -> Change:
    return lambda each: each["spec"]["template"]["spec"].setdefault(key, []).append(value)


def _label(mode: str, value: str) -> Change:
    return lambda each: each["metadata"]["labels"].update({f"pod-security.kubernetes.io/{mode}": value})


def _spec(**fields: Any) -> Change:
    return lambda each: each["spec"].update(fields)


_NAMESPACE: dict[str, Change] = {
    f"{mode} {level}": _label(mode, level)
    for mode in ("enforce", "audit", "warn")
    for level in ("privileged", "baseline")
}
_NAMESPACE["enforce-version"] = _label("enforce-version", "v1.0")


def _namespace(manifest: Manifest) -> dict[str, Change]:
    """One that admits everything already, for the log collector, is not weakened by that."""
    enforced = manifest["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce")
    return {what: change for what, change in _NAMESPACE.items() if what != f"enforce {enforced}"}


_SERVICE: dict[str, Change] = {
    "NodePort": _spec(type="NodePort"),
    "LoadBalancer": _spec(type="LoadBalancer"),
    "externalIPs": _spec(externalIPs=["203.0.113.9"]),
    "admin port": lambda each: each["spec"]["ports"].append({"name": "admin", "port": 9090, "targetPort": "admin"}),
    "wide selector": _spec(selector={"app.kubernetes.io/part-of": "modelway"}),
    "publishNotReadyAddresses": _spec(publishNotReadyAddresses=True),
}
_NETWORK_POLICY: dict[str, Change] = {
    "ingress from anyone": lambda each: each["spec"].update(ingress=[*each["spec"].get("ingress", []), {}]),
    "egress to anyone": lambda each: each["spec"].update(egress=[*each["spec"].get("egress", []), {}]),
    "egress to the metadata address": lambda each: each["spec"].update(
        egress=[*each["spec"].get("egress", []), {"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}]}]
    ),
    "ingress of a namespace": lambda each: each["spec"].update(
        ingress=[*each["spec"].get("ingress", []), {"from": [{"podSelector": {}}]}]
    ),
    "selects other pods": _spec(podSelector={"matchLabels": {"a": "b"}}),
}
_RULES: dict[str, Change] = {
    "all verbs": lambda each: each["rules"][0].update(verbs=["*"]),
    "all resources": lambda each: each["rules"][0].update(resources=["*"]),
    "secrets": lambda each: each["rules"][0]["resources"].append("secrets"),
    "another rule": lambda each: each["rules"].append({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
}
_BINDING: dict[str, Change] = {
    "cluster-admin": lambda each: each["roleRef"].update(kind="ClusterRole", name="cluster-admin"),
    "everyone": lambda each: each["subjects"].append({"kind": "Group", "name": "system:authenticated"}),
}
_DEPLOYMENT: dict[str, Change] = {
    **{name: _pod(**{name: True}) for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")},
    "automountServiceAccountToken": _pod(automountServiceAccountToken=True),
    "default account": _pod(serviceAccountName="default"),
    "hostAliases": _pod(hostAliases=[{"ip": "192.0.2.1", "hostnames": ["x"]}]),
    "hostPath": _added("volumes", {"name": "host", "hostPath": {"path": "/"}}),
    "token volume": _added(
        "volumes", {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}
    ),
    "sidecar": _added("containers", {"name": "other", "image": "registry.example/other:v1"}),
    "initContainer": _added("initContainers", {"name": "other", "image": "registry.example/other:v1"}),
    "tolerates all": _added("tolerations", {"operator": "Exists"}),
    "pod as root": _pod_security(runAsUser=0, runAsNonRoot=False),
    "pod group root": _pod_security(runAsGroup=0),
    "pod volumes of root": _pod_security(fsGroup=0),
    "supplementalGroups": _pod_security(supplementalGroups=[0]),
    "sysctls": _pod_security(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
    "pod seccomp": _pod_security(seccompProfile={"type": "Unconfined"}),
    "privileged": _security(privileged=True),
    "root": _security(runAsUser=0),
    "group root": _security(runAsGroup=0),
    "runAsNonRoot": _security(runAsNonRoot=False),
    "allowPrivilegeEscalation": _security(allowPrivilegeEscalation=True),
    "readOnlyRootFilesystem": _security(readOnlyRootFilesystem=False),
    "added capability": _security(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
    "kept capabilities": _security(capabilities={"drop": ["NET_RAW"]}),
    "seccomp": _security(seccompProfile={"type": "Unconfined"}),
    "appArmor": _security(appArmorProfile={"type": "Unconfined"}),
    "procMount": _security(procMount="Unmasked"),
    "image by tag": _container(image="registry.example/x:v1"),
    "image without tag": _container(image="registry.example/x"),
    "hostPort": lambda each: each["spec"]["template"]["spec"]["containers"][0]["ports"][0].update(hostPort=80),
    "envFrom": _container(envFrom=[{"secretRef": {"name": "modelway-api-keys"}}]),
    "shell hook": _container(lifecycle={"postStart": {"exec": {"command": ["sh"]}}}),
    "probe of another host": lambda each: each["spec"]["template"]["spec"]["containers"][0]["livenessProbe"][
        "httpGet"
    ].update(host="192.0.2.1"),
    "unlimited memory": lambda each: each["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"].update(
        memory="1000Gi"
    ),
    "unlimited cpu": lambda each: each["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"].update(
        cpu="1000"
    ),
    "no pods": _spec(replicas=0),
    "Recreate and lose": lambda each: each["spec"]["strategy"].update(rollingUpdate={"maxUnavailable": "100%"}),
}


def _kubernetes(each: Manifest) -> Any:
    return each["spec"]["provider"]["kubernetes"]


def _envoy(**fields: Any) -> Change:
    return lambda each: _kubernetes(each)["envoyDeployment"]["container"]["securityContext"].update(fields)


_ENVOY_PROXY: dict[str, Change] = {
    "privileged": _envoy(privileged=True),
    "root": _envoy(runAsUser=0),
    "readOnlyRootFilesystem": _envoy(readOnlyRootFilesystem=False),
    "capabilities": _envoy(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
    "seccomp": _envoy(seccompProfile={"type": "Unconfined"}),
    "pod seccomp": lambda each: _kubernetes(each)["envoyDeployment"]["pod"]["securityContext"].update(
        seccompProfile={"type": "Unconfined"}
    ),
    "host volume": lambda each: _kubernetes(each)["envoyDeployment"]["pod"]["volumes"].append(
        {"name": "host", "hostPath": {"path": "/"}}
    ),
    "hostNetwork": lambda each: _kubernetes(each)["envoyDeployment"]["patch"]["value"]["spec"]["template"][
        "spec"
    ].update(hostNetwork=True),
    "bootstrap": lambda each: each["spec"].update(bootstrap={"type": "Replace", "value": "admin: {}"}),
    "extra arguments": lambda each: each["spec"].update(extraArgs=["--disable-extensions=x"]),
    "debug log": lambda each: each["spec"]["logging"]["level"].update(default="debug"),
    "LoadBalancer": lambda each: _kubernetes(each)["envoyService"].update(type="LoadBalancer"),
}
_GATEWAY: dict[str, Change] = {
    "routes of all namespaces": lambda each: each["spec"]["listeners"][0]["allowedRoutes"]["namespaces"].update(
        {"from": "All"}
    ),
    "another listener": lambda each: each["spec"]["listeners"].append({"name": "x", "protocol": "TCP", "port": 22}),
    "another class": lambda each: each["spec"].update(gatewayClassName="any"),
    "plain listener": lambda each: each["spec"]["listeners"][-1].update(protocol="HTTP", tls=None),
    "TLS passed through": lambda each: each["spec"]["listeners"][-1].update(tls={"mode": "Passthrough"}),
}


def _rule(each: Manifest) -> Any:
    return each["spec"]["rules"][0]


_ROUTE: dict[str, Change] = {
    "every path": lambda each: _rule(each)["matches"].append({"path": {"type": "PathPrefix", "value": "/"}}),
    "admin path": lambda each: _rule(each)["filters"][0]["urlRewrite"].update(
        path={"type": "ReplaceFullPath", "replaceFullPath": "/metrics"}
    ),
    "admin port": lambda each: _rule(each)["backendRefs"][0].update(port=9090),
    "another namespace": lambda each: _rule(each)["backendRefs"][0].update(namespace="kube-system"),
    "another gateway": lambda each: each["spec"]["parentRefs"].append({"name": "other"}),
    "another rule": lambda each: each["spec"]["rules"].append({"backendRefs": [{"name": "x", "port": 9090}]}),
    "endless request": lambda each: _rule(each)["timeouts"].update(request="0s"),
    "client says how it was assigned": lambda each: _rule(each)["filters"].pop(1),
}

_REDIRECT: dict[str, Change] = {
    "to http": lambda each: _rule(each)["filters"][0]["requestRedirect"].update(scheme="http"),
    "to another host": lambda each: _rule(each)["filters"][0]["requestRedirect"].update(hostname="other.example"),
    "answers itself": lambda each: _rule(each).update(filters=[], backendRefs=[{"name": "x", "port": 80}]),
    "on every listener": lambda each: each["spec"].update(parentRefs=[{"name": "modelway"}]),
}
_UNKNOWN: dict[str, Change] = {
    "every path": lambda each: _rule(each)["matches"][0]["path"].update(value="/"),
    "one header": lambda each: _rule(each)["matches"][1]["headers"][0].update(type="Exact", value="v9"),
    "another answer": lambda each: _rule(each)["filters"][0]["extensionRef"].update(name="other"),
    "left to a server": lambda each: _rule(each).update(filters=[], backendRefs=[{"name": "x", "port": 8080}]),
}
_INGRESS: dict[str, Change] = {
    "every host": lambda each: _rule(each).pop("host"),
    "every path": lambda each: _rule(each)["http"]["paths"][0].update(path="/", pathType="Prefix"),
    "admin port": lambda each: _rule(each)["http"]["paths"][0]["backend"]["service"].update(port={"number": 9090}),
    "default backend": _spec(defaultBackend={"service": {"name": "x", "port": {"number": 80}}}),
    "a snippet": lambda each: each["metadata"]["annotations"].update(
        {"nginx.ingress.kubernetes.io/configuration-snippet": "return 200;"}
    ),
}
_ANSWER: dict[str, Change] = {
    "found": lambda each: each["spec"]["directResponse"].update(statusCode=200),
    "no list": lambda each: each["spec"]["directResponse"]["body"].update(inline=""),
    "from elsewhere": lambda each: each["spec"]["directResponse"].update(
        body={"type": "ValueRef", "valueRef": {"kind": "ConfigMap", "name": "x"}}
    ),
    "rewrites": _spec(urlRewrite={"hostname": {"type": "Backend"}}),
}
_CONNECTIONS: dict[str, Change] = {
    "TLS 1.0": _spec(tls={"minVersion": "1.0"}),
    "weak ciphers": _spec(tls={"minVersion": "1.2", "ciphers": ["ECDHE-RSA-AES128-SHA"]}),
    "proxy protocol of anyone": _spec(enableProxyProtocol=True),
    "all forwarded headers believed": _spec(clientIPDetection={"xForwardedFor": {"numTrustedHops": 9}}),
    "any header believed": _spec(clientIPDetection={"customHeader": {"name": "x-real-ip"}}),
    "slashes": _spec(path={"escapedSlashesAction": "KeepUnchanged"}),
    "slow headers": lambda each: each["spec"]["timeout"]["http"].update(requestHeadersReceivedTimeout="0s"),
    "connections without end": lambda each: each["spec"]["connection"]["connectionLimit"].update(value=1000000),
    "client says who it is": lambda each: each["spec"]["headers"]["earlyRequestHeaders"].update(remove=[]),
    "underscores": lambda each: each["spec"]["headers"].update(withUnderscoresAction="Allow"),
}
_EXTENSION: dict[str, Change] = {
    "another script": lambda each: each["spec"]["lua"].append({"type": "Inline", "inline": "os.exit()"}),
    "no script": lambda each: each["spec"]["lua"][0].update(inline=""),
    "Wasm": _spec(wasm=[{"name": "x", "code": {"type": "HTTP", "http": {"url": "http://other.example/x"}}}]),
}
_CERTIFICATE: dict[str, Change] = {
    "short key": lambda each: each["spec"].update(privateKey={"algorithm": "RSA", "size": 1024}),
    "may sign": lambda each: each["spec"].update(isCA=not each["spec"].get("isCA", False)),
    "any usage": lambda each: each["spec"].update(usages=["any"]),
    "every host": lambda each: each["spec"].update(dnsNames=["*"]),
    "another issuer": lambda each: each["spec"]["issuerRef"].update(kind="ClusterIssuer"),
}


def _routes(first: Manifest) -> dict[str, Change]:
    """Changes of a route by what its first rule does."""
    if "timeouts" not in first:
        return _UNKNOWN if first.get("filters", [{}])[0].get("type") == "ExtensionRef" else _REDIRECT
    found = dict(_ROUTE)
    if any(each["type"] == "RequestMirror" for each in first.get("filters", [])):
        found["copies to another"] = lambda each: _rule(each)["filters"][-1]["requestMirror"]["backendRef"].update(
            name="other"
        )
        found["no copies"] = lambda each: _rule(each)["filters"].pop()
    if first.get("backendRefs", [{}])[0].get("filters"):
        found["one pool of pods"] = lambda each: _rule(each)["backendRefs"][0].pop("filters")
    return found


def _security_policy(spec: Manifest) -> dict[str, Change]:
    """Changes of the parts that a policy has."""
    found: dict[str, Change] = {
        "everyone": lambda each: each["spec"].update(authorization={"defaultAction": "Allow"}),
        "basic": lambda each: each["spec"].update(basicAuth={"users": {"name": "other"}}),
    }
    if "apiKeyAuth" in spec:
        found["key in the URL"] = lambda each: each["spec"]["apiKeyAuth"]["extractFrom"].append({"params": ["key"]})
        found["key is passed on"] = lambda each: each["spec"]["apiKeyAuth"].update(sanitize=False)
        found["other keys"] = lambda each: each["spec"]["apiKeyAuth"]["credentialRefs"].append({"name": "other"})
        found["every page"] = lambda each: each["spec"]["cors"].update(allowOrigins=["*"], allowCredentials=True)
        found["every address"] = lambda each: each["spec"]["authorization"]["rules"].append(
            {"action": "Allow", "principal": {"clientCIDRs": ["0.0.0.0/0"]}}
        )
    if "jwt" in spec:
        found["optional token"] = lambda each: each["spec"]["jwt"].update(optional=True)
        found["any audience"] = lambda each: each["spec"]["jwt"]["providers"][0].update(audiences=[])
        found["token in the URL"] = lambda each: each["spec"]["jwt"]["providers"][0]["extractFrom"].update(
            params=["token"]
        )
        found["another issuer"] = lambda each: each["spec"]["jwt"]["providers"].append({"name": "other"})
    return found


def _limits(spec: Manifest) -> dict[str, Change]:
    """Changes of the parts that a policy has."""
    found: dict[str, Change] = {
        "no idle timeout": lambda each: each["spec"]["timeout"]["http"].update(connectionIdleTimeout="0s"),
        "retries": _spec(retry={"numRetries": 10}),
    }
    if "rateLimit" in spec:
        found["ten times as many"] = lambda each: each["spec"]["rateLimit"]["local"]["rules"][0]["limit"].update(
            requests=500
        )
        found["only watched"] = lambda each: each["spec"]["rateLimit"]["local"]["rules"][0].update(shadowMode=True)
    if "loadBalancer" in spec:
        found["by chance"] = lambda each: each["spec"].update(loadBalancer={"type": "LeastRequest"})
        found["by address"] = lambda each: each["spec"]["loadBalancer"].update(consistentHash={"type": "SourceIP"})
    if "cookie" in spec.get("loadBalancer", {}).get("consistentHash", {}):
        found["cookie is made"] = lambda each: each["spec"]["loadBalancer"]["consistentHash"]["cookie"].update(ttl="1h")
    if "requestBuffer" in spec:
        found["large bodies"] = lambda each: each["spec"]["requestBuffer"].update(limit="1Gi")
    return found
