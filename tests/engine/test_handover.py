"""Who owns the weights: each hand-over of the split route, through the real engine and a real API server.

The judge is played by server-side apply with its field manager; no node runs the pods, so nothing waits for them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from modelway import ModelService
from modelway.rollout.objects import EXPERIMENT_ANNOTATION, FORCE_ANNOTATION

from tests.engine.apiserver import Api, running
from tests.engine.conftest import Stack
from tests.engine.test_plugin_kubernetes import options
from tests.unit.k8s_objects import crds

pytestmark = pytest.mark.engine

IMAGE = "registry.example/iris@sha256:" + "a" * 64
OTHER = "registry.example/iris@sha256:" + "b" * 64
JUDGE = "modelway-rollout-judge"
RULES: dict[str, Any] = {"candidate": "v2", "metrics": [{"kind": "errors"}]}
OWNED = ("configmap", "lease", "role", "rolebinding")


@pytest.fixture(scope="module")
def server(binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API server with the CRDs of the gateway."""
    with running(tmp_path_factory.mktemp("api"), binaries) as api:
        definitions = crds()
        api.kubectl("create", "-f", "-", stdin="\n".join(json.dumps(each) for each in definitions))
        api.wait_for_types(*(crd["metadata"]["name"] for crd in definitions))
        yield api


class Cluster:
    """One model in a namespace of its own, as the API server has it."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        api.kubectl("create", "namespace", namespace)

    def program(self, experiment: Mapping[str, Any] | None, weights: Mapping[str, int], **args: Any) -> Any:
        """A stack with this model and nothing else."""
        images = args.pop("images", {})
        given: dict[str, Any] = {
            "versions": [
                {"name": name, "image": images.get(name, IMAGE), "weight": weight} for name, weight in weights.items()
            ],
            "namespace": self.namespace,
            "gateway_url": "http://127.0.0.1:8080",
            **({"experiment": experiment, "judge_image": IMAGE} if experiment else {}),
            **args,
        }
        apart = pulumi.ResourceOptions(transformations=[_without_waiting])
        return lambda: ModelService("iris", given, pulumi.ResourceOptions.merge(_on(self.api), apart)) and None

    def route(self) -> dict[str, Any]:
        """The split route, with what its managers own."""
        question = ("get", "httproute", "iris-split", "-n", self.namespace, "-o", "json", "--show-managed-fields")
        return dict(json.loads(self.api.kubectl(*question)))

    def weights(self) -> dict[str, int]:
        """Shares of the split by version, the same in each of its rules; a version without one is left out."""
        found = []
        for rule in self.route()["spec"]["rules"]:
            shares: Counter[str] = Counter()
            for backend in rule["backendRefs"]:
                shares[backend["name"].removeprefix("iris-")] += backend["weight"]
            found.append({version: share for version, share in shares.items() if share})
        assert all(each == found[0] for each in found)
        return found[0]

    def owners(self) -> set[str]:
        """Field managers that own the rules of the split."""
        entries = self.route()["metadata"]["managedFields"]
        return {each["manager"] for each in entries if "f:rules" in each["fieldsV1"].get("f:spec", {})}

    def annotations(self) -> dict[str, str]:
        """Annotations of the split route."""
        return dict(self.route()["metadata"].get("annotations", {}))

    def document(self, name: str) -> dict[str, Any]:
        """`plan.json` or `route.json`, as the judge reads it."""
        question = ("get", "configmap", "iris-experiment", "-n", self.namespace, "-o", "json")
        return dict(json.loads(json.loads(self.api.kubectl(*question))["data"][name]))

    def judge(self, weights: Mapping[str, int], version: str = "") -> None:
        """Give the versions of `route.json` these weights as the judge does."""
        route = self.document("route.json")
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                backend["weight"] = weights[backend["name"].removeprefix("iris-")]
        self.write(route["spec"]["rules"], version or self.route()["metadata"]["resourceVersion"])

    def write(self, rules: Any, version: str) -> None:
        """Server-side apply of the rules, refused where the route is no longer of this version."""
        document = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "iris-split", "namespace": self.namespace, "resourceVersion": version},
            "spec": {"rules": rules},
        }
        flags = ("--server-side", "--force-conflicts", f"--field-manager={JUDGE}", "-f", "-")
        self.api.kubectl("apply", *flags, stdin=json.dumps(document))

    def owned(self) -> set[str]:
        """Names of what belongs to the experiment."""
        kinds = ",".join((*OWNED, "deployment", "serviceaccount", "networkpolicy"))
        selector = "--selector=app.kubernetes.io/component=rollout-judge"
        return set(self.api.kubectl("get", kinds, "-n", self.namespace, selector, "-o", "name").split())


def _without_waiting(given: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    if given.type_ not in ("kubernetes:apps/v1:Deployment", "kubernetes:core/v1:Service"):
        return None
    metadata = given.props["metadata"]
    notes = {**metadata.get("annotations", {}), "pulumi.com/skipAwait": "true"}
    return pulumi.ResourceTransformationResult(
        {**given.props, "metadata": {**metadata, "annotations": notes}}, given.opts
    )


def _on(api: Api) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(providers=[options(api).provider])  # type: ignore[list-item]


@pytest.fixture
def cluster(server: Api, request: pytest.FixtureRequest) -> Cluster:
    """The cluster, with a namespace of the test's own."""
    name = str(request.node.name).removeprefix("test_").replace("_", "-")[:60].rstrip("-")
    return Cluster(server, name)


