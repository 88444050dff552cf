"""What AWS offers, as tables with the page and the day they were read; pure data."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class KubernetesVersion:
    """A minor version that EKS runs, and until when (UTC)."""

    standard_until: date
    """After it AWS charges extended support."""
    extended_until: date
    """After it AWS upgrades the control plane by itself."""
    source: str
    read: date


_RELEASES = "https://endoflife.date/amazon-eks"
KUBERNETES_READ = date(2026, 8, 22)

KUBERNETES_VERSIONS = {
    "1.33": KubernetesVersion(date(2026, 7, 29), date(2027, 7, 29), _RELEASES, KUBERNETES_READ),
    "1.34": KubernetesVersion(date(2026, 12, 2), date(2027, 12, 2), _RELEASES, KUBERNETES_READ),
    "1.35": KubernetesVersion(date(2027, 3, 27), date(2028, 3, 27), _RELEASES, KUBERNETES_READ),
    "1.36": KubernetesVersion(date(2027, 8, 2), date(2028, 8, 2), _RELEASES, KUBERNETES_READ),
}
"""Oldest first. The page repeats https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html."""


def support(version: str, on: date) -> str:
    """`standard`, `extended` or `ended` on a day; the day is the caller's, as a preview must not change by itself."""
    row = KUBERNETES_VERSIONS[version]
    if on <= row.standard_until:
        return "standard"
    return "extended" if on <= row.extended_until else "ended"


INTERFACE_ENDPOINTS: tuple[str, ...] = (
    *("autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth"),
    *("elasticloadbalancing", "kms", "logs", "sqs", "ssm", "sts"),
)
"""Services that a private endpoint is made for when asked; S3 has a gateway endpoint, which costs nothing."""

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""What CloudWatch accepts
(https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html)."""
