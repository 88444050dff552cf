"""What a cluster offers to what runs in it; the same on every cloud."""

from typing import TypedDict


class Capabilities(TypedDict):
    """What a cluster offers."""

    load_balancer: str
    """What makes a load balancer of a Service: `aws-load-balancer-controller`, `eks-auto-mode`, …; empty: nothing."""
    volumes: str
    """Provisioner of its volumes, for a StorageClass."""
    gpu_pools: list[str]
    """Node pools with GPUs."""
    identity: str
    """How a service account gets a cloud identity; empty: it cannot."""
    identity_endpoint: str
    """Address and port where pods fetch it, for a network policy; empty without."""