START = {"v1": 100, "v2": 0}
Program = Callable[[], None]


def test_created_with_an_experiment_the_judge_moves_the_weights_and_no_update_takes_them(
    stack: Stack, cluster: Cluster
) -> None:
    program: Program = cluster.program(RULES, START)
    stack.up(program)
    assert cluster.weights() == {"v1": 100}
    assert cluster.annotations() == {EXPERIMENT_ANNOTATION: "iris-experiment"}
    cluster.judge({"v1": 90, "v2": 10})
    assert cluster.owners() == {JUDGE}
    assert set(stack.preview(program)) == set(stack.up(program)) == {"same"}
    stack.refresh(program)
    assert set(stack.up(program)) == {"same"}
    assert cluster.weights() == {"v1": 90, "v2": 10}
    # Something else of the same object is updated beside them.
    stack.up(cluster.program(RULES, START, host="iris.example"))
    assert cluster.route()["spec"]["hostnames"] == ["iris.example"]
    assert cluster.weights() == {"v1": 90, "v2": 10}
    assert cluster.owners() == {JUDGE}


def test_an_experiment_that_comes_later_takes_nothing_before_the_judge_does(stack: Stack, cluster: Cluster) -> None:
    stack.up(cluster.program(None, {"v1": 70, "v2": 30}))
    assert cluster.annotations() == {FORCE_ANNOTATION: "true"}
    stack.up(cluster.program(RULES, START))
    assert cluster.annotations() == {EXPERIMENT_ANNOTATION: "iris-experiment"}
    assert cluster.weights() == {"v1": 70, "v2": 30}
    cluster.judge({"v1": 99, "v2": 1})
    assert cluster.owners() == {JUDGE}
    assert set(stack.up(cluster.program(RULES, START))) == {"same"}
    assert cluster.weights() == {"v1": 99, "v2": 1}


