"""The Kubernetes stand-in through the real engine, against a real API server: objects."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest
import yaml

from tests.engine.apiserver import Api, free_port
from tests.engine.conftest import Stack

pytestmark = pytest.mark.engine
TOKEN = "planted-token-4711"
SKIP = {"pulumi.com/skipAwait": "true"}


def options(api: Api, url: str = "", **arguments: Any) -> pulumi.ResourceOptions:
    """Options with a provider for the API server."""
    return pulumi.ResourceOptions(provider=k8s.Provider("cluster", kubeconfig=api.kubeconfig(url), **arguments))


def config_map(
    opts: pulumi.ResourceOptions, namespace: str, value: Any = "1", **metadata: Any
) -> k8s.core.v1.ConfigMap:
    """One ConfigMap, autonamed unless a name is given."""
    return k8s.core.v1.ConfigMap("map", metadata={"namespace": namespace, **metadata}, data={"key": value}, opts=opts)


def deployment(
    opts: pulumi.ResourceOptions, namespace: str, replicas: int = 1, image: str = "none", **annotations: str
) -> k8s.apps.v1.Deployment:
    """One Deployment; no node runs its pods."""
    labels = {"app": "model"}
    keys = {f"pulumi.com/{key}": value for key, value in annotations.items()}
    return k8s.apps.v1.Deployment(
        "model",
        metadata={"name": "model", "namespace": namespace, "annotations": keys},
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{"name": "server", "image": image, "resources": {"requests": {"cpu": "1000m"}}}]
                },
            },
        },
        opts=opts,
    )


@contextmanager
def watched_arguments() -> Iterator[set[str]]:
    """Command lines of all processes that run meanwhile."""
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def everything(api: Api) -> Callable[[], None]:
    """A program with a namespace, a secret, a workload and a custom resource in one go."""

    def program() -> None:
        opts = options(api)
        space = k8s.core.v1.Namespace("space", opts=opts)
        name = space.metadata["name"]
        k8s.core.v1.Secret("token", metadata={"namespace": name}, string_data={"token": TOKEN}, opts=opts)
        deployment(opts, name, skipAwait="true")
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        crd = k8s.apiextensions.v1.CustomResourceDefinition(
            "crd",
            metadata={
                "name": "httproutes.gateway.networking.k8s.io",
                "annotations": {"api-approved.kubernetes.io": "unapproved"},
            },
            spec={
                "group": "gateway.networking.k8s.io",
                "names": {"kind": "HTTPRoute", "plural": "httproutes"},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            },
            opts=opts,
        )
        k8s.apiextensions.CustomResource(
            "route",
            api_version="gateway.networking.k8s.io/v1",
            kind="HTTPRoute",
            metadata={"namespace": name},
            spec={"weight": 90},
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[crd])),
        )
        pulumi.export("namespace", name)

    return program


def test_create_preview_refresh_and_destroy_touch_exactly_what_changed(stack: Stack, api: Api) -> None:
    program = everything(api)
    assert stack.preview(program) == {"create": 7}
    assert stack.up(program) == {"create": 7}
    space = stack.outputs()["namespace"]
    assert re.fullmatch("space-[0-9a-f]{8}", space)
    route = stack.state("route")["outputs"]["metadata"]["name"]
    assert api.value("httproute", route, ".spec.weight", space) == "90"
    crd = stack.state("crd")["outputs"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert crd["x_kubernetes_preserve_unknown_fields"] is True
    assert stack.preview(program) == {"same": 7}
    # The API server writes 1000m as 1: another spelling is no drift, and no change after a refresh.
    assert api.value("deployment", "model", "..cpu", space) == "1"
    assert stack.refresh(program) == {"same": 7}
    assert stack.up(program) == {"same": 7}
    assert stack.destroy(program) == {"delete": 7}
    assert api.value("namespace", space, ".metadata.name") == ""


def test_no_secret_is_readable_in_state_output_or_process_arguments(stack: Stack, api: Api, namespace: str) -> None:
    def program() -> None:
        opts = options(api)
        meta = {"namespace": namespace, "name": "hidden"}
        own = k8s.core.v1.Secret("own", metadata=meta, string_data={"token": TOKEN}, opts=opts)
        config_map(opts, namespace, pulumi.Output.secret(TOKEN))
        pulumi.export("token", own.data["token"])

    with watched_arguments() as arguments:
        stack.preview(program)
        stack.up(program)
        stack.refresh(program)
    assert api.value("secret", "hidden", ".data.token", namespace)
    key = api.kubeconfig().split("client-key-data: ")[1].split()[0]
    coded = stack.outputs()["token"]
    for hidden in (TOKEN, coded, key):
        assert hidden not in stack.stored()
        assert hidden not in "".join(stack.said)
        assert not [line for line in arguments if hidden in line]
    assert any("kubectl proxy" in line for line in arguments)


def test_a_value_known_only_after_an_update_stays_unknown_in_preview(stack: Stack, api: Api, namespace: str) -> None:
    def program(value: str) -> Callable[[], None]:
        def run() -> None:
            opts = options(api)
            first = config_map(opts, namespace, value)
            meta = {"namespace": namespace, "name": "second"}
            data = {"uid": first.metadata["uid"], "name": first.metadata["name"]}
            second = k8s.core.v1.ConfigMap("second", metadata=meta, data=data, opts=opts)
            pulumi.export("uid", second.data["uid"])

        return run

    assert stack.preview(program("1")) == {"create": 4}
    assert stack.up(program("1")) == {"create": 4}
    assert stack.preview(program("2")) == {"replace": 2, "same": 2}
    assert any(re.search(r"uid: .*\[unknown\]", line) for line in stack.said)
    assert stack.up(program("2")) == {"replace": 2, "same": 2}


def test_drift_is_seen_by_refresh_and_taken_back_only_where_asked(stack: Stack, api: Api, namespace: str) -> None:
    def program(**annotations: str) -> Callable[[], None]:
        return lambda: deployment(options(api), namespace, 1, skipAwait="true", **annotations) and None

    stack.up(program())
    api.kubectl("scale", "deployment/model", "--replicas=3", "-n", namespace)
    assert stack.refresh(program()) == {"same": 2, "update": 1}
    assert stack.preview(program()) == {"same": 2, "update": 1}
    conflict = stack.refused("up", program())
    assert 'conflict with "kubectl"' in conflict
    assert "pulumi.com/patchForce" in conflict
    assert stack.up(program(patchForce="true")) == {"same": 2, "update": 1}
    assert api.value("deployment", "model", ".spec.replicas", namespace) == "1"


def test_an_ignored_field_of_another_manager_stays_with_it(stack: Stack, api: Api, namespace: str) -> None:
    def program(image: str) -> Callable[[], None]:
        def run() -> None:
            ignoring = pulumi.ResourceOptions(ignore_changes=["spec.replicas"])
            deployment(pulumi.ResourceOptions.merge(options(api), ignoring), namespace, 1, image, skipAwait="true")

        return run

    stack.up(program("one"))
    patch = '{"spec":{"replicas":3}}'
    api.kubectl("patch", "deployment", "model", "-n", namespace, "--field-manager=autoscaler", "-p", patch)
    assert stack.up(program("two")) == {"same": 2, "update": 1}
    assert api.value("deployment", "model", "..image", namespace) == "two"
    assert api.value("deployment", "model", ".spec.replicas", namespace) == "3"


def test_changed_data_replaces_a_map_and_a_fixed_name_is_deleted_first(stack: Stack, api: Api, namespace: str) -> None:
    def program(value: str) -> Callable[[], None]:
        def run() -> None:
            opts = options(api)
            pulumi.export("name", config_map(opts, namespace, value).metadata["name"])
            meta = {"namespace": namespace, "name": "fixed"}
            k8s.core.v1.ConfigMap("fixed", metadata=meta, data={"key": value}, opts=opts)

        return run

    stack.up(program("1"))
    first, uid = stack.outputs()["name"], api.value("configmap", "fixed", ".metadata.uid", namespace)
    assert stack.up(program("2")) == {"same": 2, "replace": 2}
    second = stack.outputs()["name"]
    assert second != first
    assert api.value("configmap", second, ".data.key", namespace) == "2"
    assert api.value("configmap", first, ".data.key", namespace) == ""
    assert api.value("configmap", "fixed", ".data.key", namespace) == "2"
    assert api.value("configmap", "fixed", ".metadata.uid", namespace) != uid


def test_another_endpoint_replaces_unless_the_cluster_identifier_says_it_is_the_same(
    stack: Stack, api: Api, namespace: str
) -> None:
    moved = f"https://127.0.0.1:{free_port()}"

    def program(url: str = "", **arguments: str) -> Callable[[], None]:
        return lambda: config_map(options(api, url, **arguments), namespace) and None

    stack.up(program())
    assert stack.preview(program(moved)) == {"same": 1, "replace": 2}
    assert stack.up(program(cluster_identifier="one")) == {"same": 2, "update": 1}
    assert stack.preview(program(moved, cluster_identifier="one")) == {"same": 2, "update": 1}
    assert stack.preview(program(cluster_identifier="two")) == {"same": 1, "replace": 2}


def test_a_type_or_provider_input_that_is_not_served_is_refused_by_name(stack: Stack, api: Api) -> None:
    def job() -> None:
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
        k8s.batch.v1.Job("job", spec={"template": template}, opts=options(api))

    said = stack.refused("preview", job)
    assert "kubernetes:batch/v1:Job is not served by the stand-in plugin; install the official plugin" in said

    def elsewhere() -> None:
        options(api, cluster="other")

    said = stack.refused("preview", elsewhere)
    assert "cluster: not served by the stand-in plugin" in said


def test_an_object_that_exists_is_refused_with_the_way_to_adopt_it(stack: Stack, api: Api, namespace: str) -> None:
    def program(**arguments: bool) -> Callable[[], None]:
        return lambda: config_map(options(api, **arguments), namespace, name="taken") and None

    api.kubectl("create", "configmap", "taken", "-n", namespace)
    said = stack.refused("up", program())
    assert f"ConfigMap {namespace}/taken already exists in the cluster" in said
    assert f"pulumi import kubernetes:core/v1:ConfigMap map {namespace}/taken" in said
    assert stack.up(program(upsert_existing_objects=True)) == {"same": 1, "update": 1, "create": 1}
    assert api.value("configmap", "taken", ".data.key", namespace) == "1"


def test_an_import_takes_over_the_live_object(stack: Stack, api: Api, namespace: str) -> None:
    def program() -> None:
        importing = pulumi.ResourceOptions(import_=f"{namespace}/there")
        config_map(pulumi.ResourceOptions.merge(options(api), importing), namespace, name="there")

    api.kubectl("create", "configmap", "there", "-n", namespace, "--from-literal=key=1")
    assert stack.up(program)["import"] == 1
    assert stack.preview(program) == {"same": 3}


def test_a_wait_that_fails_names_the_reason_and_is_taken_up_by_the_next_update(
    stack: Stack, api: Api, namespace: str
) -> None:
    def program(**annotations: str) -> Callable[[], None]:
        return lambda: deployment(options(api), namespace, **annotations) and None

    said = stack.refused("up", program(timeoutSeconds="1"))
    assert "Deployment model is not ready after 1 s at most: 0 of 1 replicas available" in said
    assert any("waiting: 0 of 1 replicas available" in line for line in stack.said)
    assert stack.up(program(timeoutSeconds="1", skipAwait="true")) == {"same": 2, "update": 1}


def test_a_delete_waits_and_names_what_holds_the_object(stack: Stack, api: Api, namespace: str) -> None:
    def program() -> None:
        notes = {"pulumi.com/timeoutSeconds": "1"}
        config_map(options(api), namespace, name="held", finalizers=["tests/hold"], annotations=notes)

    stack.up(program)
    assert "ConfigMap held still exists after 1 s at most: held by finalizers: tests/hold" in stack.refused(
        "destroy", program
    )
    api.kubectl("patch", "configmap", "held", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    assert stack.destroy(program) == {"delete": 3}


def test_an_unreachable_cluster_is_an_error_with_the_way_out(
    stack: Stack, api: Api, namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(api.kubeconfig())

    def program() -> None:
        provider = k8s.Provider("cluster", kubeconfig=str(file), cluster_identifier="one")
        config_map(pulumi.ResourceOptions(provider=provider), namespace)

    stack.up(program)
    file.write_text(api.kubeconfig(f"https://127.0.0.1:{free_port()}"))
    for verb in ("destroy", "refresh"):
        said = stack.refused(verb, program)
        assert "the cluster cannot be reached" in said
        assert "PULUMI_K8S_DELETE_UNREACHABLE=true" in said
    stack.auto.workspace.env_vars["PULUMI_K8S_DELETE_UNREACHABLE"] = "true"
    assert stack.destroy(program) == {"delete": 3}


def test_rendered_manifests_are_written_instead_of_applied(stack: Stack, tmp_path: Path) -> None:
    def program() -> None:
        opts = pulumi.ResourceOptions(provider=k8s.Provider("files", render_yaml_to_directory=str(tmp_path / "out")))
        config_map(opts, "models", name="map")
        deployment(opts, "models")
        k8s.core.v1.Namespace("models", metadata={"name": "models"}, opts=opts)

    assert stack.up(program) == {"create": 5}
    out = tmp_path / "out/1-manifest"
    assert {file.name for file in (tmp_path / "out").rglob("*.yaml")} == {
        "apps_v1-deployment-models-model.yaml",
        "v1-configmap-models-map.yaml",
        "v1-namespace-default-models.yaml",
    }
    assert {file.stat().st_mode & 0o777 for file in out.iterdir()} == {0o600}
    assert yaml.safe_load((out / "v1-configmap-models-map.yaml").read_text())["data"] == {"key": "1"}
    assert stack.destroy(program) == {"delete": 5}
    assert not list((tmp_path / "out").rglob("*.yaml"))
