"""What the objects that scale must say: KEDA's own, and what it or Kubernetes watches for a version."""

from typing import Any

from tests.unit import k8s_gateway_checks as gateway
from tests.unit.k8s_checks import COMPONENT, NAME, PART_OF, Manifest, Objects, bare
from tests.unit.k8s_edge_checks import DNS, MONITORING, RBAC, _address, _closed, _in, _tcp

KEDA, MODELS, API = "modelway-keda", "modelway-models", "v1beta1.external.metrics.k8s.io"
OPERATOR, ADAPTER = "keda-operator", "keda-metrics-apiserver"
DIGEST = "registry.example/x@sha256:" + "a" * 64
READ, WRITE = ["get", "list", "watch"], ["get", "list", "patch", "update", "watch"]
EVENTS = [(group, ["events"], ["create", "patch"], []) for group in ("", "events.k8s.io")]
Rule = tuple[str, list[str], list[str], list[str]]
OWN: list[Rule] = [
    ("", ["secrets"], ["create", "list", "watch"], []),
    ("", ["secrets"], ["delete", "get", "patch", "update"], ["kedaorg-certs"]),
    ("coordination.k8s.io", ["leases"], ["create"], []),
    ("coordination.k8s.io", ["leases"], ["get", "patch", "update"], ["operator.keda.sh"]),
    *EVENTS,
]
CLUSTER: list[Rule] = [
    ("apiregistration.k8s.io", ["apiservices"], ["list", "watch"], []),
    ("apiregistration.k8s.io", ["apiservices"], ["get", "patch", "update"], [API]),
    ("keda.sh", ["clustertriggerauthentications"], READ, []),
    ("eventing.keda.sh", ["clustercloudeventsources"], READ, []),
]
OF_MODELS: list[Rule] = [
    ("keda.sh", ["scaledobjects", "scaledobjects/finalizers", "scaledobjects/status"], WRITE, []),
    ("keda.sh", ["scaledjobs", "triggerauthentications"], READ, []),
    ("eventing.keda.sh", ["cloudeventsources"], READ, []),
    ("autoscaling", ["horizontalpodautoscalers"], ["create", "delete", *WRITE], []),
    ("apps", ["deployments"], READ, []),
    ("apps", ["deployments/scale"], ["get", "patch", "update"], []),
    ("", ["pods"], READ, []),
    ("batch", ["jobs"], READ, []),
    *EVENTS,
]
HARDENED = {
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
USER = {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
ACCOUNT = [
    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
]


def _is_keda(objects: Objects) -> bool:
    return objects.name.startswith("keda")


def _namespaces(objects: Objects) -> list[str]:
    return [MODELS, *(["more-models"] if objects.name == "keda-known" else [])]


def _labels(name: str) -> dict[str, str]:
    return {NAME: "keda", COMPONENT: name, PART_OF: "modelway"}


def access(objects: Objects) -> None:
    """KEDA reads what scaling needs, and neither Secrets nor pods elsewhere; only the autoscaler reads its figures."""
    if not _is_keda(objects):
        return
    operator, adapter = ({"kind": "ServiceAccount", "name": name, "namespace": KEDA} for name in (OPERATOR, ADAPTER))
    asker = {"kind": "ServiceAccount", "name": "horizontal-pod-autoscaler", "namespace": "kube-system"}
    _bound(objects, "Role", OPERATOR, KEDA, OWN, operator)
    _bound(objects, "ClusterRole", f"modelway-{OPERATOR}", None, CLUSTER, operator)
    name = f"modelway-{ADAPTER}"
    _binding(objects, "ClusterRole", name, None, "system:auth-delegator", adapter)
    _binding(objects, "Role", name, "kube-system", "extension-apiserver-authentication-reader", adapter)
    for namespace in _namespaces(objects):
        _bound(objects, "Role", OPERATOR, namespace, OF_MODELS, operator)
        _bound(objects, "Role", ADAPTER, namespace, [("keda.sh", ["scaledobjects"], READ, [])], adapter)
        figures: list[Rule] = [("external.metrics.k8s.io", ["s0-prometheus", "s1-prometheus"], ["get", "list"], [])]
        _bound(objects, "Role", f"{ADAPTER}-reader", namespace, figures, asker)
    for name in (OPERATOR, ADAPTER):
        assert bare(objects.named("ServiceAccount", name, KEDA)) == {"automountServiceAccountToken": False}


def _bound(
    objects: Objects, kind: str, name: str, namespace: str | None, rules: list[Rule], subject: dict[str, str]
) -> None:
    assert objects.named(kind, name, namespace)["rules"] == [
        {"apiGroups": [group], "resources": resources, "verbs": verbs, **({"resourceNames": names} if names else {})}
        for group, resources, verbs, names in rules
    ]
    _binding(objects, kind, name, namespace, name, subject)


def _binding(objects: Objects, kind: str, name: str, namespace: str | None, role: str, subject: dict[str, str]) -> None:
    assert bare(objects.named(f"{kind}Binding", name, namespace)) == {
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": [subject],
    }


def traffic(objects: Objects) -> None:
    """The operator asks Prometheus and answers the metrics server; the API server asks that one."""
    if not _is_keda(objects):
        return
    known = "192.0.2.10/32" if objects.name == "keda-known" else None
    api_server = _address(known, 443, 6443)
    prometheus = {"to": [_in(MONITORING, **{COMPONENT: "prometheus"})], "ports": _tcp(9090)}
    operator, adapter = ({"podSelector": {"matchLabels": _labels(name)}} for name in (OPERATOR, ADAPTER))
    asked = {"from": [adapter], "ports": _tcp(9666)}
    _closed(objects, OPERATOR, _labels(OPERATOR), [asked], [DNS, api_server, prometheus])
    callers = {"from": [{"ipBlock": {"cidr": known}}]} if known else {}
    figures = {"to": [operator], "ports": _tcp(9666)}
    _closed(objects, ADAPTER, _labels(ADAPTER), [{**callers, "ports": _tcp(6443)}], [DNS, api_server, figures])
    for name, port_name, port, target in ((OPERATOR, "metrics", 9666, "grpc"), (ADAPTER, "https", 443, "https")):
        ports = [{"name": port_name, "port": port, "targetPort": target, "protocol": "TCP"}]
        found = objects.named("Service", name)["spec"]
        assert found == {"type": "ClusterIP", "selector": _labels(name), "ports": ports}
    assert objects.named("APIService", API)["spec"] == {
        "group": "external.metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"name": ADAPTER, "namespace": KEDA, "port": 443},
    }


def keda_pods(objects: Objects) -> None:
    """Two restricted pods with an account's token of an hour and a certificate that only their group reads."""
    if not _is_keda(objects):
        return
    for name in (OPERATOR, ADAPTER):
        spec = objects.named("Deployment", name)["spec"]
        pod, first = spec["template"]["spec"], name == OPERATOR
        reads = {"modelway.dev/reads-prometheus": "true"} if first else {}
        assert spec == {
            "replicas": 1,
            "selector": {"matchLabels": _labels(name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": {**_labels(name), **reads}}, "spec": pod},
        }
        (container,) = pod["containers"]
        secret: dict[str, Any] = {"secretName": "kedaorg-certs", "defaultMode": 0o440}
        volumes: list[Any] = [
            {"name": "certificates", "secret": {**secret, "optional": True} if first else secret},
            {"name": "account", "projected": {"sources": ACCOUNT}},
        ]
        assert pod == {
            "serviceAccountName": name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 10,
            "securityContext": {**USER, "fsGroup": 65532},
            "containers": [container],
            "volumes": volumes if first else [*volumes, {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}}],
        }
        _keda_container(container, name)


def _keda_container(container: dict[str, Any], name: str) -> None:
    first = name == OPERATOR
    port, scheme = ("probes", "HTTP") if first else ("https", "HTTPS")
    ports = {"grpc": 9666, "probes": 8081} if first else {"https": 6443}
    folders = {"certificates": "/certs", "account": "/var/run/secrets/kubernetes.io/serviceaccount"}
    mounts: list[Any] = [{"name": each, "mountPath": path, "readOnly": True} for each, path in folders.items()]
    told = {key: container[key] for key in ("command", "args", "env")}
    probes = {
        probe: {
            "httpGet": {"path": path, "port": port, "scheme": scheme},
            "periodSeconds": period,
            "timeoutSeconds": 2,
            "failureThreshold": failures,
        }
        for probe, path, period, failures in (
            ("startupProbe", "/readyz", 1, 120),
            ("readinessProbe", "/readyz", 5, 3),
            ("livenessProbe", "/healthz", 15, 4),
        )
    }
    assert container == {
        **told,
        **probes,
        "name": name,
        "image": DIGEST,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": each, "containerPort": number, "protocol": "TCP"} for each, number in ports.items()],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
        "securityContext": {**USER, **HARDENED},
        "volumeMounts": mounts if first else [*mounts, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def scalers(objects: Objects) -> None:
    """Bounds, and figures that hold the number of pods where they are missing; sleep only where a request wakes."""
    if objects.name != "scalers":
        return
    watched = {manifest["metadata"]["name"]: manifest for manifest in objects.manifests}
    assert set(watched) == {"iris-busy", "iris-slow", "iris-asleep", "iris-adapted"}
    assert watched["iris-adapted"]["kind"] == "HorizontalPodAutoscaler"
    adapted = {"metric": {"name": "modelway_queue_rows"}, "target": {"type": "AverageValue", "averageValue": "20000m"}}
    assert watched["iris-adapted"]["spec"] == {
        "scaleTargetRef": _deployment("iris-adapted"),
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [{"type": "Pods", "pods": adapted}],
        "behavior": _steady(300),
    }
    _scaled(watched["iris-busy"], (2, 5), {}, [("AverageValue", "4")])
    _scaled(watched["iris-slow"], (1, 5), {}, [("Value", "0.1")])
    asleep = {"cooldownPeriod": 120, "initialCooldownPeriod": 120}
    _scaled(watched["iris-asleep"], (0, 5), asleep, [("AverageValue", "4"), ("AverageValue", "1000000")])


def _deployment(name: str) -> dict[str, str]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}


def _steady(seconds: int) -> dict[str, Any]:
    return {"scaleDown": {"stabilizationWindowSeconds": seconds}}


def _scaled(
    manifest: Manifest, bounds: tuple[int, int], waits: dict[str, int], triggers: list[tuple[str, str]]
) -> None:
    assert manifest["kind"] == "ScaledObject"
    spec = manifest["spec"]
    found = [each["metadata"]["query"] for each in spec["triggers"]]
    assert spec == {
        "scaleTargetRef": _deployment(manifest["metadata"]["name"]),
        "pollingInterval": 5,
        "minReplicaCount": bounds[0],
        "maxReplicaCount": bounds[1],
        **waits,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _steady(300)}},
        "triggers": [
            {
                "type": "prometheus",
                "metricType": kind,
                "metadata": {
                    "serverAddress": "http://prometheus.modelway-monitoring.svc:9090",
                    "query": query,
                    "threshold": threshold,
                    "activationThreshold": "0",
                    "ignoreNullValues": "false",
                },
            }
            for (kind, threshold), query in zip(triggers, found, strict=True)
        ],
    }
    assert all(found)


def counts(objects: Objects) -> None:
    """Every request counts by its route and status, whoever answered, and by nothing that a client says."""
    if objects.name not in gateway.GATEWAYS:
        return
    facts = gateway.GATEWAYS[objects.name]
    for name in gateway._names(facts):
        spec = objects.named("EnvoyPatchPolicy", f"{name}-route-metrics")["spec"]
        assert (spec["targetRef"], spec["type"]) == (gateway._target(name), "JSONPatch")
        listeners = ["http", "https"] if facts.issuer and name == "modelway" else ["http"]
        assert [patch["name"] for patch in spec["jsonPatches"]] == [
            f"{gateway.NAMESPACE}/{name}/{each}" for each in listeners
        ]
        for patch in spec["jsonPatches"]:
            assert patch["type"] == "type.googleapis.com/envoy.config.listener.v3.Listener"
            assert "http_connection_manager" in patch["operation"]["jsonPath"]
            tags = [
                {"name": "route", "value_format": "%ROUTE_NAME%"},
                {"name": "code", "value_format": "%RESPONSE_CODE%"},
            ]
            logger = {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
                "stats_scope": {"prefix": "modelway"},
                "counters": [{"stat": {"name": "route_requests", "tags": tags}, "value_fixed": 1}],
            }
            value = {"name": "envoy.access_loggers.stats", "typed_config": logger}
            assert patch["operation"] == {
                "op": "add",
                "path": "/access_log/-",
                "value": value,
                "jsonPath": patch["operation"]["jsonPath"],
            }


CHECKS = (access, traffic, keda_pods, scalers, counts)
