"""The objects that make the bare control plane a cluster: bindings, CoreDNS, metrics-server, as plain dicts."""

import base64
import hashlib
from typing import Any

from tools.node import layout as at
from tools.node import policy
from tools.node.pki import ADMIN_GROUP, KUBELET_CLIENT_USER
from tools.toolchain import versions

Object = dict[str, Any]

COREDNS_IMAGE = f"registry.k8s.io/coredns/coredns:v{versions.COREDNS}"
METRICS_SERVER_IMAGE = f"registry.k8s.io/metrics-server/metrics-server:v{versions.METRICS_SERVER}"
NAMESPACE = "kube-system"
METRICS_API = "v1beta1.metrics.k8s.io"
UNPRIVILEGED = 65532

COREFILE = f"""\
.:53 {{
    errors
    health :8080 {{
        lameduck 3s
    }}
    ready :8181
    kubernetes {at.CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 30
    }}
    cache 30
    loadbalance
}}
"""
"""No `forward`: the node's network leads nowhere, other names end in NXDOMAIN or REFUSED at once."""


def admin_binding() -> Object:
    """The administrator's group may do everything; revocable, unlike `system:masters`."""
    return _cluster_binding("modelway:admins", "cluster-admin", _group(ADMIN_GROUP))


def objects(authority: bytes, certificate: bytes, key: bytes) -> list[Object]:
    """Everything, in the order of creation; the arguments are PEM (metrics-server's pair, its CA)."""
    return [
        # The strictest level holds even here: neither add-on needs more.
        _namespace({"pod-security.kubernetes.io/enforce": "restricted"}),
        _cluster_binding("modelway:kubelet-api", "system:kubelet-api-admin", _user(KUBELET_CLIENT_USER)),
        *policy.objects(),
        *_coredns(),
        *_metrics_server(authority, certificate, key),
    ]


