"""CIS Amazon EKS Benchmark 1.8.0, section 5 (managed services): item, property, check.

`python -m tests.unit.cis_eks` writes `docs/cis-eks.md`. Ids and titles are those of kube-bench's
`cfg/eks-1.8.0/managedservices.yaml` (commit a73ce378 of 2026-06-09), where all twelve are "Manual".
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.unit import aws_checks
from tests.unit.aws_testing import Recorded

PAGE = Path(__file__).resolve().parents[2] / "docs/cis-eks.md"


def _none(_: Recorded) -> None:
    """No check."""


@dataclass(frozen=True)
class Row:
    """One item of the benchmark."""

    id: str
    title: str
    properties: tuple[str, ...] = ()
    """Resource and path, as the mutation test names them."""
    check: Callable[[Recorded], None] = _none
    reason: str = ""
    """Why nothing here checks it."""


CONTROL_PLANE = "cluster-control-plane"
ROWS = (
    Row(
        "5.1.1",
        "Image vulnerability scanning in ECR",
        ("registry-breast-cancer-repository.imageScanningConfiguration.scanOnPush",),
        aws_checks.repositories,
    ),
    Row(
        "5.1.2",
        "Minimize user access to ECR",
        ("registry-breast-cancer-policy.policy.Statement.2", "registry-breast-cancer-policy.policy.Statement.3"),
        aws_checks.repositories,
    ),
    Row(
        "5.1.3",
        "Minimize cluster access to read-only for ECR",
        (
            "cluster-node-AmazonEC2ContainerRegistryPullOnly.policyArn",
            "cluster-karpenter-node-AmazonEC2ContainerRegistryPullOnly.policyArn",
        ),
        aws_checks.permissions,
    ),
    Row(
        "5.1.4",
        "Minimize container registries to only those approved",
        reason="not a property of AWS: a pod's image is refused at admission, in the cluster",
    ),
    Row(
        "5.2.1",
        "Prefer dedicated service accounts",
        tuple(
            f"cluster-{role}-role.assumeRolePolicy.Statement.0.Condition.StringEquals.aws:RequestTag/{tag}"
            for role in aws_checks.SUBJECTS
            for tag in ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account")
        ),
        aws_checks.trusts,
    ),
    Row(
        "5.3.1",
        "Secrets encrypted with a customer managed key",
        (f"{CONTROL_PLANE}.encryptionConfig.provider.keyArn", f"{CONTROL_PLANE}.encryptionConfig.resources"),
        aws_checks.control_plane,
    ),
    Row(
        "5.4.1",
        "Restrict access to the control plane's endpoint",
        (f"{CONTROL_PLANE}.vpcConfig.endpointPrivateAccess",),
        aws_checks.control_plane,
    ),
    Row(
        "5.4.2",
        "Private endpoint enabled, public access disabled",
        (f"{CONTROL_PLANE}.vpcConfig.endpointPublicAccess", f"{CONTROL_PLANE}.vpcConfig.endpointPublicAccess.not"),
        aws_checks.control_plane,
    ),
    Row(
        "5.4.3",
        "Private nodes",
        tuple(f"cluster-{kind}-{zone}.mapPublicIpOnLaunch" for kind in ("private", "public") for zone in "abc"),
        aws_checks.subnets,
    ),
    Row(
        "5.4.4",
        "Network policy enabled",
        ("cluster-addon-vpc-cni.configurationValues.enableNetworkPolicy",),
        aws_checks.addons,
    ),
    Row(
        "5.4.5",
        "TLS to load balancers",
        reason="not a property of the cluster: the gateway's listener ends TLS, the load balancer passes it on",
    ),
    Row(
        "5.5.1",
        "Manage Kubernetes users with IAM",
        (f"{CONTROL_PLANE}.accessConfig.authenticationMode", f"{CONTROL_PLANE}.accessConfig"),
        aws_checks.control_plane,
    ),
)


def table() -> str:
    """The page."""
    lines = [
        "# CIS Amazon EKS Benchmark 1.8.0",
        "",
        "The twelve items on managed services. Each property is taken away in `tests/unit/test_aws_mutations.py`, where",
        "the check must miss it. Written by `python -m tests.unit.cis_eks`.",
        "",
        "| item | title | property | check |",
        "|---|---|---|---|",
    ]
    for row in ROWS:
        shown = "<br>".join(f"`{name}`" for name in row.properties) or f"n/a: {row.reason}"
        lines.append(f"| {row.id} | {row.title} | {shown} | {row.check.__name__ if row.properties else ''} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(table(), encoding="utf-8")
