"""What differs between the places where a stack runs; components never see a machine's files."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
from modelway import ExistingCluster
from modelway.cluster.existing import ExistingClusterArgs
from modelway.gateway.gateway import GatewayArgs
from modelway.monitoring.stack import MonitoringStackArgs
from modelway.registry.existing import ExistingRegistryArgs

from infra.config_schema import Provider, Settings
from tools.paths import cache_dir, state_dir
from tools.problem import Problem, ProblemError

PROMETHEUS_IMAGE = "docker.io/prom/prometheus:v3.13.1"
NODE_IMAGES = {
    "gateway": "envoyproxy/gateway:v1.9.1",
    "proxy": "envoyproxy/envoy:v1.40.0",
    "prometheus": "prom/prometheus:v3.13.1",
}


@dataclass(frozen=True)
class Ground:
    """A cluster to run on, with the images, the chart and the address that hold there."""

    settings: Settings
    kubeconfig: Path
    identifier: str
    address: str
    images: dict[str, str] = field(default_factory=dict)
    chart: str | None = None
    registry: str = "docker.io"

    def cluster(self) -> ExistingCluster:
        """The cluster of the stack."""
        args: ExistingClusterArgs = {
            "kubeconfig": self.kubeconfig.read_text(encoding="utf-8"),
            "cluster_identifier": self.identifier,
        }
        if self.settings.cluster.context:
            args["context"] = self.settings.cluster.context
        return ExistingCluster("cluster", args)

    def gateway_args(self, models_namespaces: list[str]) -> GatewayArgs:
        """Inputs of the gateway."""
        args: GatewayArgs = {
            "address": self.address,
            "models_namespaces": models_namespaces,
            "replicas": self.settings.gateway.replicas,
            "install_crds": self.settings.gateway.install_crds,
        }
        if chart := self.settings.gateway.chart or self.chart:
            args["chart"] = chart
        if image := self.image("gateway"):
            args["gateway_image"] = image
        if image := self.image("proxy"):
            args["proxy_image"] = image
        return args

    def monitoring_args(self, models_namespaces: list[str]) -> MonitoringStackArgs:
        """Inputs of the monitoring stack."""
        return {
            "image": self.image("prometheus") or PROMETHEUS_IMAGE,
            "models_namespaces": models_namespaces,
            "retention_hours": self.settings.monitoring.retention_hours,
            "storage_mb": self.settings.monitoring.storage_mb,
        }

    def registry_args(self, models_namespace: str) -> ExistingRegistryArgs:
        """Inputs of the registry of the models' images."""
        registry = self.settings.registry
        args: ExistingRegistryArgs = {"url": registry.url or self.registry}
        if registry.username and registry.password:
            args["namespace"] = models_namespace
            args["username"] = registry.username
            args["password"] = pulumi.Output.secret(registry.password.get_secret_value())
        return args

    def image(self, role: str) -> str | None:
        """The platform's image for `role`: from the config, else this ground's own, else none."""
        configured: str | None = getattr(self.settings.images, role)
        return configured or self.images.get(role)


def ground_of(settings: Settings) -> Ground:
    """The ground that `modelway:cluster` names; raises `ProblemError` when it is not there."""
    if settings.cluster.provider is Provider.NODE:
        return _node(settings)
    if settings.cluster.provider is Provider.EXISTING:
        return _existing(settings)
    raise ProblemError(
        [
            Problem(
                "modelway:cluster.provider",
                "not built yet",
                str(settings.cluster.provider),
                "node or existing",
                "use `modelway up node`",
            )
        ]
    )


def _node(settings: Settings) -> Ground:
    folder = state_dir() / "node"
    kubeconfig, images = folder / "kubeconfig", folder / "images.json"
    missing = [path for path in (kubeconfig, images) if not path.exists()]
    if missing:
        raise ProblemError(
            [
                Problem(
                    "modelway:cluster.provider",
                    "the one-node Kubernetes was never started",
                    f"no {', '.join(path.name for path in missing)}",
                    "a running node",
                    "run `modelway up node`, which starts it",
                )
            ]
        )
    built: dict[str, str] = json.loads(images.read_text(encoding="utf-8"))
    return Ground(
        settings=settings,
        kubeconfig=kubeconfig,
        identifier="modelway-node",
        address=settings.gateway.address or f"127.0.0.1:{os.environ.get('MODELWAY_GATEWAY_PORT', '8080')}",
        images={role: built[name] for role, name in NODE_IMAGES.items() if name in built},
        chart=str(cache_dir() / "charts" / "gateway-helm-v1.9.1.tgz"),
        registry=f"127.0.0.1:{os.environ.get('MODELWAY_REGISTRY_PORT', '5000')}",
    )


def _existing(settings: Settings) -> Ground:
    path = Path(settings.cluster.kubeconfig or "").expanduser()
    if not path.is_file():
        raise ProblemError(
            [
                Problem(
                    "modelway:cluster.kubeconfig",
                    "no such file",
                    repr(settings.cluster.kubeconfig),
                    "the path of a kubeconfig",
                    "correct the path",
                )
            ]
        )
    return Ground(
        settings=settings,
        kubeconfig=path,
        identifier=settings.cluster.identifier or "existing",
        address=settings.gateway.address or "",
    )
