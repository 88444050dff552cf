"""GKE. Names load on first use: only `GkeCluster` needs Google Cloud's SDK, the rest is plain data and functions."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelway.cluster.gke.arguments import (
        GkeApiAccessArgs,
        GkeClusterArgs,
        GkeNetworkArgs,
        GkeNodePoolArgs,
        MaintenanceWindowArgs,
    )
    from modelway.cluster.gke.component import GkeCluster

__all__ = [
    "GkeApiAccessArgs",
    "GkeCluster",
    "GkeClusterArgs",
    "GkeNetworkArgs",
    "GkeNodePoolArgs",
    "MaintenanceWindowArgs",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "component" if name == "GkeCluster" else "arguments"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