def test_versions_that_come_and_go_are_told_to_the_judge_and_the_weights_stay(stack: Stack, cluster: Cluster) -> None:
    stack.up(cluster.program(RULES, {"v0": 0, **START}))
    cluster.judge({"v0": 0, "v1": 90, "v2": 10})
    first = cluster.document("plan.json")
    stack.up(cluster.program(RULES, {**START, "v3": 0}))
    assert cluster.weights() == {"v1": 90, "v2": 10}
    told = cluster.document("route.json")["spec"]["rules"][0]["backendRefs"]
    assert [each["name"] for each in told] == ["iris-v1", "iris-v2", "iris-v3"]
    assert cluster.document("plan.json") == first
    cluster.judge({"v1": 90, "v2": 10, "v3": 0})
    assert set(stack.up(cluster.program(RULES, {**START, "v3": 0}))) == {"same"}
    assert cluster.weights() == {"v1": 90, "v2": 10}


def test_another_image_of_the_candidate_is_another_experiment(stack: Stack, cluster: Cluster) -> None:
    stack.up(cluster.program(RULES, START))
    first = cluster.document("plan.json")["experiment"]
    stack.up(cluster.program(RULES, {**START, "v3": 0}, images={"v3": OTHER}))
    assert cluster.document("plan.json")["experiment"] == first
    stack.up(cluster.program(RULES, START, images={"v2": OTHER}))
    assert cluster.document("plan.json")["experiment"] != first


def test_an_experiment_that_leaves_gives_the_list_back_though_the_config_of_the_weights_is_the_same(
    stack: Stack, cluster: Cluster
) -> None:
    stack.up(cluster.program(RULES, START))
    cluster.judge({"v1": 50, "v2": 50})
    seen = cluster.route()
    stack.up(cluster.program(None, START))
    assert cluster.weights() == {"v1": 100}
    assert cluster.annotations() == {FORCE_ANNOTATION: "true"}
    assert JUDGE not in cluster.owners()
    assert cluster.owned() == set()
    # A judge that read the route before is too late.
    with pytest.raises(AssertionError, match="the object has been modified"):
        cluster.write(seen["spec"]["rules"], seen["metadata"]["resourceVersion"])
    assert set(stack.up(cluster.program(None, START))) == {"same"}
    stack.up(cluster.program(None, {"v1": 0, "v2": 100}))
    assert cluster.weights() == {"v2": 100}


def test_the_route_is_taken_back_before_the_judge_goes_and_the_judge_before_its_rights(
    stack: Stack, cluster: Cluster
) -> None:
    stack.up(cluster.program(RULES, START))
    cluster.judge({"v1": 50, "v2": 50})
    steps: list[str] = []

    def note(event: Any) -> None:
        if event.resource_pre_event and event.resource_pre_event.metadata.op in ("update", "delete"):
            steps.append(event.resource_pre_event.metadata.urn.rpartition("::")[2])

    stack.up(cluster.program(None, START), on_event=note)
    kept = [name for name in steps if name in ("iris-split-route", "iris-judge-deployment", "iris-judge-role-binding")]
    assert kept == ["iris-split-route", "iris-judge-deployment", "iris-judge-role-binding"]


def test_what_the_judge_writes_goes_with_the_stack(stack: Stack, cluster: Cluster) -> None:
    program = cluster.program(RULES, START)
    stack.up(program)
    document = {"data": {"state.json": "{}"}, "metadata": {"annotations": {"modelway.dev/rollout-command": "{}"}}}
    patch = ("patch", "configmap", "iris-experiment-state", "-n", cluster.namespace, "--type=merge", "-p")
    cluster.api.kubectl(*patch, json.dumps(document))
    lease = {"spec": {"holderIdentity": "pod", "leaseDurationSeconds": 15}}
    cluster.api.kubectl("patch", "lease", "iris-experiment", *patch[3:], json.dumps(lease))
    stack.refresh(program)
    assert set(stack.up(program)) == {"same"}
    assert cluster.api.value("lease", "iris-experiment", ".spec.holderIdentity", cluster.namespace) == "pod"
    assert cluster.api.value("configmap", "iris-experiment-state", ".data", cluster.namespace)
    stack.destroy(program)
    assert cluster.owned() == set()
    assert cluster.api.kubectl("get", "httproutes", "-n", cluster.namespace, "-o", "name") == ""
