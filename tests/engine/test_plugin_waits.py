"""Waits and errors of the Kubernetes stand-in, called as the engine calls it, against a real API server."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from tests.engine.apiserver import Api
from tools.plugins import wire
from tools.plugins.kubernetes.__main__ import Kubernetes
from tools.plugins.wire import Refusal

pytestmark = pytest.mark.engine
CONFIG_MAP, SERVICE, BINDING = "core/v1:ConfigMap", "core/v1:Service", "rbac.authorization.k8s.io/v1:RoleBinding"


class Refused(Exception):  # noqa: N818
    """What the engine would be told."""


class Context:
    """A call's context."""

    detail: pb.ErrorResourceInitFailed | None = None

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.detail = pb.ErrorResourceInitFailed()
        wire.status_pb2.Status.FromString(metadata[0][1]).details[0].Unpack(self.detail)

    def abort(self, _: Any, reason: str) -> None:
        raise Refused(reason)


class Plugin(Kubernetes):
    """The plugin in this process, with the status lines it sends."""

    def __init__(self, api: Api) -> None:
        self.said: list[str] = []
        self.heard = threading.Event()
        self.Configure(pb.ConfigureRequest(args=wire.encode({"kubeconfig": api.kubeconfig()})), None)

    def log(self, urn: str, text: str, *, warning: bool = False) -> None:
        self.said.append(f"{urn.rsplit('::')[-1]}: {'warning: ' if warning else ''}{text}")
        self.heard.set()

    def put(self, token: str, inputs: Any, context: Context | None = None, timeout: float = 0, **preview: bool) -> Any:
        """Create one object; its outputs."""
        urn = f"urn:pulumi:dev::tests::kubernetes:{token}::name"
        api_version, kind = token.removeprefix("core/").split(":")
        properties = wire.encode({"apiVersion": api_version, "kind": kind, **inputs})
        request = pb.CreateRequest(urn=urn, properties=properties, timeout=timeout, **preview)
        return wire.decode(self.Create(request, context or Context()).properties)


