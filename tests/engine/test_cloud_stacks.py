"""The four cloud stacks by the real engine, from the first preview to an empty state; no cloud is asked."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.cloud_stacks import SECRETS, STACKS, Clouds, clouds, forms
from tests.engine.force_new import FORCE_NEW

pytestmark = pytest.mark.engine
PREVIEW_SECONDS = 15.0
CONTROL_PLANE = "cluster-control-plane"
NAMED = {
    "aws-production": {CONTROL_PLANE, "registry-breast-cancer-repository"},
    "gcp-production": {CONTROL_PLANE, "registry-repository"},
}
"""What a destroy in production names; keys are protected as well, and lie behind these."""
INSIDE = ("Addon", "AccessEntry", "AccessPolicyAssociation", "PodIdentityAssociation", "NodePool")
"""What a cluster takes along when it goes."""
MINUTES = {"Cluster": 10.0, "NodeGroup": 3.0, "NodePool": 3.0, "NatGateway": 2.0, "Addon": 1.0, "Release": 1.0}
"""About how long the slow ones take; only their order matters here."""


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
    needed = ("NodeGroup", "NatGateway", "RouterNat", "Cluster", *INSIDE)
    # Nothing in the cluster needs what counts its pods.
    early = [each for each in deleted[:last] if each["name"] != "watch-insights"]
    before = {each["type"] for each in early if each["type"].endswith(tuple(f":{name}" for name in needed))}
    assert before == set()
    names = [each["name"] for each in deleted]
    # What asks for the load balancer, its controller, and the namespace, which is gone once the Service with it is.
    balancer = [
        names.index(name) for name in ("gateway-gateway", "gateway-envoy-gateway", "gateway-namespace-namespace")
    ]
    # A volume is gone once nobody mounts it.
    volume = [names.index(name) for name in ("monitoring-deployment", "monitoring-persistent-volume-claim")]
    assert (balancer, volume) == (sorted(balancer), sorted(volume))


def check_types(made: Clouds) -> None:
    types = {each["type"] for each in made.noted("create") if not each["type"].startswith("kubernetes:")}
    # Of each type it is known what replaces it.
    assert types - FORCE_NEW.keys() == set()


def check_what_dies_with_the_cluster(made: Clouds) -> None:
    inside = tuple(f":{name}" for name in INSIDE)
    made_there = {each["name"] for each in made.noted("create") if each["type"].endswith(inside)}
    deleted = {each["name"] for each in made.noted("delete")}
    assert CONTROL_PLANE in deleted
    assert made_there & deleted == set()


def check_protection(made: Clouds, stack: str) -> None:
    resources = len(made.work.resources(stack))
    said = made.work.refused("destroy", "-s", stack, "--yes")
    named = set(re.findall(r'::([\w-]+)" cannot be deleted', said))
    assert named == NAMED[stack]
    assert (made.noted("delete"), len(made.work.resources(stack))) == ([], resources)
    made.work.pulumi("state", "unprotect", "--all", "--yes", "-s", stack)


def check_secrets(made: Clouds, *said: str) -> None:
    texts = [*said, made.kept(), made.log.read_text()]
    assert {form for secret in SECRETS.values() for form in forms(secret) for text in texts if form in text} == set()


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
    made.plant(made.initialised(stack))
    planned = made.preview(stack)
    assert {*planned["changeSummary"]} == {"create"}
    assert made.noted("create", "update", "delete") == []
    count = planned["changeSummary"]["create"]
    print(f"preview {planned['seconds']:.1f} s ({planned['cpu_seconds']:.1f} s of processors), {count} resources")
    deployed = made.up(stack)
    check_order_of_creation(made)
    check_types(made)
    again = made.work.pulumi("preview", "-s", stack, "--diff")
    assert f"{count} unchanged" in again
    check_critical_path(made.work.resources(stack))
    check_secrets(made, json.dumps(planned), deployed, again, made.work.pulumi("stack", "export", "-s", stack))
    if stack in NAMED:
        check_protection(made, stack)
    made.work.pulumi("destroy", "-s", stack, "--yes", "--skip-preview")
    check_order_of_deletion(made)
    check_what_dies_with_the_cluster(made)
    assert made.work.resources(stack) == []
    # What neighbours on the machine do is not counted: on an idle one the wall clock shows less than this.
    assert planned["cpu_seconds"] < PREVIEW_SECONDS


def test_a_password_of_a_registry_is_in_no_state_and_no_secret_in_a_log_of_the_engine(
    tmp_path: Path, environment: dict[str, str], binaries: Mapping[str, Path]
) -> None:
    assert binaries["pulumi"].exists()
    # The engine logs every property of every request, encrypted; other tests are without, since it takes longer than they.
    home = tmp_path / "home"
    home.mkdir()
    made = clouds(tmp_path / "clouds", {**environment, "PULUMI_HOME": str(home)})
    stack = made.initialised("gcp-staging")
    made.plant(stack)
    url = {"provider": "existing", "url": "registry.example.com", "username": "ci", "pushServiceAccount": None}
    made.change(stack, "registry", **url)
    password = "planted-registry-7f3c9a2e"
    made.work.pulumi("config", "set", "--secret", "--path", "modelway:registry.password", password, "-s", stack)
    said = made.up(stack)
    logs = [path.read_text(errors="replace") for path in sorted((home / "logs").glob(f"*{stack}*"))]
    assert [text[:4] for text in logs] == ["PLOG"] * len(logs) != []
    check_secrets(made, said, *logs)
    texts = [said, *logs, made.kept(), made.log.read_text()]
    assert [form for form in forms(password) for text in texts if form in text] == []


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
