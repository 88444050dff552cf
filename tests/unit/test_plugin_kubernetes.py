"""Rules of the Kubernetes stand-in that need neither engine nor cluster."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi.runtime.proto import provider_pb2 as pb

from tools.paths import PROJECT
from tools.plugins import kubeapi, wire
from tools.plugins.kubernetes import objects, release, waits
from tools.plugins.kubernetes.__main__ import Kubernetes
from tools.plugins.kubernetes.kinds import RELEASE, TYPES
from tools.plugins.wire import UNKNOWN, Secret

URN = "urn:pulumi:dev::project::{}::name"
LINES = 610


def kubeconfig(server: str = "https://127.0.0.1:6443", namespace: str = "", user: str = "u") -> str:
    """A kubeconfig with one cluster."""
    context = {"cluster": "c", "user": user, **({"namespace": namespace} if namespace else {})}
    return yaml.safe_dump(
        {
            "current-context": "x",
            "contexts": [{"name": "x", "context": context}],
            "clusters": [{"name": "c", "cluster": {"server": server}}],
        }
    )


@pytest.fixture
def plugin() -> Kubernetes:
    """The plugin, configured for a cluster that nobody asks."""
    plugin = Kubernetes()
    plugin.Configure(pb.ConfigureRequest(args=wire.encode({"kubeconfig": kubeconfig(namespace="own")})), None)
    return plugin


def test_the_plugin_keeps_to_its_size() -> None:
    files = (PROJECT / "tools/plugins/kubernetes").glob("*.py")
    assert sum(len(file.read_text().splitlines()) for file in files) <= LINES


def test_every_served_type_has_the_path_of_the_api_server() -> None:
    paths = {token: kind.path("ns", "x") for token, kind in TYPES.items()}
    assert RELEASE == "kubernetes:helm.sh/v3:Release"
    assert paths == {
        "kubernetes:core/v1:Namespace": "/api/v1/namespaces/x",
        "kubernetes:core/v1:ServiceAccount": "/api/v1/namespaces/ns/serviceaccounts/x",
        "kubernetes:core/v1:PersistentVolumeClaim": "/api/v1/namespaces/ns/persistentvolumeclaims/x",
        "kubernetes:core/v1:ConfigMap": "/api/v1/namespaces/ns/configmaps/x",
        "kubernetes:core/v1:Secret": "/api/v1/namespaces/ns/secrets/x",
        "kubernetes:core/v1:Service": "/api/v1/namespaces/ns/services/x",
        "kubernetes:monitoring.coreos.com/v1:PrometheusRule": (
            "/apis/monitoring.coreos.com/v1/namespaces/ns/prometheusrules/x"
        ),
        "kubernetes:monitoring.coreos.com/v1alpha1:ScrapeConfig": (
            "/apis/monitoring.coreos.com/v1alpha1/namespaces/ns/scrapeconfigs/x"
        ),
        "kubernetes:apps/v1:DaemonSet": "/apis/apps/v1/namespaces/ns/daemonsets/x",
        "kubernetes:apps/v1:Deployment": "/apis/apps/v1/namespaces/ns/deployments/x",
        "kubernetes:policy/v1:PodDisruptionBudget": "/apis/policy/v1/namespaces/ns/poddisruptionbudgets/x",
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler": (
            "/apis/autoscaling/v2/namespaces/ns/horizontalpodautoscalers/x"
        ),
        "kubernetes:networking.k8s.io/v1:NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/ns/networkpolicies/x",
        "kubernetes:rbac.authorization.k8s.io/v1:Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/ns/roles/x",
        "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/ns/rolebindings/x"
        ),
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles/x",
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": (
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/x"
        ),
        "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x"
        ),
        "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy": (
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/x"
        ),
        "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding": (
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/x"
        ),
        "kubernetes:apiregistration.k8s.io/v1:APIService": "/apis/apiregistration.k8s.io/v1/apiservices/x",
        "kubernetes:keda.sh/v1alpha1:ScaledObject": "/apis/keda.sh/v1alpha1/namespaces/ns/scaledobjects/x",
        "kubernetes:coordination.k8s.io/v1:Lease": "/apis/coordination.k8s.io/v1/namespaces/ns/leases/x",
        "kubernetes:networking.k8s.io/v1:Ingress": "/apis/networking.k8s.io/v1/namespaces/ns/ingresses/x",
        "kubernetes:cert-manager.io/v1:Issuer": "/apis/cert-manager.io/v1/namespaces/ns/issuers/x",
        "kubernetes:cert-manager.io/v1:Certificate": "/apis/cert-manager.io/v1/namespaces/ns/certificates/x",
        **{
            f"kubernetes:gateway.envoyproxy.io/v1alpha1:{name}": (
                f"/apis/gateway.envoyproxy.io/v1alpha1/namespaces/ns/{plural}/x"
            )
            for name, plural in (
                ("ClientTrafficPolicy", "clienttrafficpolicies"),
                ("EnvoyExtensionPolicy", "envoyextensionpolicies"),
                ("EnvoyPatchPolicy", "envoypatchpolicies"),
                ("HTTPRouteFilter", "httproutefilters"),
                ("SecurityPolicy", "securitypolicies"),
            )
        },
        "kubernetes:gateway.networking.k8s.io/v1:GatewayClass": "/apis/gateway.networking.k8s.io/v1/gatewayclasses/x",
        "kubernetes:gateway.networking.k8s.io/v1:Gateway": (
            "/apis/gateway.networking.k8s.io/v1/namespaces/ns/gateways/x"
        ),
        "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute": (
            "/apis/gateway.networking.k8s.io/v1/namespaces/ns/httproutes/x"
        ),
        "kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy": (
            "/apis/gateway.envoyproxy.io/v1alpha1/namespaces/ns/envoyproxies/x"
        ),
        "kubernetes:gateway.envoyproxy.io/v1alpha1:BackendTrafficPolicy": (
            "/apis/gateway.envoyproxy.io/v1alpha1/namespaces/ns/backendtrafficpolicies/x"
        ),
    }


def test_provider_inputs_that_are_not_served_are_refused_all_together() -> None:
    news = {"cluster": "x", "strictMode": "true", "enableServerSideApply": "false", "version": "4.34.2"}
    response = Kubernetes().CheckConfig(pb.CheckRequest(news=wire.encode(news)), None)
    assert [item.property for item in response.failures] == ["cluster", "enableServerSideApply", "strictMode"]
    assert response.failures[0].reason.startswith("cluster: not served by the stand-in plugin, allowed ['clusterId")
    both = {"renderYamlToDirectory": "out", "kubeconfig": "x"}
    response = Kubernetes().CheckConfig(pb.CheckRequest(news=wire.encode(both)), None)
    assert [item.reason for item in response.failures] == ["kubeconfig: cannot be combined with renderYamlToDirectory."]


def test_a_kubeconfig_is_a_secret_even_when_the_program_does_not_say_so() -> None:
    response = Kubernetes().CheckConfig(pb.CheckRequest(news=wire.encode({"kubeconfig": "text"})), None)
    assert wire.decode(response.inputs) == {"kubeconfig": Secret("text")}


ONE, OTHER = kubeconfig(), kubeconfig("https://127.0.0.1:7443")
SAME = kubeconfig(user="another")


@pytest.mark.parametrize(
    ("old", "new", "diffs", "replaces"),
    [
        ({"kubeconfig": ONE}, {"kubeconfig": ONE}, [], []),
        ({"kubeconfig": ONE}, {"kubeconfig": OTHER}, ["kubeconfig"], ["kubeconfig"]),
        ({"kubeconfig": ONE}, {"kubeconfig": SAME}, ["kubeconfig"], []),
        ({"kubeconfig": ONE}, {"kubeconfig": UNKNOWN}, ["kubeconfig"], ["kubeconfig"]),
        ({"kubeconfig": ONE}, {"kubeconfig": "{broken"}, ["kubeconfig"], []),
        (
            {"kubeconfig": ONE, "clusterIdentifier": "a"},
            {"kubeconfig": OTHER, "clusterIdentifier": "a"},
            ["kubeconfig"],
            [],
        ),
        (
            {"kubeconfig": ONE, "clusterIdentifier": "a"},
            {"kubeconfig": ONE, "clusterIdentifier": "b"},
            ["clusterIdentifier"],
            ["clusterIdentifier"],
        ),
        ({"kubeconfig": ONE}, {"kubeconfig": ONE, "clusterIdentifier": "a"}, ["clusterIdentifier"], []),
        (
            {"kubeconfig": ONE},
            {"kubeconfig": OTHER, "clusterIdentifier": "a"},
            ["clusterIdentifier", "kubeconfig"],
            ["kubeconfig"],
        ),
        ({"renderYamlToDirectory": "a"}, {"renderYamlToDirectory": "b"}, ["renderYamlToDirectory"] * 1, None),
        ({"kubeconfig": ONE, "version": "1"}, {"kubeconfig": ONE, "version": "2"}, [], []),
    ],
)
def test_the_provider_is_replaced_by_the_official_rule(old: Any, new: Any, diffs: list[str], replaces: Any) -> None:
    request = pb.DiffRequest(old_inputs=wire.encode(old), news=wire.encode(new))
    response = Kubernetes().DiffConfig(request, None)
    assert list(response.diffs) == diffs
    assert list(response.replaces) == (diffs if replaces is None else replaces)


def check(plugin: Kubernetes, token: str, news: Any, olds: Any = None, **more: Any) -> Any:
    """Inputs as the plugin completes them."""
    request = pb.CheckRequest(
        urn=URN.format(token), name="name", news=wire.encode(news), olds=wire.encode(olds or {}), **more
    )
    return wire.decode(plugin.Check(request, None).inputs)


def test_a_name_is_given_once_and_kept(plugin: Kubernetes) -> None:
    first = check(plugin, "kubernetes:core/v1:ConfigMap", {}, randomSeed=b"seed")["metadata"]
    assert first["name"].startswith("name-")
    assert len(first["name"]) == len("name-") + 8
    assert first["annotations"] == {"pulumi.com/autonamed": "true"}
    assert first["namespace"] == "own"
    again = check(plugin, "kubernetes:core/v1:ConfigMap", {}, {"metadata": first}, randomSeed=b"other")["metadata"]
    assert again == first
    fixed = {"metadata": {"name": "fixed", "namespace": "there"}}
    assert check(plugin, "kubernetes:core/v1:ConfigMap", fixed, {"metadata": first})["metadata"] == fixed["metadata"]
    assert "namespace" not in check(plugin, "kubernetes:core/v1:Namespace", {})["metadata"]


def test_text_of_a_secret_becomes_its_secret_data(plugin: Kubernetes) -> None:
    token = "kubernetes:core/v1:Secret"
    inputs = check(plugin, token, {"stringData": {"a": "text", "b": UNKNOWN}, "data": {"c": "eA=="}})
    assert "stringData" not in inputs
    assert inputs["data"] == Secret({"a": "dGV4dA==", "b": UNKNOWN, "c": "eA=="})
    assert check(plugin, token, {"stringData": UNKNOWN})["data"] == Secret(UNKNOWN)


def test_equal_inputs_are_no_change_and_nobody_is_asked(plugin: Kubernetes) -> None:
    same = wire.encode({"metadata": {"name": "a"}, "data": {"x": Secret("1")}})
    request = pb.DiffRequest(urn=URN.format("kubernetes:core/v1:ConfigMap"), old_inputs=same, news=same)
    assert plugin.Diff(request, None).changes == pb.DiffResponse.DIFF_NONE
    assert not plugin.cluster._children


@pytest.mark.parametrize(
    ("owner", "sent"),
    [("autoscaler", {"spec": {"image": "b"}}), (objects.MANAGER, {"spec": {"image": "b", "replicas": 3}})],
)
def test_an_ignored_path_is_left_to_its_owner_or_sent_as_it_is(owner: str, sent: Any) -> None:
    fields = {"manager": owner, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    live = {"metadata": {"managedFields": [fields]}, "spec": {"replicas": 3}}
    obj = {"spec": {"image": "b", "replicas": 1}}
    objects.keep_live(obj, live, ["spec", "replicas"], objects.MANAGER)
    assert obj == sent


class Pods:
    """An API server that knows only pods."""

    def __init__(self, *pods: Any) -> None:
        self.pods = pods

    def request(self, *_: Any, **__: Any) -> Any:
        return {"items": self.pods}


def waiting(reason: str, message: str = "") -> Any:
    """A pod whose container waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"status": {"containerStatuses": [{"name": "server", "state": state}]}}


