"""EC2 instance types that a node pool may name; pure data.

Read on 2026-11-23 from the page that Karpenter generates from EC2's own answers for us-east-1, us-east-2 and us-west-2
(https://karpenter.sh/preview/reference/instance-types/, commit 1d927085d of 2026-08-21). Other regions may lack some.
General, compute, memory and burstable families on Nitro, and those with NVIDIA GPUs; no bare metal.
"""

from typing import NamedTuple


class Family(NamedTuple):
    """An instance family."""

    architecture: str
    """`amd64` or `arm64`."""
    gpu: str
    """Name of its NVIDIA GPU, empty without one."""
    sizes: str


FAMILIES = {
    "c5": Family("amd64", "", "large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge"),
    "c5a": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "c5ad": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "c5d": Family("amd64", "", "large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge"),
    "c5n": Family("amd64", "", "large xlarge 2xlarge 4xlarge 9xlarge 18xlarge"),
    "c6a": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge"),
    "c6g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "c6gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "c6gn": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "c6i": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "c6id": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "c6in": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "c7a": Family(
        "amd64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge"
    ),
    "c7g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "c7gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "c7gn": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "c7i": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "c7i-flex": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "c8a": Family("amd64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "c8g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "c8gb": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "c8gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "c8gn": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "c8i": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "c8i-flex": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "c8ib": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "c8id": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "c8in": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "c8ine": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge"),
    "c9g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "c9gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "g4dn": Family("amd64", "t4", "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "g5": Family("amd64", "a10g", "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "g5g": Family("arm64", "t4g", "xlarge 2xlarge 4xlarge 8xlarge 16xlarge"),
    "g6": Family("amd64", "l4", "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "g6e": Family("amd64", "l40s", "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "g6f": Family("amd64", "l4", "large xlarge 2xlarge 4xlarge"),
    "g7": Family("amd64", "rtx-pro-4500", "2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge"),
    "g7e": Family("amd64", "rtx-pro-server-6000", "2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge"),
    "gr6": Family("amd64", "l4", "4xlarge 8xlarge"),
    "gr6f": Family("amd64", "l4", "4xlarge"),
    "m5": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "m5a": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "m5ad": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "m5d": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "m5dn": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "m5n": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "m5zn": Family("amd64", "", "large xlarge 2xlarge 3xlarge 6xlarge 12xlarge"),
    "m6a": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge"),
    "m6g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "m6gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "m6i": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "m6id": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "m6idn": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "m6in": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "m7a": Family(
        "amd64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge"
    ),
    "m7g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "m7gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "m7i": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "m7i-flex": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "m8a": Family("amd64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "m8azn": Family("amd64", "", "medium large xlarge 3xlarge 6xlarge 12xlarge 24xlarge"),
    "m8g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "m8gb": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "m8gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "m8gn": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "m8i": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "m8i-flex": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "m8ib": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "m8id": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "m8idb": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "m8idn": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "m8in": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "m8ine": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge"),
    "m9g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "m9gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "p3dn": Family("amd64", "v100", "24xlarge"),
    "p4d": Family("amd64", "a100", "24xlarge"),
    "p4de": Family("amd64", "a100", "24xlarge"),
    "p5": Family("amd64", "h100", "4xlarge 48xlarge"),
    "p5e": Family("amd64", "h200", "48xlarge"),
    "p5en": Family("amd64", "h200", "48xlarge"),
    "p6-b200": Family("amd64", "b200", "48xlarge"),
    "p6-b300": Family("amd64", "b300", "48xlarge"),
    "r5": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "r5a": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "r5ad": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "r5b": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "r5d": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "r5dn": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "r5n": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    "r6a": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge"),
    "r6g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "r6gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "r6i": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "r6id": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "r6idn": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "r6in": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
    "r7a": Family(
        "amd64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge"
    ),
    "r7g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "r7gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "r7i": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "r7iz": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 32xlarge"),
    "r8a": Family("amd64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "r8g": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "r8gb": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "r8gd": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "r8gn": Family("arm64", "", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
    "r8i": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "r8i-flex": Family("amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    "r8ib": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "r8id": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "r8idb": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "r8idn": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "r8in": Family(
        "amd64", "", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
    ),
    "t3": Family("amd64", "", "nano micro small medium large xlarge 2xlarge"),
    "t3a": Family("amd64", "", "nano micro small medium large xlarge 2xlarge"),
    "t4g": Family("arm64", "", "nano micro small medium large xlarge 2xlarge"),
}


def family_of(instance_type: str) -> Family | None:
    """Family of an instance type, none where the table lacks the type."""
    family, _, size = instance_type.partition(".")
    found = FAMILIES.get(family)
    return found if found and size in found.sizes.split() else None


def instance_types() -> list[str]:
    """All instance types of the table."""
    return [f"{name}.{size}" for name, family in FAMILIES.items() for size in family.sizes.split()]