@pytest.fixture
def plugin(api: Api, tool_root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin, configured; its proxy ends with the test."""
    monkeypatch.setenv("PATH", str(tool_root / "bin"), prepend=":")
    plugin = Plugin(api)
    yield plugin
    plugin.cluster.close()


def meta(namespace: str, **annotations: str) -> Any:
    """Metadata of an object called `it`."""
    return {"name": "it", "namespace": namespace, "annotations": {f"pulumi.com/{k}": v for k, v in annotations.items()}}


def test_wait_for_is_honoured_one_expression_after_the_other(plugin: Plugin, namespace: str) -> None:
    notes = meta(namespace, waitFor='["jsonpath={.data.key}=1", "jsonpath={.data.other}=2"]', timeoutSeconds="1")
    with pytest.raises(Refused, match=r"kubectl wait: error: timed out waiting for the condition on configmaps/it"):
        plugin.put(CONFIG_MAP, {"metadata": notes, "data": {"key": "1"}})
    assert plugin.said == ["name: waiting for jsonpath={.data.key}=1", "name: waiting for jsonpath={.data.other}=2"]


def test_an_expression_that_is_neither_json_path_nor_condition_is_refused(plugin: Plugin, namespace: str) -> None:
    with pytest.raises(Refused, match=r"pulumi\.com/waitFor: got delete, allowed jsonpath=… or condition=…"):
        plugin.put(CONFIG_MAP, {"metadata": meta(namespace, waitFor="delete")})


def test_a_service_waits_for_a_ready_pod_behind_its_selector(plugin: Plugin, api: Api, namespace: str) -> None:
    spec = {"selector": {"app": "model"}, "ports": [{"port": 80}]}
    context = Context()
    with pytest.raises(Refused, match="Service it is not ready after 1 s at most: no ready pod behind its selector"):
        plugin.put(SERVICE, {"metadata": meta(namespace), "spec": spec}, context, timeout=1)
    assert context.detail is not None
    assert wire.decode(context.detail.properties)["spec"]["type"] == "ClusterIP"
    assert context.detail.id == f"{namespace}/it"
    ready = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "by-hand", "labels": {"kubernetes.io/service-name": "it"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"port": 80}],
    }
    api.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(ready))
    request = pb.UpdateRequest(
        urn="urn:pulumi:dev::tests::kubernetes:core/v1:Service::name",
        id=f"{namespace}/it",
        news=wire.encode({"apiVersion": "v1", "kind": "Service", "metadata": meta(namespace), "spec": spec}),
        timeout=5,
    )
    assert wire.decode(plugin.Update(request, Context()).properties)["spec"]["clusterIP"].startswith("10.96.")


def test_a_cancelled_wait_ends_at_once_and_is_recorded_as_unfinished(plugin: Plugin, namespace: str) -> None:
    context, caught = Context(), []

    def create() -> None:
        try:
            spec = {"selector": {"app": "model"}, "ports": [{"port": 80}]}
            plugin.put(SERVICE, {"metadata": meta(namespace), "spec": spec}, context, timeout=300)
        except Refused as problem:
            caught.append(str(problem))

    thread = threading.Thread(target=create)
    thread.start()
    assert plugin.heard.wait(10)
    plugin.Cancel(None, None)
    thread.join(10)
    assert caught == ["the cluster cannot be reached: the update was cancelled."]
    assert context.detail is not None
    assert context.detail.id == f"{namespace}/it"


def test_preview_refuses_what_the_api_server_refuses_and_marks_what_it_cannot_know(
    plugin: Plugin, namespace: str
) -> None:
    with pytest.raises(Refused, match=r"spec\.ports: Required value"):
        plugin.put(SERVICE, {"metadata": meta(namespace), "spec": {"selector": {"a": "b"}}}, preview=True)
    seen = plugin.put(CONFIG_MAP, {"metadata": meta(namespace), "data": {"key": "1"}}, preview=True)
    assert seen["metadata"]["uid"] == wire.UNKNOWN
    absent = plugin.put(CONFIG_MAP, {"metadata": meta("absent"), "data": {"key": "1"}}, preview=True)
    assert absent["data"] == {"key": "1"}
    assert plugin.cluster.find(f"/api/v1/namespaces/{namespace}/configmaps/it") is None


@pytest.mark.parametrize(
    ("token", "old", "new", "replaced"),
    [
        (BINDING, {"roleRef": {"name": "a"}}, {"roleRef": {"name": "b"}}, ["roleRef.name"]),
        (SERVICE, {"spec": {"clusterIP": "None"}}, {"spec": {}}, ["spec.clusterIP"]),
        ("apps/v1:Deployment", {"spec": {"selector": {"x": 1}}}, {"spec": {"selector": {"x": 2}}}, ["spec.selector.x"]),
        (CONFIG_MAP, {"data": {"a": "1"}}, {"data": {"a": wire.UNKNOWN}}, ["data.a"]),
        ("core/v1:ServiceAccount", {"automount": True}, {"automount": False}, []),
    ],
)
def test_what_cannot_change_in_place_replaces(
    plugin: Plugin, token: str, old: Any, new: Any, replaced: list[str]
) -> None:
    request = pb.DiffRequest(
        urn=f"urn:pulumi:dev::tests::kubernetes:{token}::name",
        old_inputs=wire.encode({"metadata": meta("absent"), **old}),
        news=wire.encode({"metadata": meta("absent"), **new}),
    )
    response = plugin.Diff(request, Context())
    assert list(response.replaces) == replaced
    assert response.deleteBeforeReplace == bool(replaced)


def test_a_delete_of_what_is_gone_or_whose_kind_is_gone_is_done(plugin: Plugin, namespace: str) -> None:
    for token in (CONFIG_MAP, "gateway.envoyproxy.io/v1alpha1:EnvoyProxy"):
        urn = f"urn:pulumi:dev::tests::kubernetes:{token}::name"
        state = wire.encode({"metadata": meta(namespace)})
        plugin.Delete(pb.DeleteRequest(urn=urn, id=f"{namespace}/it", properties=state), Context())
        assert plugin.Read(pb.ReadRequest(urn=urn, id=f"{namespace}/it"), Context()).id == ""


def test_a_complaint_about_a_secret_value_does_not_show_it(plugin: Plugin, namespace: str) -> None:
    inputs = {"metadata": meta(namespace), "spec": {"ports": [{"port": 80, "protocol": wire.Secret("hidden-1234")}]}}
    with pytest.raises(Refused, match=r'Unsupported value: "\[secret\]"'):
        plugin.put(SERVICE, inputs)


def test_a_command_that_fails_in_the_cluster_tells_its_words(plugin: Plugin) -> None:
    with pytest.raises(Refusal, match="kubectl get: error: the server doesn't have a resource type"):
        plugin.cluster.run("kubectl", "get", "nothings")
