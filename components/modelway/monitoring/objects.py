"""Kubernetes objects of one plain Prometheus, as plain data."""

from dataclasses import dataclass, replace
from typing import Any

import yaml

from modelway._common import Manifest, labels
from modelway._egress import ANYWHERE, DNS_EGRESS, address_egress, api_server_egress
from modelway._hardening import container_security, http_probe, pod_security
from modelway.monitoring.alert_rules import AlertRule, alert_rule_groups, with_runbooks
from modelway.monitoring.alertmanager import AlertmanagerSpec, alertmanager_egress
from modelway.monitoring.config import ACCOUNT_DIRECTORY, ScrapeSpec, prometheus_config, stack_rules
from modelway.monitoring.quality_args import Quality
from modelway.monitoring.remote_write import (
    RemoteWrite,
    pod_metadata,
    remote_write_config,
    remote_write_egress,
    remote_write_features,
)
from modelway.monitoring.slo import Slo

NAME = "prometheus"
READER_LABEL = "modelway.dev/reads-prometheus"
"""Pods with this label set to `true`, in the namespaces that Prometheus is told of, may ask it."""
PORT = 9090
USER_ID = 65534
RELOAD_SECONDS = 5
"""How often Prometheus looks whether its configuration has changed; the kubelet brings a change within its own
`syncFrequency`, a minute unless set."""


@dataclass(frozen=True)
class MonitoringSpec:
    """Everything that decides the objects of the monitoring stack."""

    namespace: str
    image: Any
    scrape: ScrapeSpec
    retention_hours: int = 360
    storage_mb: int = 2048
    storage_class: str = ""
    """Of the volume of samples; the pod's own disk where empty."""
    api_server_cidrs: tuple[str, ...] = (ANYWHERE,)
    node_cidrs: tuple[str, ...] = (ANYWHERE,)
    slos: tuple[Slo, ...] = ()
    qualities: tuple[Quality, ...] = ()
    readers_namespaces: tuple[str, ...] = ()
    """Where pods that ask it run; they carry `READER_LABEL`."""
    alerts: tuple[AlertRule, ...] = ()
    alertmanager: AlertmanagerSpec | None = None
    """Who is told of alerts; nobody where there is none."""
    external_url: str = ""
    """Where people open Prometheus; empty for its address in the cluster."""
    runbook_base_url: str = ""
    """What stands for `docs/runbooks` in the alerts' links; empty to leave them as they are."""
    remote_write: RemoteWrite | None = None
    """Where recorded series are sent on to."""


def monitoring_manifests(spec: MonitoringSpec) -> list[Manifest]:
    """All objects of Prometheus, in the order in which they are created."""
    return [
        _object(spec, "v1", "ServiceAccount", automountServiceAccountToken=False),
        *_access(spec),
        _config_map(spec),
        *([_claim(spec)] if spec.storage_class else []),
        _network_policy(spec),
        _service(spec),
        _deployment(spec),
    ]


def _metadata(spec: MonitoringSpec, name: str = NAME) -> dict[str, Any]:
    return {"name": name, "namespace": spec.namespace, "labels": labels(NAME, NAME)}


def _object(stack: MonitoringSpec, api_version: str, kind: str, **fields: Any) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "metadata": _metadata(stack), **fields}


def _access(spec: MonitoringSpec) -> list[Manifest]:
    """Pods of the scraped namespaces and the kubelets' metrics, read-only."""
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": spec.namespace}
    cluster_name = f"modelway-{NAME}"
    shared = {"name": cluster_name, "labels": labels(NAME, NAME)}
    rules = [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
    ]
    manifests: list[Manifest] = [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": shared, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": shared,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": cluster_name},
            "subjects": [subject],
        },
    ]
    pods = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    for namespace in (*spec.scrape.models_namespaces, spec.scrape.gateway_namespace):
        metadata = {"name": NAME, "namespace": namespace, "labels": labels(NAME, NAME)}
        role = {"apiGroup": group, "kind": "Role", "name": NAME}
        manifests += [
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": pods},
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": role,
                "subjects": [subject],
            },
        ]
    return manifests


def config_of(spec: MonitoringSpec) -> dict[str, Any]:
    """The content of `prometheus.yml`."""
    config = prometheus_config(spec.scrape, spec.alertmanager.address if spec.alertmanager else "")
    return config | ({"remote_write": [remote_write_config(spec.remote_write)]} if spec.remote_write else {})


def rules_of(spec: MonitoringSpec) -> dict[str, Any]:
    """The content of `rules.yml`."""
    rules = stack_rules(spec.slos, spec.qualities)
    return with_runbooks({"groups": [*rules["groups"], *alert_rule_groups(spec.alerts)]}, spec.runbook_base_url)


def config_text(spec: MonitoringSpec) -> str:
    """The text of `prometheus.yml`."""
    return yaml.safe_dump(config_of(spec), sort_keys=False, width=1000)


def _config_map(spec: MonitoringSpec) -> Manifest:
    data = {
        "prometheus.yml": _known_text(spec),
        "rules.yml": yaml.safe_dump(rules_of(spec), sort_keys=False, width=1000),
    }
    # One name whatever the content: a pod that is replaced for a changed rule would look away meanwhile, and on its own
    # disk lose the history that budgets and alerts are computed of.
    return _object(spec, "v1", "ConfigMap", data=data)


