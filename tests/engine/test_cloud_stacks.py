"""The four cloud stacks by the real engine, from the first preview to an empty state; no cloud is asked."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.cloud_stacks import STACKS, Clouds, clouds

pytestmark = pytest.mark.engine
PREVIEW_SECONDS = 15.0
CONTROL_PLANE = "cluster-control-plane"
PROTECTED = {
    "aws-production": {CONTROL_PLANE, "cluster-secrets-key", "cluster-logs-key", "registry-key"},
    "gcp-production": {CONTROL_PLANE, "registry-repository"},
}
"""Some of what a destroy in production keeps and names."""
MINUTES = {"Cluster": 10.0, "NodeGroup": 3.0, "NodePool": 3.0, "NatGateway": 2.0, "Addon": 1.0, "Release": 1.0}
"""About how long the slow ones take; only their order matters here."""
POOL = {"name": "base", "instanceTypes": ["m7i.large"], "minSize": 2, "maxSize": 6}
KEPT = (
    *("aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:ecr/repository:Repository", "aws:kms/key:Key"),
    *("gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool", "gcp:kms/cryptoKey:CryptoKey"),
    *("gcp:artifactregistry/repository:Repository", "pulumi:providers:kubernetes"),
)


@pytest.fixture
def made(tmp_path: Path, environment: dict[str, str], binaries: Mapping[str, Path]) -> Clouds:
    """A checkout whose engine finds the recorder."""
    assert binaries["pulumi"].exists()
    return clouds(tmp_path / "clouds", environment)


class Graph:
    """What waits for what in a state; resources by logical name, since types of one name are parts of each other."""

    def __init__(self, resources: list[dict[str, Any]]) -> None:
        self.types = {each["urn"]: each["type"] for each in resources}
        self.before = {
            each["urn"]: [
                urn
                for urn in (*each.get("dependencies", ()), each.get("provider", "").rpartition("::")[0])
                if urn in self.types
            ]
            for each in resources
        }
        self.known: dict[str, list[str]] = {}

    def behind(self, urn: str) -> set[str]:
        """All that a resource waits for."""
        seen: set[str] = set()
        todo = [urn]
        while todo:
            new = {*self.before[todo.pop()]} - seen
            seen |= new
            todo += new
        return seen

    def path(self, urn: str) -> list[str]:
        """The way to a resource that takes longest."""
        if urn not in self.known:
            ways = (self.path(other) for other in self.before[urn])
            self.known[urn] = [*max(ways, key=self.minutes, default=[]), urn]
        return self.known[urn]

    def minutes(self, path: list[str]) -> float:
        """How long the resources of a way take one after the other."""
        return sum(MINUTES.get(self.types[urn].rpartition(":")[2], 0.1) for urn in path)


def check_order_of_creation(made: Clouds) -> None:
    noted = made.noted("create", "created")
    inside = [index for index, each in enumerate(noted) if each["type"].startswith("kubernetes:")]
    done = [each["name"] for each in noted[: inside[0]] if each["operation"] == "created"]
    entries = [each["name"] for each in noted if each["type"].endswith(":AccessPolicyAssociation")]
    assert {CONTROL_PLANE, *entries} <= {*done}


def check_order_of_deletion(made: Clouds) -> None:
    deleted = made.noted("delete")
    last = max(index for index, each in enumerate(deleted) if each["type"].startswith("kubernetes:"))
    needed = ("NodeGroup", "NodePool", "NatGateway", "RouterNat", "Addon", "Cluster", "AccessEntry")
    # Nothing in the cluster needs what counts its pods.
    early = [each for each in deleted[:last] if each["name"] != "watch-insights"]
    before = {each["type"] for each in early if each["type"].endswith(tuple(f":{name}" for name in needed))}
    assert before == set()


def check_critical_path(resources: list[dict[str, Any]]) -> None:
    graph = Graph(resources)
    (end,) = (urn for urn in graph.types if urn.endswith("::breast-cancer-v1-deployment"))
    (control_plane,) = (urn for urn in graph.types if urn.endswith(f"::{CONTROL_PLANE}"))
    path = graph.path(end)
    print(f"critical path, {len(path)} in a row: " + " -> ".join(urn.rpartition("::")[2] for urn in path))
    waiting = {urn for urn in graph.types if control_plane in graph.behind(urn)}
    beside = {graph.types[urn] for urn in graph.types.keys() - waiting - graph.behind(control_plane)}
    print("beside the control plane: " + ", ".join(sorted(beside)))
    apart = ("aws:kms/", "aws:ecr/", "aws:iam/", "aws:ec2/", "gcp:kms/", "gcp:artifactregistry/", "gcp:compute/")
    assert [urn for urn in waiting if graph.types[urn].startswith(apart)] == []
    assert control_plane in path


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_lives_from_preview_to_an_empty_state(made: Clouds, stack: str) -> None:
    planned = made.preview(made.initialised(stack))
    assert {*planned["changeSummary"]} == {"create"}
    assert made.noted("create", "update", "delete") == []
    count = planned["changeSummary"]["create"]
    print(f"preview {planned['seconds']:.1f} s ({planned['cpu_seconds']:.1f} s of processors), {count} resources")
    made.up(stack)
    check_order_of_creation(made)
    assert {*made.preview(stack)["changeSummary"]} == {"same"}
    check_critical_path(made.work.resources(stack))
    if stack in PROTECTED:
        said = made.work.refused("destroy", "-s", stack, "--yes", "--skip-preview")
        named = {
            line.partition("::")[2].rpartition("::")[2].split('"')[0] for line in said.splitlines() if "urn:" in line
        }
        assert named & PROTECTED[stack]
        left = {each["urn"].rpartition("::")[2] for each in made.work.resources(stack)}
        assert left >= PROTECTED[stack]
        made.work.pulumi("state", "unprotect", "--all", "--yes", "-s", stack)
    made.work.pulumi("destroy", "-s", stack, "--yes", "--skip-preview")
    check_order_of_deletion(made)
    assert made.work.resources(stack) == []
    # What neighbours on the machine do is not counted: on an idle one the wall clock shows less than this.
    assert planned["cpu_seconds"] < PREVIEW_SECONDS


def replaced(made: Clouds, stack: str) -> list[str]:
    """Names of clusters, pools, registries, keys and Kubernetes providers that a preview would replace or delete."""
    steps = [step for step in made.preview(stack)["steps"] if step["op"] != "same"]
    ours = [step for step in steps if step["urn"].split("$")[-1].split("::")[0] in KEPT]
    assert ours
    return [step["urn"].rpartition("::")[2] for step in ours if step["op"] not in ("update", "create")]


def test_upgrades_and_changed_pools_and_access_replace_nothing_on_eks(made: Clouds) -> None:
    stack = made.initialised("aws-production")
    made.change(stack, "cluster", autoMode=False, nodePools=[POOL])
    made.up(stack)
    made.change(stack, "cluster", kubernetesVersion="1.36")
    assert replaced(made, stack) == []
    wider = {**POOL, "maxSize": 9, "diskGb": 100, "labels": {"team": "vision"}, "taints": ["team=vision:NoExecute"]}
    other = {**POOL, "name": "more"}
    made.change(stack, "cluster", nodePools=[wider, other], access={"cidrs": ["203.0.113.7/32"]})
    assert replaced(made, stack) == []
    # The same table does see a replacement where EKS needs one.
    made.change(stack, "cluster", nodePools=[{**POOL, "instanceTypes": ["m7i.xlarge"]}])
    assert {*replaced(made, stack)} == {"cluster-pool-base"}


def test_upgrades_and_changed_pools_and_another_kubeconfig_replace_nothing_on_gke(made: Clouds) -> None:
    stack = made.initialised("gcp-production")
    made.up(stack)
    made.change(stack, "cluster", kubernetesVersion="1.36")
    assert replaced(made, stack) == []
    pool = {"name": "base", "machineType": "n4-standard-4", "minSize": 3, "maxSize": 12, "labels": {"team": "vision"}}
    more = {"name": "more", "machineType": "n4-standard-8", "minSize": 0, "maxSize": 3}
    # By another address the kubeconfig is another one, and everything in the cluster stays.
    made.change(stack, "cluster", nodePools=[pool, more], access={"vpc": True})
    assert replaced(made, stack) == []


def test_a_planted_secret_is_in_no_state_plan_or_log(made: Clouds) -> None:
    token = "planted-7f3c9a2e-token"
    stack = made.initialised("gcp-staging")
    made.change(stack, "registry", provider="existing", url="registry.example.com", username="ci")
    document = (made.work.folder / f"stacks/Pulumi.{stack}.yaml").read_text()
    lines = [line for line in document.splitlines() if "pushServiceAccount" not in line]
    (made.work.folder / f"stacks/Pulumi.{stack}.yaml").write_text("\n".join(lines) + "\n")
    made.work.pulumi("config", "set", "--secret", "--path", "modelway:registry.password", token, "-s", stack)
    said = json.dumps(made.preview(stack)) + made.up(stack) + json.dumps(made.preview(stack))
    state = made.work.pulumi("stack", "export", "-s", stack)
    backend = Path(made.work.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    kept = "".join(path.read_text(errors="replace") for path in sorted(backend.rglob("*")) if path.is_file())
    pair = base64.b64encode(f"ci:{token}".encode()).decode()
    for form in (token, pair, base64.b64encode(token.encode()).decode()):
        assert [form in text for text in (said, state, kept, made.log.read_text())] == [False] * 4
    assert "breast-cancer-v1" in state


@pytest.mark.parametrize(
    ("cluster", "identifier", "server"),
    [
        (
            {"eks": "shop", "region": "eu-west-1"},
            "arn:aws:eks:eu-west-1:111122223333:cluster/shop",
            "https://FEDCBA9876543210.gr7.eu-west-1.eks.amazonaws.com",
        ),
        (
            {"gke": "shop", "project": "models-of-acme", "region": "europe-west4"},
            "projects/models-of-acme/locations/europe-west4/clusters/shop",
            "https://gke-2.europe-west4.gke.goog",
        ),
    ],
)
def test_an_existing_cluster_is_found_by_its_name(
    made: Clouds, cluster: dict[str, str], identifier: str, server: str
) -> None:
    model = {"name": "iris", "versions": [{"name": "v1", "image": "registry.example/iris@sha256:" + "a" * 64}]}
    gateway = {"address": "models.example.com"}
    made.work.config("named", cluster={"provider": "existing", **cluster}, gateway=gateway, models=[model])
    made.preview(made.initialised("named"))
    target = "urn:pulumi:named::modelway::modelway:index:ExistingCluster"
    targets = [f"--target={target}::cluster", f"--target={target}$pulumi:providers:kubernetes::cluster-kubernetes"]
    made.work.pulumi("up", "-s", "named", "--yes", "--skip-preview", *targets)
    state = {each["urn"].rpartition("::")[2]: each for each in made.work.resources("named")}
    assert state["cluster-kubernetes"]["inputs"]["clusterIdentifier"] == identifier
    assert state["cluster"]["outputs"]["endpoint"] == server
    assert "ciphertext" in state["cluster"]["outputs"]["kubeconfig"]
