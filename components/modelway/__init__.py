"""Pulumi components that turn a list of model versions into a prediction service on Kubernetes.

Names load on first use, so that a stack imports no cloud that it does not use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelway.cluster.existing import ExistingCluster, ExistingClusterArgs
    from modelway.cluster.kind import KindCluster, KindClusterArgs
    from modelway.gateway.cert_manager import CertManager, CertManagerArgs
    from modelway.gateway.gateway import ConnectionsArgs, Gateway, GatewayArgs
    from modelway.gateway.policy import AuthArgs, CorsArgs, JwtArgs, LimitsArgs, StickyArgs
    from modelway.gateway.tls import AcmeArgs, CertManagerImagesArgs, TlsArgs
    from modelway.monitoring.stack import MonitoringStack, MonitoringStackArgs
    from modelway.namespace import RestrictedNamespace, RestrictedNamespaceArgs
    from modelway.registry.existing import ExistingRegistry, ExistingRegistryArgs
    from modelway.registry.local import LocalRegistry, LocalRegistryArgs
    from modelway.rollout.experiment import (
        Experiment,
        ExperimentArgs,
        ExperimentMetricArgs,
        ExperimentRulesArgs,
    )
    from modelway.scaling.keda import Keda, KedaArgs
    from modelway.serving.ingress import IngressArgs
    from modelway.serving.model_server import (
        AutoscalingArgs,
        ContainerArgs,
        ModelServer,
        ModelServerArgs,
        ResourcesArgs,
        SecretKeyArgs,
    )
    from modelway.serving.model_service import ModelService, ModelServiceArgs, ModelVersionArgs

__version__ = "0.1.0"

__all__ = [
    "AcmeArgs",
    "AuthArgs",
    "AutoscalingArgs",
    "CertManager",
    "CertManagerArgs",
    "CertManagerImagesArgs",
    "ConnectionsArgs",
    "ContainerArgs",
    "CorsArgs",
    "ExistingCluster",
    "ExistingClusterArgs",
    "ExistingRegistry",
    "ExistingRegistryArgs",
    "Experiment",
    "ExperimentArgs",
    "ExperimentMetricArgs",
    "ExperimentRulesArgs",
    "Gateway",
    "GatewayArgs",
    "IngressArgs",
    "JwtArgs",
    "Keda",
    "KedaArgs",
    "KindCluster",
    "KindClusterArgs",
    "LimitsArgs",
    "LocalRegistry",
    "LocalRegistryArgs",
    "ModelServer",
    "ModelServerArgs",
    "ModelService",
    "ModelServiceArgs",
    "ModelVersionArgs",
    "MonitoringStack",
    "MonitoringStackArgs",
    "ResourcesArgs",
    "RestrictedNamespace",
    "RestrictedNamespaceArgs",
    "SecretKeyArgs",
    "StickyArgs",
    "TlsArgs",
]

_ROOMS = {
    "modelway.cluster.existing": ("ExistingCluster", "ExistingClusterArgs"),
    "modelway.cluster.kind": ("KindCluster", "KindClusterArgs"),
    "modelway.gateway.cert_manager": ("CertManager", "CertManagerArgs"),
    "modelway.gateway.gateway": ("ConnectionsArgs", "Gateway", "GatewayArgs"),
    "modelway.gateway.policy": ("AuthArgs", "CorsArgs", "JwtArgs", "LimitsArgs", "StickyArgs"),
    "modelway.gateway.tls": ("AcmeArgs", "CertManagerImagesArgs", "TlsArgs"),
    "modelway.monitoring.stack": ("MonitoringStack", "MonitoringStackArgs"),
    "modelway.namespace": ("RestrictedNamespace", "RestrictedNamespaceArgs"),
    "modelway.registry.existing": ("ExistingRegistry", "ExistingRegistryArgs"),
    "modelway.registry.local": ("LocalRegistry", "LocalRegistryArgs"),
    "modelway.rollout.experiment": (
        "Experiment",
        "ExperimentArgs",
        "ExperimentMetricArgs",
        "ExperimentRulesArgs",
    ),
    "modelway.scaling.keda": ("Keda", "KedaArgs"),
    "modelway.serving.ingress": ("IngressArgs",),
    "modelway.serving.model_server": (
        "AutoscalingArgs",
        "ContainerArgs",
        "ModelServer",
        "ModelServerArgs",
        "ResourcesArgs",
        "SecretKeyArgs",
    ),
    "modelway.serving.model_service": ("ModelService", "ModelServiceArgs", "ModelVersionArgs"),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}


COMPONENTS = sorted(name for name in _HOME if not name.endswith("Args"))
"""Names of the component classes."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
