"""Pulumi components that turn a list of model versions into a prediction service on Kubernetes.

Names load on first use, so that a stack imports no cloud that it does not use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelway.cluster.eks.arguments import (
        EksApiAccessArgs,
        EksClusterArgs,
        EksNetworkArgs,
        EksNodePoolArgs,
    )
    from modelway.cluster.eks.component import EksCluster
    from modelway.cluster.existing import (
        ExistingCluster,
        ExistingClusterArgs,
        ExistingEksArgs,
        ExistingGkeArgs,
    )
    from modelway.cluster.gke.arguments import (
        GkeApiAccessArgs,
        GkeClusterArgs,
        GkeNetworkArgs,
        GkeNodePoolArgs,
        MaintenanceWindowArgs,
    )
    from modelway.cluster.gke.component import GkeCluster
    from modelway.cluster.kind import KindCluster, KindClusterArgs
    from modelway.gateway.cert_manager import CertManager, CertManagerArgs
    from modelway.gateway.gateway import ConnectionsArgs, Gateway, GatewayArgs
    from modelway.gateway.load_balancer import LoadBalancerArgs
    from modelway.gateway.policy import AuthArgs, CorsArgs, JwtArgs, LimitsArgs, StickyArgs
    from modelway.gateway.tls import AcmeArgs, CertManagerImagesArgs, TlsArgs
    from modelway.logging.aws import CloudWatchLogGroup, CloudWatchLogGroupArgs
    from modelway.logging.collector import LogCollector, LogCollectorArgs, LogDestinationArgs
    from modelway.logging.gcp import CloudLoggingAccess, CloudLoggingAccessArgs
    from modelway.monitoring.aws import AmazonMonitoring
    from modelway.monitoring.aws_arguments import AmazonMonitoringArgs
    from modelway.monitoring.chart_ground import KubePrometheusStackArgs
    from modelway.monitoring.gcp import GoogleMonitoring
    from modelway.monitoring.gcp_arguments import GoogleMonitoringArgs
    from modelway.monitoring.remote_write import RemoteWriteArgs
    from modelway.monitoring.stack import MonitoringStack, MonitoringStackArgs
    from modelway.namespace import RestrictedNamespace, RestrictedNamespaceArgs
    from modelway.registry.artifact_registry import ArtifactRegistry
    from modelway.registry.artifact_registry_arguments import ArtifactRegistryArgs
    from modelway.registry.ecr import EcrRegistry
    from modelway.registry.ecr_arguments import EcrRegistryArgs
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
    from modelway.tracing.arguments import GatewayTracesArgs, ServerTracesArgs

__version__ = "0.1.0"

__all__ = [
    "AcmeArgs",
    "AmazonMonitoring",
    "AmazonMonitoringArgs",
    "ArtifactRegistry",
    "ArtifactRegistryArgs",
    "AuthArgs",
    "AutoscalingArgs",
    "CertManager",
    "CertManagerArgs",
    "CertManagerImagesArgs",
    "CloudLoggingAccess",
    "CloudLoggingAccessArgs",
    "CloudWatchLogGroup",
    "CloudWatchLogGroupArgs",
    "ConnectionsArgs",
    "ContainerArgs",
    "CorsArgs",
    "EcrRegistry",
    "EcrRegistryArgs",
    "EksApiAccessArgs",
    "EksCluster",
    "EksClusterArgs",
    "EksNetworkArgs",
    "EksNodePoolArgs",
    "ExistingCluster",
    "ExistingClusterArgs",
    "ExistingEksArgs",
    "ExistingGkeArgs",
    "ExistingRegistry",
    "ExistingRegistryArgs",
    "Experiment",
    "ExperimentArgs",
    "ExperimentMetricArgs",
    "ExperimentRulesArgs",
    "Gateway",
    "GatewayArgs",
    "GatewayTracesArgs",
    "GkeApiAccessArgs",
    "GkeCluster",
    "GkeClusterArgs",
    "GkeNetworkArgs",
    "GkeNodePoolArgs",
    "GoogleMonitoring",
    "GoogleMonitoringArgs",
    "IngressArgs",
    "JwtArgs",
    "Keda",
    "KedaArgs",
    "KindCluster",
    "KindClusterArgs",
    "KubePrometheusStackArgs",
    "LimitsArgs",
    "LoadBalancerArgs",
    "LocalRegistry",
    "LocalRegistryArgs",
    "LogCollector",
    "LogCollectorArgs",
    "LogDestinationArgs",
    "MaintenanceWindowArgs",
    "ModelServer",
    "ModelServerArgs",
    "ModelService",
    "ModelServiceArgs",
    "ModelVersionArgs",
    "MonitoringStack",
    "MonitoringStackArgs",
    "RemoteWriteArgs",
    "ResourcesArgs",
    "RestrictedNamespace",
    "RestrictedNamespaceArgs",
    "SecretKeyArgs",
    "ServerTracesArgs",
    "StickyArgs",
    "TlsArgs",
]

_ROOMS = {
    "modelway.cluster.eks.arguments": ("EksApiAccessArgs", "EksClusterArgs", "EksNetworkArgs", "EksNodePoolArgs"),
    "modelway.cluster.eks.component": ("EksCluster",),
    "modelway.cluster.existing": ("ExistingCluster", "ExistingClusterArgs", "ExistingEksArgs", "ExistingGkeArgs"),
    "modelway.cluster.gke.arguments": (
        "GkeApiAccessArgs",
        "GkeClusterArgs",
        "GkeNetworkArgs",
        "GkeNodePoolArgs",
        "MaintenanceWindowArgs",
    ),
    "modelway.cluster.gke.component": ("GkeCluster",),
    "modelway.cluster.kind": ("KindCluster", "KindClusterArgs"),
    "modelway.gateway.cert_manager": ("CertManager", "CertManagerArgs"),
    "modelway.gateway.gateway": ("ConnectionsArgs", "Gateway", "GatewayArgs"),
    "modelway.gateway.load_balancer": ("LoadBalancerArgs",),
    "modelway.gateway.policy": ("AuthArgs", "CorsArgs", "JwtArgs", "LimitsArgs", "StickyArgs"),
    "modelway.gateway.tls": ("AcmeArgs", "CertManagerImagesArgs", "TlsArgs"),
    "modelway.monitoring.aws": ("AmazonMonitoring",),
    "modelway.monitoring.aws_arguments": ("AmazonMonitoringArgs",),
    "modelway.monitoring.chart_ground": ("KubePrometheusStackArgs",),
    "modelway.monitoring.gcp": ("GoogleMonitoring",),
    "modelway.monitoring.gcp_arguments": ("GoogleMonitoringArgs",),
    "modelway.monitoring.remote_write": ("RemoteWriteArgs",),
    "modelway.logging.aws": ("CloudWatchLogGroup", "CloudWatchLogGroupArgs"),
    "modelway.logging.collector": ("LogCollector", "LogCollectorArgs", "LogDestinationArgs"),
    "modelway.logging.gcp": ("CloudLoggingAccess", "CloudLoggingAccessArgs"),
    "modelway.monitoring.stack": ("MonitoringStack", "MonitoringStackArgs"),
    "modelway.namespace": ("RestrictedNamespace", "RestrictedNamespaceArgs"),
    "modelway.registry.artifact_registry": ("ArtifactRegistry",),
    "modelway.registry.artifact_registry_arguments": ("ArtifactRegistryArgs",),
    "modelway.registry.ecr": ("EcrRegistry",),
    "modelway.registry.ecr_arguments": ("EcrRegistryArgs",),
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
    "modelway.tracing.arguments": ("GatewayTracesArgs", "ServerTracesArgs"),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}


COMPONENTS = sorted(name for name in _HOME if not name.endswith("Args"))
"""Names of the component classes."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