def rollout(available: int, generation: int = 1, **more: Any) -> Any:
    """A Deployment of two replicas."""
    status = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": available, "observedGeneration": 1, **more}
    meta = {"name": "model", "namespace": "ns", "generation": generation}
    return {"metadata": meta, "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}}, "status": status}


def lacks(obj: Any, *pods: Any) -> list[str]:
    """What the Deployment lacks."""
    cluster: Any = Pods(*pods)
    return list(waits.deployment_lacks(cluster, obj))


def test_a_release_that_was_adopted_after_a_kill_is_deleted_without_a_timeout_of_its_own(
    monkeypatch: pytest.MonkeyPatch, plugin: Kubernetes
) -> None:
    asked: list[tuple[str, ...]] = []
    releases = release.Releases(plugin)
    monkeypatch.setattr(releases, "_helm", lambda *command: asked.append(command))
    releases.delete(pb.DeleteRequest(id="n/painter"), {"name": "painter", "namespace": "n"})
    assert asked == [("uninstall", "n/painter", "--wait", "--ignore-not-found", "--timeout=300s")]


def test_a_rollout_is_ready_only_when_observed_updated_and_available() -> None:
    assert lacks(rollout(2)) == []
    assert lacks(rollout(2, generation=2)) == ["2 of 2 replicas available, 2 updated, 2 in all"]
    assert lacks(rollout(1)) == ["1 of 2 replicas available, 2 updated, 2 in all"]


def test_a_daemon_set_is_ready_only_with_an_updated_pod_on_each_node() -> None:
    status = {"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2}
    daemon_set = {**rollout(2), "spec": {"selector": {"matchLabels": {"a": "b"}}}}
    for available, wanted in ((2, []), (1, ["1 of 2 replicas available, 2 updated, 2 in all"])):
        daemon_set["status"] = {**status, "numberAvailable": available, "observedGeneration": 1}
        assert lacks(daemon_set) == wanted
    daemon_set["status"]["observedGeneration"] = 0
    assert lacks(daemon_set) == ["1 of 2 replicas available, 2 updated, 2 in all"]


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff", "CreateContainerConfigError"]
)
def test_a_pod_that_fails_is_told_with_its_reason(reason: str) -> None:
    said = lacks(rollout(0), waiting(reason, "why"), waiting(reason, "why"), waiting("ContainerCreating"))
    assert said == ["0 of 2 replicas available, 2 updated, 2 in all", f"container server {reason}: why"]


def test_a_pod_that_cannot_be_placed_and_a_rollout_that_gave_up_are_told() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    gave_up = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    said = lacks(rollout(0, conditions=[gave_up]), {"status": {"conditions": [condition]}})
    assert said[1:] == ["pod Unschedulable: 0/1 nodes", "ProgressDeadlineExceeded"]


def test_a_condition_counts_only_for_the_generation_that_was_sent() -> None:
    programmed = {"type": "Programmed", "status": "True", "observedGeneration": 1}
    cluster: Any = None
    rule = waits._RULES["Gateway"]
    ready = {"metadata": {"generation": 1}, "status": {"conditions": [programmed]}}
    stale = {"metadata": {"generation": 2}, "status": {"conditions": [programmed]}}
    assert list(rule(cluster, ready)) == []
    assert list(rule(cluster, stale)) == ["condition Programmed is True"]


def test_a_kubeconfig_is_content_or_path_and_a_broken_one_is_said_without_its_text(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(ONE)
    assert kubeapi.kubeconfig(str(file), None) == kubeapi.kubeconfig(ONE, None)
    assert kubeapi.kubeconfig(ONE, "nowhere")[1] is None
    with pytest.raises(
        kubeapi.UnreachableError, match=r"^the cluster cannot be reached: the kubeconfig cannot be read"
    ):
        kubeapi.kubeconfig("clusters: [token-1234\n", None)


FAKE = """#!/bin/sh
echo $$ > "$PRIVATE.pid"
echo Starting
exec sleep 60
"""


def test_neither_kubeconfig_nor_proxy_outlive_a_killed_plugin(tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text(FAKE)
    (tmp_path / "kubectl").chmod(0o755)
    program = (
        "import sys, time; from tools.plugins.kubeapi import Cluster; cluster = Cluster(sys.argv[1], None, None);"
        "print(cluster._environment['PRIVATE'], flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(PROJECT)
    command = [sys.executable, "-c", program, ONE]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        folder = Path(child.stdout.readline().strip())
        file = folder / "kubeconfig"
        assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
        proxy = int(Path(f"{folder}.pid").read_text())
        child.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while folder.exists() or Path(f"/proc/{proxy}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