def _known_text(spec: MonitoringSpec) -> Any:
    """The text, or an output of it where it holds the address that another part of the program gives."""
    remote = spec.remote_write
    if remote is None or isinstance(remote.url, str):
        return config_text(spec)
    return remote.url.apply(lambda url: config_text(replace(spec, remote_write=replace(remote, url=url))))


def claim_spec(spec: MonitoringSpec) -> dict[str, Any]:
    """`spec` of the claim of the volume of samples."""
    found: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{spec.storage_mb}Mi"}},
    }
    return {**found, "storageClassName": spec.storage_class} if spec.storage_class else found


def _claim(spec: MonitoringSpec) -> Manifest:
    claim = _object(spec, "v1", "PersistentVolumeClaim", spec=claim_spec(spec))
    # Most classes bind a claim when its first pod comes, and the pod comes after the claim.
    claim["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    return claim


def _network_policy(spec: MonitoringSpec) -> Manifest:
    def inside(namespace: str) -> dict[str, Any]:
        return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}

    server = {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "model-server"}}}
    # Each server's own policy says which of its ports, since runtimes differ.
    servers = {"to": [inside(namespace) | server for namespace in spec.scrape.models_namespaces]}
    judge = {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "rollout-judge"}}}
    judges = {
        "to": [inside(namespace) | judge for namespace in spec.scrape.models_namespaces],
        "ports": [{"protocol": "TCP", "port": 9090}],
    }
    proxies = {"to": [inside(spec.scrape.gateway_namespace)], "ports": [{"protocol": "TCP", "port": 19001}]}
    kubelets = address_egress(spec.node_cidrs, 10250)
    reader = {"podSelector": {"matchLabels": {READER_LABEL: "true"}}}
    readers = [inside(namespace) | reader for namespace in spec.readers_namespaces]
    return _object(
        spec,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={
            "podSelector": {"matchLabels": labels(NAME, NAME)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": readers, "ports": [{"protocol": "TCP", "port": PORT}]}] if readers else [],
            "egress": [
                *(DNS_EGRESS, api_server_egress(spec.api_server_cidrs), kubelets, servers, judges, proxies),
                *([alertmanager_egress()] if spec.alertmanager else []),
                *(remote_write_egress(spec.remote_write) if spec.remote_write else []),
            ],
        },
    )


def _service(spec: MonitoringSpec) -> Manifest:
    ports = [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}]
    return _object(
        spec,
        "v1",
        "Service",
        spec={"type": "ClusterIP", "selector": labels(NAME, NAME), "ports": ports},
    )


def _deployment(spec: MonitoringSpec) -> Manifest:
    return _object(
        spec,
        "apps/v1",
        "Deployment",
        spec={
            "replicas": 1,
            "selector": {"matchLabels": labels(NAME, NAME)},
            # Two processes must not write one data folder; a gap in the scrapes is the smaller harm.
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": pod_metadata(labels(NAME, NAME), spec.remote_write),
                "spec": {
                    "serviceAccountName": NAME,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 30,
                    "securityContext": pod_security(USER_ID),
                    "containers": [_container(spec)],
                    "volumes": _volumes(spec),
                },
            },
        },
    )


def _container(spec: MonitoringSpec) -> dict[str, Any]:
    return {
        "name": NAME,
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "--config.file=/etc/prometheus/prometheus.yml",
            # https://prometheus.io/docs/prometheus/latest/feature_flags/#auto-reload-config
            *(f"--enable-feature={each}" for each in ("auto-reload-config", *remote_write_features(spec.remote_write))),
            f"--config.auto-reload-interval={RELOAD_SECONDS}s",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={spec.retention_hours}h",
            f"--storage.tsdb.retention.size={spec.storage_mb * 8 // 10}MB",
            # Whatever path the external URL has, probes and queries ask without it.
            *([f"--web.external-url={spec.external_url}", "--web.route-prefix=/"] if spec.external_url else []),
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": http_probe("/-/ready", "http", 1, 120, timeout_seconds=3),
        "readinessProbe": http_probe("/-/ready", "http", 5, 3, timeout_seconds=3),
        "livenessProbe": http_probe("/-/healthy", "http", 15, 4, timeout_seconds=3),
        "resources": {
            "requests": {"cpu": "50m", "memory": "256Mi"},
            "limits": {"cpu": "1", "memory": "1Gi"},
        },
        "securityContext": container_security(USER_ID),
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/prometheus", "readOnly": True},
            {"name": "data", "mountPath": "/prometheus"},
            {"name": "account", "mountPath": ACCOUNT_DIRECTORY, "readOnly": True},
        ],
    }


def _volumes(spec: MonitoringSpec) -> list[dict[str, Any]]:
    certificate = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {"configMap": certificate},
    ]
    own_disk = {"emptyDir": {"sizeLimit": f"{spec.storage_mb}Mi"}}
    return [
        {"name": "config", "configMap": {"name": NAME}},
        {"name": "data", **({"persistentVolumeClaim": {"claimName": NAME}} if spec.storage_class else own_disk)},
        {"name": "account", "projected": {"sources": sources}},
    ]
