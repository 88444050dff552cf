"""What the engine is told beside the inputs: protection, order, what others may change."""

from tests.unit.gcp_testing import Recorded

POOLS = ("cluster-pool-base", "cluster-pool-arm", "cluster-pool-gpu")
SERVICES = ("binaryauthorization", "cloudkms", "compute", "container", "iam", "logging", "monitoring")
GRANTS = ("cluster-nodes-role", "cluster-disks-key-user")


def _with(recorded: Recorded, option: str) -> dict[str, object]:
    return {name: options[option] for name, options in recorded.options.items() if options[option]}


def needs(recorded: Recorded, name: str, *others: str) -> None:
    """`name` comes after all `others`, and goes before them."""
    missing = set(others) - set(recorded.options[name]["depends_on"])
    assert missing == set(), f"{name} does not wait for {sorted(missing)}"


def protection(recorded: Recorded) -> None:
    """Cluster and keys survive a destroy, and the engine names them."""
    names = ["cluster-control-plane", "cluster-disks-key", "cluster-secrets-key"]
    assert _with(recorded, "protect") == dict.fromkeys(names, True)


def deaths(recorded: Recorded) -> None:
    """Node pools are not deleted one by one where the cluster goes."""
    assert _with(recorded, "deleted_with") == dict.fromkeys(POOLS, "cluster-control-plane")


def parents(recorded: Recorded) -> None:
    """Every child hangs from the component."""
    found = {name: options["parent"] for name, options in recorded.options.items()}
    stack = found.pop("cluster")
    assert {name: parent for name, parent in found.items() if parent != "cluster"} == {stack: ""}


def order(recorded: Recorded) -> None:
    """Services before what needs them, rights before who uses them, the way out before nodes."""
    needs(recorded, "cluster-keys", "cluster-service-cloudkms")
    needs(recorded, "cluster-network", "cluster-service-compute")
    needs(recorded, "cluster-nodes", "cluster-service-iam")
    needs(recorded, "cluster-agent-container", "cluster-service-container")
    needs(recorded, "cluster-disks-key-user", "cluster-service-compute")
    needs(recorded, "cluster-control-plane", "cluster-service-container", "cluster-secrets-key-user", *GRANTS)
    for pool in POOLS:
        needs(recorded, pool, "cluster-control-plane", "cluster-nat", *GRANTS)


def provider(recorded: Recorded) -> None:
    """Kubernetes objects come after nodes, way out and rights, and go before them; a changed kubeconfig does nothing."""
    services = [f"cluster-service-{name}" for name in SERVICES]
    needs(recorded, "cluster-kubernetes", "cluster-control-plane", "cluster-nat", *POOLS, *GRANTS, *services)
    assert _with(recorded, "replace_with") == {"cluster-kubernetes": ["cluster-control-plane"]}
    inputs = recorded.inputs("cluster-kubernetes")
    place = "projects/models-of-acme/locations/europe-west4"
    assert inputs["clusterIdentifier"] == f"//container.googleapis.com/{place}/clusters/cluster"
    # The signature that marks a secret.
    assert inputs["kubeconfig"]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"


def others_change(recorded: Recorded) -> None:
    """The first pool is gone once the cluster stands; the size of a pool is its autoscaler's."""
    assert _with(recorded, "ignore_changes") == {
        "cluster-control-plane": ["nodeConfig", "initialNodeCount"],
        **{pool: ["initialNodeCount"] for pool in POOLS},
    }


def registry_protection(recorded: Recorded) -> None:
    """Images and their key survive a destroy."""
    assert _with(recorded, "protect") == {"registry-images-key": True, "registry-repository": True}


def registry_order(recorded: Recorded) -> None:
    """No image comes before its key may be used and it would be scanned."""
    needs(recorded, "registry-repository", "registry-images-key-user", "registry-service-containerscanning")
    needs(recorded, "registry-keys", "registry-service-cloudkms")
    needs(recorded, "registry-agent-artifactregistry", "registry-service-artifactregistry")


CLUSTER_CHECKS = (protection, deaths, parents, order, provider, others_change)
REGISTRY_CHECKS = (registry_protection, registry_order)