def _coredns() -> list[Object]:
    rules = [
        {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    container = {
        "name": "coredns",
        "image": COREDNS_IMAGE,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            # As in every cluster: policies that allow DNS name the port of the pod.
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1, "timeoutSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": "dns-tcp"},
    ]
    config = _object("v1", "ConfigMap", "coredns") | {"data": {"Corefile": COREFILE}}
    volumes = [{"name": "config", "configMap": {"name": "coredns"}}]
    labels = {"k8s-app": "kube-dns"}
    service = _object("v1", "Service", "kube-dns", labels)
    service["spec"] = {"clusterIP": at.DNS_ADDRESS, "selector": labels, "ports": ports}
    deployment = _deployment("coredns", labels, container, volumes, _fingerprint(COREFILE.encode()))
    # Port 53 without a capability.
    ports_from_zero = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
    deployment["spec"]["template"]["spec"]["securityContext"]["sysctls"] = [ports_from_zero]
    return [
        _object("v1", "ServiceAccount", "coredns") | {"automountServiceAccountToken": False},
        _cluster_role("system:coredns", rules),
        _cluster_binding("system:coredns", "system:coredns", _account("coredns")),
        config,
        service,
        deployment,
    ]


def _metrics_server(authority: bytes, certificate: bytes, key: bytes) -> list[Object]:
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    reader = _cluster_role(
        "system:aggregated-metrics-reader",
        [{"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}],
    )
    reader["metadata"]["labels"] = {
        f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")
    }
    labels = {"k8s-app": "metrics-server"}
    service = _object("v1", "Service", "metrics-server", labels)
    service["spec"] = {"selector": labels, "ports": [{"name": "https", "port": 443, "targetPort": "https"}]}
    secret = _object("v1", "Secret", "metrics-server-tls") | {
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": _base64(certificate), "tls.key": _base64(key)},
    }
    api = _object("apiregistration.k8s.io/v1", "APIService", METRICS_API, namespace="")
    api["spec"] = {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "caBundle": _base64(authority),
        "service": {"name": "metrics-server", "namespace": NAMESPACE, "port": 443},
    }
    volumes: list[Object] = [
        {"name": "tls", "secret": {"secretName": "metrics-server-tls", "defaultMode": 0o440}},
        # Published by the controller manager into every namespace; the same authority signs kubelet's certificate.
        {"name": "authority", "configMap": {"name": "kube-root-ca.crt"}},
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
    ]
    return [
        _object("v1", "ServiceAccount", "metrics-server") | {"automountServiceAccountToken": False},
        _cluster_role("system:metrics-server", rules),
        reader,
        _cluster_binding("system:metrics-server", "system:metrics-server", _account("metrics-server")),
        _cluster_binding("metrics-server:system:auth-delegator", "system:auth-delegator", _account("metrics-server")),
        _binding("metrics-server-auth-reader", "extension-apiserver-authentication-reader", "metrics-server"),
        secret,
        service,
        _deployment(
            "metrics-server", labels, _metrics_server_container(), volumes, _fingerprint(certificate + authority)
        ),
        api,
    ]


def _metrics_server_container() -> Object:
    probe = {"scheme": "HTTPS", "port": "https"}
    return {
        "name": "metrics-server",
        "image": METRICS_SERVER_IMAGE,
        "args": [
            "--secure-port=10250",
            "--tls-cert-file=/etc/metrics-server/tls.crt",
            "--tls-private-key-file=/etc/metrics-server/tls.key",
            "--cert-dir=/tmp",
            "--kubelet-certificate-authority=/etc/authority/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            # The shortest that it accepts: it is ready after its second look at the node.
            "--metric-resolution=10s",
            "--kubelet-request-timeout=5s",
        ],
        "ports": [{"name": "https", "containerPort": 10250, "protocol": "TCP"}],
        "livenessProbe": {"httpGet": {"path": "/livez", **probe}, "periodSeconds": 10, "failureThreshold": 3},
        "readinessProbe": {"httpGet": {"path": "/readyz", **probe}, "periodSeconds": 1, "failureThreshold": 3},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [
            {"name": "tls", "mountPath": "/etc/metrics-server", "readOnly": True},
            {"name": "authority", "mountPath": "/etc/authority", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (a path in the container)
        ],
    }


def _deployment(name: str, labels: Object, container: Object, volumes: list[Object], config: str) -> Object:
    token: Object = {
        "name": "token",
        "projected": {
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            ]
        },
    }
    mount = {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
    hardened = container | {
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [*container["volumeMounts"], mount],
    }
    pod = {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "priorityClassName": "system-cluster-critical",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UNPRIVILEGED,
            "runAsGroup": UNPRIVILEGED,
            "fsGroup": UNPRIVILEGED,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [hardened],
        "volumes": [*volumes, token],
    }
    deployment = _object("apps/v1", "Deployment", name, labels)
    deployment["spec"] = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels, "annotations": {"modelway.dev/config": config}},
            "spec": pod,
        },
    }
    return deployment


def _object(version: str, kind: str, name: str, labels: Object | None = None, namespace: str = NAMESPACE) -> Object:
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _namespace(labels: Object) -> Object:
    return _object("v1", "Namespace", NAMESPACE, labels, namespace="")


def _cluster_role(name: str, rules: list[Object]) -> Object:
    return _object("rbac.authorization.k8s.io/v1", "ClusterRole", name, namespace="") | {"rules": rules}


def _cluster_binding(name: str, role: str, subject: Object) -> Object:
    binding = _object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", name, namespace="")
    return binding | {"roleRef": _role("ClusterRole", role), "subjects": [subject]}


def _binding(name: str, role: str, account: str) -> Object:
    binding = _object("rbac.authorization.k8s.io/v1", "RoleBinding", name)
    return binding | {"roleRef": _role("Role", role), "subjects": [_account(account)]}


def _role(kind: str, name: str) -> Object:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}


def _account(name: str) -> Object:
    return {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}


def _user(name: str) -> Object:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}


def _group(name: str) -> Object:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}


def _fingerprint(content: bytes) -> str:
    """Changes the pod template with its configuration, so that pods restart into it."""
    return hashlib.sha256(content).hexdigest()[:16]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
