"""What the engine is told beside the inputs: protection, order, who dies with whom."""

from tests.unit.aws_testing import Recorded

ADDONS_FIRST = ["cluster-addon-eks-pod-identity-agent", "cluster-addon-kube-proxy", "cluster-addon-vpc-cni"]
ADDONS_LATER = ["cluster-addon-aws-ebs-csi-driver", "cluster-addon-coredns", "cluster-addon-metrics-server"]
CONTROLLERS = ("karpenter", "load-balancer", "cert-manager", "external-dns")
WAYS_OUT = [
    *(f"cluster-private-{letter}-route" for letter in "abc"),
    *(f"cluster-private-{letter}-subnet-routes" for letter in "abc"),
    *(f"cluster-endpoint-{service}" for service in ("ecr-api", "ecr-dkr", "s3", "sts")),
]
POOLS = ["cluster-pool-base", "cluster-pool-gpu"]
NODE_GRANTS = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")


def _with(recorded: Recorded, option: str) -> dict[str, object]:
    return {name: options[option] for name, options in recorded.options.items() if options[option]}


def protection(recorded: Recorded) -> None:
    """Cluster and keys survive a destroy, and the engine names them."""
    assert _with(recorded, "protect") == dict.fromkeys(
        ["cluster-control-plane", "cluster-logs-key", "cluster-secrets-key"], True
    )


def deaths(recorded: Recorded) -> None:
    """What lives inside the cluster is not deleted one by one where the cluster goes."""
    expected = [*ADDONS_FIRST, *ADDONS_LATER, "cluster-deployer", "cluster-deployer-admin", "cluster-karpenter-nodes"]
    expected += [f"cluster-{role}-identity" for role in CONTROLLERS]
    assert _with(recorded, "deleted_with") == dict.fromkeys(expected, "cluster-control-plane")


def parents(recorded: Recorded) -> None:
    """Every child hangs from the component."""
    found = {name: options["parent"] for name, options in recorded.options.items()}
    stack = found.pop("cluster")
    assert {name: parent for name, parent in found.items() if parent != "cluster"} == {stack: ""}


def needs(recorded: Recorded, name: str, *others: str) -> None:
    """`name` comes after all `others`, and goes before them."""
    missing = set(others) - set(recorded.options[name]["depends_on"])
    assert missing == set(), f"{name} does not wait for {sorted(missing)}"


def order(recorded: Recorded) -> None:
    """The log group before the cluster, the network plugin before nodes, nodes before what runs on them."""
    grants = ("cluster-control-plane-policy", "cluster-control-plane-AmazonEKSClusterPolicy")
    needs(recorded, "cluster-control-plane", "cluster-logs", *grants)
    needs(recorded, "cluster-flow-log", "cluster-flow-logs-policy")
    needs(recorded, "cluster-addon-vpc-cni", ADDONS_FIRST[0], "cluster-vpc-cni-AmazonEKS_CNI_Policy")
    needs(recorded, "cluster-addon-aws-ebs-csi-driver", "cluster-aws-ebs-csi-driver-AmazonEBSCSIDriverPolicy")
    for pool in POOLS:
        needs(recorded, pool, *ADDONS_FIRST, *WAYS_OUT, *(f"cluster-node-{grant}" for grant in NODE_GRANTS))
    for addon in ADDONS_LATER:
        needs(recorded, addon, *POOLS)
    for role in CONTROLLERS:
        needs(recorded, f"cluster-{role}-identity", f"cluster-{role}-policy")
    for event in ("health", "spot", "rebalance", "state", "capacity"):
        needs(recorded, f"cluster-interruption-{event}-target", "cluster-interruptions-policy")


def provider(recorded: Recorded) -> None:
    """Kubernetes objects come after access, nodes and identities, and go before them; a changed kubeconfig does nothing."""
    grants = [f"cluster-karpenter-node-{grant}" for grant in NODE_GRANTS]
    karpenter = ["cluster-karpenter-nodes", "cluster-karpenter-node-profile", "cluster-karpenter-policy"]
    queue = ["cluster-interruptions", "cluster-interruptions-policy"]
    targets = [f"cluster-interruption-{event}-target" for event in ("health", "spot", "rebalance", "state", "capacity")]
    identities = [f"cluster-{role}-identity" for role in CONTROLLERS]
    needs(recorded, "cluster-kubernetes", "cluster-deployer-admin", *POOLS, *ADDONS_FIRST, *ADDONS_LATER, *WAYS_OUT)
    needs(recorded, "cluster-kubernetes", *identities, *karpenter, *grants, *queue, *targets)
    assert _with(recorded, "replace_with") == {"cluster-kubernetes": ["cluster-control-plane"]}
    assert _with(recorded, "ignore_changes") == {pool: ["scalingConfig.desiredSize"] for pool in POOLS}
    inputs = recorded.inputs("cluster-kubernetes")
    assert inputs["clusterIdentifier"] == "arn:aws:eks:eu-west-1:111122223333:cluster/cluster"
    # The signature that marks a secret.
    assert inputs["kubeconfig"]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"


def registry_protection(recorded: Recorded) -> None:
    """Images and their key survive a destroy."""
    names = ["registry-key", "registry-breast-cancer-repository", "registry-model-server-repository"]
    assert _with(recorded, "protect") == dict.fromkeys(names, True)


CLUSTER_CHECKS = (protection, deaths, parents, order, provider)
REGISTRY_CHECKS = (registry_protection,)
