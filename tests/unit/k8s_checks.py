"""What every set of Kubernetes objects must say so that it is hardened, stated without the code that writes it.

Each function takes the objects of one set of `k8s_objects` and raises `AssertionError` (or `KeyError` and the like)
where they differ. The mutation test shows that each field which is taken away or weakened is missed by at least one.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.unit.k8s_facts import ALERTMANAGER, KEYS, PROMETHEUS, Server, Version, versions

Manifest = dict[str, Any]

CLUSTER_SCOPED = ("APIService", "ClusterRole", "ClusterRoleBinding", "GatewayClass", "Namespace", "ClusterIssuer")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")
NAME, COMPONENT, VERSION, PART_OF = (f"app.kubernetes.io/{key}" for key in ("name", "component", "version", "part-of"))
POD_FIELDS = {
    *("serviceAccountName", "automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds"),
    *("securityContext", "topologySpreadConstraints", "containers", "volumes", "tolerations"),
    "initContainers",
}
CONTAINER_FIELDS = {
    *("name", "image", "imagePullPolicy", "ports", "env", "command", "args", "startupProbe", "readinessProbe"),
    *("livenessProbe", "lifecycle", "resources", "securityContext", "volumeMounts"),
}
"""A field that is not here is one that nobody has thought about."""
ACCOUNT_SOURCES = [
    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
]
UNITS = {"m": 1e-3, "Mi": 2.0**20, "Gi": 2.0**30, "": 1.0}


@dataclass(frozen=True)
class Objects:
    """One set of objects."""

    name: str
    manifests: list[Manifest]

    def of(self, kind: str) -> list[Manifest]:
        """All of a kind."""
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def named(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """The one of a kind with this name, in this namespace if said."""
        (found,) = [
            manifest
            for manifest in self.of(kind)
            if manifest["metadata"]["name"] == name and namespace in (None, manifest["metadata"].get("namespace"))
        ]
        return found

    def servers(self) -> Iterator[tuple[str, Server, Manifest]]:
        """Every Deployment that there must be: its name, what is known of it and its `spec`."""
        for version in versions(self.name):
            yield version.full_name, version.server, self.named("Deployment", version.full_name)["spec"]
        if self.name.startswith("monitoring"):
            yield "prometheus", PROMETHEUS, self.named("Deployment", "prometheus")["spec"]
        if self.name.startswith("alertmanager"):
            yield "alertmanager", ALERTMANAGER, self.named("Deployment", "alertmanager")["spec"]

    def containers(self) -> Iterator[tuple[str, Server, Any, Any]]:
        """The same with pod and container, of which there is one only."""
        for name, server, deployment in self.servers():
            pod = deployment["template"]["spec"]
            (container,) = pod["containers"]
            yield name, server, pod, container


def bare(manifest: Manifest) -> Manifest:
    """A manifest without its names."""
    return {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}


def selector(version: Version) -> dict[str, str]:
    return {NAME: version.model, COMPONENT: "model-server", VERSION: version.name}


def selector_of(name: str, objects: Objects) -> dict[str, str]:
    found = {version.full_name: selector(version) for version in versions(objects.name)}
    return found.get(name) or {NAME: name, COMPONENT: name, PART_OF: "modelway"}


def quantity(text: str) -> float:
    found = re.fullmatch(r"(\d+)(m|Mi|Gi|)", text)
    assert found
    return float(found[1]) * UNITS[found[2]]


def identities(objects: Objects) -> None:
    """Names, namespaces and labels by which policies, budgets and people find an object."""
    for manifest in objects.manifests:
        metadata = manifest["metadata"]
        labels = metadata["labels"]
        # That of an APIService is its version and group.
        assert manifest["kind"] == "APIService" or DNS_LABEL.fullmatch(metadata["name"])
        assert ("namespace" in metadata) is (manifest["kind"] not in CLUSTER_SCOPED)
        assert labels[PART_OF] == "modelway"
        assert manifest["kind"] == "Namespace" or (labels[NAME] and labels[COMPONENT])
        if labels.get(COMPONENT) == "model-server":
            assert f"{labels[NAME]}-{labels[VERSION]}" == metadata["name"]
        assert set(metadata) <= {"name", "namespace", "labels", "annotations"}


def namespaces(objects: Objects) -> None:
    """Pod Security enforced, audited and warned about at a pinned version, and traffic denied, in each namespace."""
    if objects.name == "namespaces":
        for name in (
            "modelway-models",
            "modelway-gateway",
            "modelway-monitoring",
            "modelway-cert-manager",
            "modelway-keda",
        ):
            modes = {
                f"pod-security.kubernetes.io/{mode}{suffix}": value
                for mode in ("enforce", "audit", "warn")
                for suffix, value in (("", "restricted"), ("-version", "v1.34"))
            }
            routes = {"modelway.dev/routes": "true"} if name == "modelway-models" else {}
            labels = objects.named("Namespace", name)["metadata"]["labels"]
            assert labels == {PART_OF: "modelway", **routes, **modes}
            denied = objects.named("NetworkPolicy", "default-deny", name)
            assert denied["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def pods(objects: Objects) -> None:
    """No privileges, no token, no host, one container, an image by digest."""
    for name, server, pod, container in objects.containers():
        user = {"runAsNonRoot": True, "runAsUser": server.user, "runAsGroup": server.user}
        seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
        assert set(pod) <= POD_FIELDS
        assert ("initContainers" in pod) is bool(server.fetch)
        assert set(container) <= CONTAINER_FIELDS
        assert pod["securityContext"] == {**user, **seccomp, "fsGroup": server.user}
        assert container["securityContext"] == {
            **user,
            **seccomp,
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
        assert pod["serviceAccountName"] == name
        account = bare(objects.named("ServiceAccount", name))
        assert account.pop("automountServiceAccountToken") is False
        assert set(account) <= {"imagePullSecrets"}
        assert container["name"] == server.container
        assert DIGEST.fullmatch(container["image"])
        assert container["imagePullPolicy"] == "IfNotPresent"


def resources(objects: Objects) -> None:
    """Requests and limits of CPU and memory as documented; GPUs with the toleration that their nodes need."""
    for _, server, pod, container in objects.containers():
        cpu_request, cpu_limit, memory_request, memory_limit = server.size
        gpus = {"nvidia.com/gpu": str(server.gpus)} if server.gpus else {}
        assert container["resources"] == {
            "requests": {"cpu": cpu_request, "memory": memory_request},
            "limits": {"cpu": cpu_limit, "memory": memory_limit, **gpus},
        }
        assert quantity(cpu_request) <= quantity(cpu_limit)
        assert quantity(memory_request) <= quantity(memory_limit)
        tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}] if server.gpus else None
        assert pod.get("tolerations") == tolerations


def volumes(objects: Objects) -> None:
    """Every volume is mounted, those with content read-only, and those that can be written have a limit."""
    for _, server, pod, container in objects.containers():
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert len(mounts) == len(container["volumeMounts"])
        # What only the init container sees is held by `k8s_fetch_checks`.
        volumes = [volume for volume in pod["volumes"] if volume["name"] not in ("source", "source-credentials")]
        assert sorted(mounts) == sorted(volume["name"] for volume in volumes)
        for volume in volumes:
            mount = mounts[volume["name"]]
            assert set(mount) <= {"name", "mountPath", "readOnly"}
            assert mount["mountPath"] in server.folders
            (kind,) = set(volume) - {"name"}
            if kind == "emptyDir":
                medium = {"medium": "Memory"} if mount["mountPath"] == "/dev/shm" else {}  # noqa: S108
                assert volume[kind] == {**medium, "sizeLimit": volume[kind]["sizeLimit"]}
                assert quantity(volume[kind]["sizeLimit"]) <= 2 * UNITS["Gi"]
            elif kind == "persistentVolumeClaim":
                assert volume[kind] == {"claimName": "prometheus"}
                assert "readOnly" not in mount
            else:
                assert mount["readOnly"] is True
                _content(kind, volume[kind], mount["mountPath"])
        assert {mount["mountPath"] for mount in mounts.values()} == set(server.folders)


def _content(kind: str, source: dict[str, Any], folder: str) -> None:
    """Volumes that bring content: keys for the group of the pod only, a configuration, an account of its own."""
    if folder == KEYS:
        items = [{"key": "token", "path": "HF_TOKEN_PATH"}]
        assert (kind, source) == (
            "projected",
            {"sources": [{"secret": {"name": "hub", "items": items}}], "defaultMode": 0o440},
        )
    elif kind == "secret":
        assert source == {"secretName": source["secretName"], "defaultMode": 0o440}
        assert source["secretName"]
    elif kind == "configMap":
        assert re.fullmatch(r"prometheus|alertmanager-[0-9a-f]{10}", source["name"])
        assert set(source) == {"name"}
    else:
        assert (kind, source) == ("projected", {"sources": ACCOUNT_SOURCES})


def claims(objects: Objects) -> None:
    """A claim is of one pod alone, and is not waited for, since its pod comes after it."""
    wanted = objects.name == "monitoring-known-nodes"
    assert [each["metadata"]["name"] for each in objects.of("PersistentVolumeClaim")] == ["prometheus"] * wanted
    for claim in objects.of("PersistentVolumeClaim"):
        assert claim["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
        assert claim["spec"] == {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "2048Mi"}},
            "storageClassName": "fast",
        }


def probes(objects: Objects) -> None:
    """Three probes that ask the pod itself, at ports and paths that it has; a server that hangs is found in time."""
    for _, server, _, container in objects.containers():
        ours = container["name"] == "server"
        assert [port["name"] for port in container["ports"]] == list(server.ports)
        for port in container["ports"]:
            assert port == {"name": port["name"], "containerPort": server.ports[port["name"]], "protocol": "TCP"}
        paths = {"startupProbe": server.ready, "readinessProbe": server.ready, "livenessProbe": server.health}
        for probe, path in paths.items():
            found = container[probe]
            assert found["httpGet"] == {"path": path, "port": server.probed, "scheme": "HTTP"}
            hangs = {"terminationGracePeriodSeconds"} if ours and probe == "livenessProbe" else set()
            assert set(found) == {"httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold", *hangs}
            assert 1 <= found["periodSeconds"] <= 15
            assert 1 <= found["timeoutSeconds"] <= 3
            assert found["failureThreshold"] >= 2
        if ours:
            ready, live = container["readinessProbe"], container["livenessProbe"]
            # Out of the rotation within 5 s, restarted within 30 s: the first look may just have passed.
            assert (ready["failureThreshold"] + 1) * max(ready["periodSeconds"], ready["timeoutSeconds"]) <= 5
            assert (live["failureThreshold"] + 1) * live["periodSeconds"] + live["terminationGracePeriodSeconds"] <= 27
            assert live["terminationGracePeriodSeconds"] >= 5
        assert container["startupProbe"]["failureThreshold"] == server.startup


def rollouts(objects: Objects) -> None:
    """A pod is there before one goes, serves until the gateway knows, and finishes what it began."""
    for name, server, deployment in objects.servers():
        pod = deployment["template"]["spec"]
        metadata = deployment["template"]["metadata"]
        own = selector_of(name, objects)
        assert deployment["selector"] == {"matchLabels": own}
        shadows = [version.full_name for version in versions(objects.name) if version.shadow]
        copies_only = {"modelway.dev/shadow": "true"} if name in shadows else {}
        assert metadata["labels"] == {**own, PART_OF: "modelway", **copies_only}
        fields = {"replicas", "selector", "strategy", "template"}
        if name in ("prometheus", "alertmanager"):
            assert set(deployment) == fields
            assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
            assert pod["terminationGracePeriodSeconds"] == 30
            assert "lifecycle" not in pod["containers"][0]
            continue
        assert set(deployment) - {"replicas"} == fields - {"replicas"} | {
            *("minReadySeconds", "progressDeadlineSeconds", "revisionHistoryLimit")
        }
        assert deployment["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        }
        assert deployment["minReadySeconds"] >= 5
        assert deployment["progressDeadlineSeconds"] == max(300, server.startup + 180) + server.fetch
        assert deployment["revisionHistoryLimit"] == 5
        drain = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": drain}}}
        assert drain >= 10
        assert pod["terminationGracePeriodSeconds"] == drain + server.timeout + 10
        assert metadata["annotations"] == {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(server.metrics_port),
            "prometheus.io/path": "/metrics",
        }


def availability(objects: Objects) -> None:
    """Two pods or more, on different nodes and zones where there are, of which one may go at a time."""
    for version in versions(objects.name):
        own = {"matchLabels": selector(version)}
        deployment = objects.named("Deployment", version.full_name)["spec"]
        assert deployment["template"]["spec"]["topologySpreadConstraints"] == [
            {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": own}
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ]
        assert objects.named("PodDisruptionBudget", version.full_name)["spec"] == {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": own,
        }
        assert deployment.get("replicas") == version.replicas
        if version.replicas is None:
            target = {"type": "Utilization", "averageUtilization": 70}
            assert objects.named("HorizontalPodAutoscaler", version.full_name)["spec"] == {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": version.full_name},
                "minReplicas": 2,
                "maxReplicas": 5,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
            }


def services(objects: Objects) -> None:
    """Inside the cluster only, and never the admin port."""
    for name, server, _ in objects.servers():
        port = {"prometheus": 9090, "alertmanager": 9093}.get(name, 8080)
        assert server.ports["http"]
        assert objects.named("Service", name)["spec"] == {
            "type": "ClusterIP",
            "selector": selector_of(name, objects),
            "ports": [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}],
        }


def secrets(objects: Objects) -> None:
    """Each Secret that there must be has what its readers look for, and nothing else."""
    for version in versions(objects.name):
        if version.feedback:
            found = bare(objects.named("Secret", f"{version.model}-feedback-key"))
            assert set(found) == {"data"}
            assert set(found["data"]) == {"keys"}
            assert len(base64.b64decode(base64.b64decode(found["data"]["keys"]))) == 32
            break
    if objects.name == "alertmanager":
        assert bare(objects.named("Secret", "alertmanager-receivers")) == {"stringData": {"hook-token": "token"}}
    if objects.name == "alertmanager-outside":
        texts = {"hook-url": "https://hooks.slack.example/x"}
        assert bare(objects.named("Secret", "alertmanager-receivers")) == {"stringData": texts}
    if objects.name == "secrets":
        # Nobody's: no header may carry a line feed.
        nobody = {"data": {"nobody.0": base64.b64encode(b"\n").decode()}}
        assert bare(objects.named("Secret", "modelway-api-keys")) == nobody
        found = bare(objects.named("Secret", "registry-pull"))
        assert found["type"] == "kubernetes.io/dockerconfigjson"
        assert set(found) == {"type", "data"}
        assert b'"auths"' in base64.b64decode(found["data"][".dockerconfigjson"])


CHECKS = (
    identities,
    namespaces,
    pods,
    resources,
    volumes,
    claims,
    probes,
    rollouts,
    availability,
    services,
    secrets,
)
