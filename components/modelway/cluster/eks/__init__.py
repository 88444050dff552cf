"""EKS. Names load on first use: only `EksCluster` needs the AWS SDK, the rest is plain data and functions."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelway.cluster.eks.arguments import EksApiAccessArgs, EksClusterArgs, EksNetworkArgs, EksNodePoolArgs
    from modelway.cluster.eks.component import EksCluster

__all__ = ["EksApiAccessArgs", "EksCluster", "EksClusterArgs", "EksNetworkArgs", "EksNodePoolArgs"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "component" if name == "EksCluster" else "arguments"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
