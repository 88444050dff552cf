"""What a change of a cloud stack replaces, and what it must not; no cloud is asked."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.engine.cloud_stacks import Clouds
from tests.engine.force_new import FORCE_NEW

pytestmark = pytest.mark.engine
KEPT = (
    *("aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:ecr/repository:Repository", "aws:kms/key:Key"),
    *("gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool", "gcp:kms/cryptoKey:CryptoKey"),
    *("gcp:artifactregistry/repository:Repository", "gcp:kms/keyRing:KeyRing", "pulumi:providers:kubernetes"),
)
SKIP = (
    "modelway:cluster.kubernetesVersion: skips a minor version: got '1.36' for a cluster of '{current}', allowed at most "
    "'1.35'; go to '1.35' first."
)
AUTHORITY = "bmV3"
"""Another certificate, which makes another kubeconfig."""


def steps(made: Clouds, stack: str) -> dict[str, set[str]]:
    """Names of what a preview changes, by operation; creations are left out."""
    found: dict[str, set[str]] = {}
    for step in made.preview(stack)["steps"]:
        if step["op"] not in ("same", "create"):
            kind = step["urn"].split("$")[-1].split("::")[0].removeprefix("urn:pulumi:")
            found.setdefault(step["op"], set()).add(f"{kind} {step['urn'].rpartition('::')[2]}")
    types = {each["type"] for each in made.noted("create") if not each["type"].startswith("kubernetes:")}
    assert types - FORCE_NEW.keys() == set()
    return found


def replaced(found: Mapping[str, set[str]]) -> set[str]:
    """Names of clusters, pools, registries, keys and Kubernetes providers that do not stay as they are."""
    lost = {name for operation, names in found.items() if operation != "update" for name in names}
    return {name.split()[1] for name in lost if name.startswith(KEPT)}


def trust_another(made: Clouds, stack: str, *way: str) -> None:
    """Give the cluster another certificate, as its cloud does when it rotates them."""
    exported = json.loads(made.work.pulumi("stack", "export", "-s", stack))
    (cluster,) = [
        each for each in exported["deployment"]["resources"] if each["urn"].endswith("::cluster-control-plane")
    ]
    place: Any = cluster["outputs"]
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = AUTHORITY
    file = made.folder / "state.json"
    file.write_text(json.dumps(exported))
    made.work.pulumi("stack", "import", "-s", stack, "--file", str(file))


def test_upgrades_changed_pools_and_another_kubeconfig_replace_nothing_on_eks(made: Clouds) -> None:
    stack = made.initialised("aws-staging")
    pool = {"name": "base", "instanceTypes": ["m7i.large"], "minSize": 2, "maxSize": 6}
    made.change(stack, "cluster", autoMode=False, nodePools=[pool], kubernetesVersion="1.34")
    made.up(stack)
    made.change(stack, "cluster", kubernetesVersion="1.36")
    assert SKIP.format(current="1.34") in made.work.refused("preview", "-s", stack)
    made.change(stack, "cluster", kubernetesVersion="1.35")
    upgraded = steps(made, stack)
    assert {
        "aws:eks/cluster:Cluster cluster-control-plane",
        "aws:eks/nodeGroup:NodeGroup cluster-pool-base",
    } <= upgraded["update"]
    assert replaced(upgraded) == set()
    wider = {**pool, "maxSize": 9, "diskGb": 100, "labels": {"team": "vision"}, "taints": ["team=vision:NoExecute"]}
    access = {"cidrs": ["203.0.113.8/32"]}
    made.change(stack, "cluster", nodePools=[wider, {**pool, "name": "more"}], access=access)
    trust_another(made, stack, "certificateAuthority", "data")
    changed = steps(made, stack)
    assert "pulumi:providers:kubernetes cluster-kubernetes" in changed["update"]
    assert replaced(changed) == set()
    # The same table does see replacements where AWS needs them.
    other = {**pool, "instanceTypes": ["m7i.xlarge"]}
    made.change(stack, "cluster", name="other", nodePools=[other])
    made.change(stack, "registry", prefix="other")
    names = {"cluster-control-plane", "cluster-pool-base", "cluster-kubernetes", "registry-breast-cancer-repository"}
    assert replaced(steps(made, stack)) == names


def test_upgrades_changed_pools_and_another_kubeconfig_replace_nothing_on_gke(made: Clouds) -> None:
    stack = made.initialised("gcp-staging")
    zones = ["europe-west4-a", "europe-west4-b"]
    pool = {"name": "base", "machineType": "n4-standard-4", "minSize": 2, "maxSize": 6}
    made.change(stack, "cluster", autopilot=None, zones=zones, nodePools=[pool], kubernetesVersion="1.34")
    made.change(stack, "cluster", releaseChannel="EXTENDED")
    made.up(stack)
    made.change(stack, "cluster", kubernetesVersion="1.36")
    assert SKIP.format(current="1.34.4-gke.1000") in made.work.refused("preview", "-s", stack)
    made.change(stack, "cluster", kubernetesVersion="1.35")
    upgraded = steps(made, stack)
    assert "gcp:container/cluster:Cluster cluster-control-plane" in upgraded["update"]
    assert replaced(upgraded) == set()
    wider = {**pool, "machineType": "n4-standard-8", "maxSize": 12, "labels": {"team": "vision"}}
    # By another address the kubeconfig is another one as well.
    made.change(stack, "cluster", nodePools=[wider, {**pool, "name": "more"}], access={"vpc": True})
    trust_another(made, stack, "masterAuth", "clusterCaCertificate")
    changed = steps(made, stack)
    assert "pulumi:providers:kubernetes cluster-kubernetes" in changed["update"]
    assert replaced(changed) == set()
    # The same table does see replacements where Google needs them.
    made.change(stack, "cluster", region="europe-west1", zones=["europe-west1-b", "europe-west1-c"], nodePools=[pool])
    keys = {"cluster-keys", "cluster-secrets-key", "cluster-disks-key", "registry-keys", "registry-images-key"}
    names = {"cluster-control-plane", "cluster-pool-base", "cluster-kubernetes", "registry-repository", *keys}
    assert replaced(steps(made, stack)) == names
