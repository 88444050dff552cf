"""What differs between the places where a stack runs; components never see a machine's files."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import modelway
import pulumi
from modelway import ExistingCluster, ExistingRegistry, KindCluster, LocalRegistry, RestrictedNamespace
from modelway.cluster.existing import ExistingClusterArgs
from modelway.cluster.kind import KindClusterArgs
from modelway.gateway.cert_manager import CHART_VERSION as CERT_MANAGER_VERSION
from modelway.gateway.gateway import GatewayArgs
from modelway.gateway.objects import CHART_VERSION
from modelway.gateway.tls import CertManagerImagesArgs, TlsArgs
from modelway.logging.collector import VERSION as COLLECTOR_VERSION
from modelway.monitoring.remote_write import RemoteWriteArgs
from modelway.monitoring.stack import MonitoringStackArgs
from modelway.registry.existing import ExistingRegistryArgs
from modelway.scaling.keda import VERSION as KEDA_VERSION
from modelway.scaling.keda import KedaArgs
from modelway.scaling.objects import NAMESPACE as KEDA_NAMESPACE

from infra.alerting import delivery_args, storage_mb, tells_of_alerts
from infra.autoscaling import installs_keda
from infra.config_ground import MonitoringGround
from infra.config_schema import Provider, Settings
from infra.grafana import grafana_args
from infra.monitoring_ground import chart_args
from infra.names import MODELS_NAMESPACE
from infra.tls import installs_cert_manager, tls_args
from tools.node.layout import NODE_ADDRESS, Ports
from tools.paths import cache_dir, state_dir
from tools.problem import Problem, ProblemError

if TYPE_CHECKING:
    from modelway import ArtifactRegistry, EcrRegistry, EksCluster, GkeCluster

    Cluster = ExistingCluster | KindCluster | EksCluster | GkeCluster
    Registry = ExistingRegistry | LocalRegistry | EcrRegistry | ArtifactRegistry

PROMETHEUS_IMAGE = "docker.io/prom/prometheus:v3.13.1"
ALERTMANAGER_IMAGE = "docker.io/prom/alertmanager:v0.34.2"
NODE_IMAGES = {
    "gateway": "envoyproxy/gateway:v1.9.1",
    "proxy": "envoyproxy/envoy:v1.40.0",
    "prometheus": "prom/prometheus:v3.13.1",
    "alertmanager": "prom/alertmanager:v0.34.2",
    "log_collector": f"otel/opentelemetry-collector-contrib:{COLLECTOR_VERSION}",
    "rollout_judge": f"modelway/rollout-judge:{modelway.__version__}",
    "keda-operator": f"kedacore/keda:{KEDA_VERSION}",
    "keda-metrics-server": f"kedacore/keda-metrics-apiserver:{KEDA_VERSION}",
    **{
        command: f"jetstack/cert-manager-{command}:{CERT_MANAGER_VERSION}"
        for command in ("controller", "webhook", "cainjector", "startupapicheck")
    },
}


class CloudMonitoring(NamedTuple):
    """Alerts in a cloud, as the rest of the program needs them."""

    sending: RemoteWriteArgs
    """What Prometheus in the cluster is told."""
    outputs: dict[str, pulumi.Output[Any]]
    """Of the stack."""


@dataclass(frozen=True)
class Ground:
    """A cluster to run on, with the images, the chart and the address that hold there."""

    settings: Settings
    ports: Ports
    kubeconfig: Path | None
    """Kubeconfig of a cluster that exists before the stack; none where the stack makes its cluster."""
    identifier: str
    address: str
    images: dict[str, str] = field(default_factory=dict)
    chart: str | None = None
    cert_manager_chart: str | None = None
    cluster_cidrs: list[str] | None = None
    """Addresses of the API server and the nodes, where they are known beforehand."""

    def cluster(self) -> "Cluster":
        """The cluster of the stack."""
        if self.kubeconfig is None:
            kind: KindClusterArgs = {"name": self.identifier, "gateway_port": self.ports.gateway}
            if self.settings.gateway.tls:
                kind["gateway_tls_port"] = self.ports.gateway_tls
            return KindCluster("cluster", kind)
        args: ExistingClusterArgs = {
            "kubeconfig": self.kubeconfig.read_text(encoding="utf-8"),
            "cluster_identifier": self.identifier,
        }
        if self.settings.existing.context:
            args["context"] = self.settings.existing.context
        return ExistingCluster("cluster", args)

    def gateway_args(self) -> GatewayArgs:
        """Inputs of the gateway."""
        args: GatewayArgs = {
            "address": self.address,
            "models_namespaces": [MODELS_NAMESPACE],
            "replicas": self.settings.gateway.replicas,
            "install_crds": self.settings.gateway.install_crds,
        }
        if chart := self.settings.gateway.chart or self.chart:
            args["chart"] = chart
        if self.cluster_cidrs:
            args["api_server_cidrs"] = self.cluster_cidrs
        if image := self.image("gateway"):
            args["gateway_image"] = image
        if image := self.image("proxy"):
            args["proxy_image"] = image
        if tls := self.tls_args():
            args["tls"] = tls
        return args

    def tls_args(self) -> TlsArgs | None:
        """Inputs of the gateway about TLS; none for plain HTTP."""
        local = self.settings.cluster.provider.is_local
        args = tls_args(self.settings, self.ports.gateway_tls if local else None)
        if args is not None and installs_cert_manager(self.settings):
            if self.cert_manager_chart:
                args.setdefault("cert_manager_chart", self.cert_manager_chart)
            own = {name: self.images[name] for name in CertManagerImagesArgs.__required_keys__ if name in self.images}
            if own:
                args.setdefault("cert_manager_images", own)
        return cast(TlsArgs | None, args)

    def monitoring_args(self) -> MonitoringStackArgs:
        """Inputs of the monitoring stack."""
        args: MonitoringStackArgs = {
            "image": self.image("prometheus") or PROMETHEUS_IMAGE,
            "models_namespaces": [MODELS_NAMESPACE],
            # kind's kubelets sign their own certificates.
            "kubelet_insecure_tls": self.settings.cluster.provider is Provider.KIND,
            "retention_hours": self.settings.monitoring.retention_hours,
            "storage_mb": storage_mb(self.settings),
            **delivery_args(self.settings),  # type: ignore[typeddict-item]
        }
        if tells_of_alerts(self.settings):
            args["alertmanager_image"] = self.image("alertmanager") or ALERTMANAGER_IMAGE
        if grafana := grafana_args(self.settings):
            args["grafana"] = grafana
        if self.cluster_cidrs:
            args["api_server_cidrs"] = args["node_cidrs"] = self.cluster_cidrs
        if readers := self._readers():
            args["readers_namespaces"] = readers
        if self.settings.monitoring.storage_class is not None:
            args["storage_class"] = self.settings.monitoring.storage_class
        if self.settings.monitoring.ground is MonitoringGround.KUBE_PROMETHEUS_STACK:
            args["ground"] = self.settings.monitoring.ground.value
            args["kube_prometheus_stack"] = chart_args(self.settings)
        return args

    def cloud_monitoring(self, cluster: Any) -> CloudMonitoring:
        """Alerts in the cluster's own cloud."""
        raise NotImplementedError

    def log_access(self, cluster: Any) -> pulumi.Resource:
        """What the log collector writes to in the cluster's own cloud, and may."""
        raise NotImplementedError

    def _readers(self) -> list[str]:
        """Namespaces with pods that ask Prometheus."""
        judged = any(getattr(model, "experiment", None) is not None for model in self.settings.models)
        scaled = installs_keda(self.settings)
        return [*([MODELS_NAMESPACE] if judged else []), *([KEDA_NAMESPACE] if scaled else [])]

    def keda_args(self) -> KedaArgs:
        """Inputs of KEDA."""
        args: KedaArgs = {"models_namespaces": [MODELS_NAMESPACE]}
        own = self.settings.images.keda
        if operator := own.operator if own else self.images.get("keda-operator"):
            args["operator_image"] = operator
        if server := own.metrics_server if own else self.images.get("keda-metrics-server"):
            args["metrics_server_image"] = server
        if self.cluster_cidrs:
            args["api_server_cidrs"] = self.cluster_cidrs
        return args

    def registry(self, cluster: Any, namespace: RestrictedNamespace) -> "Registry":
        """The registry of the models' images."""
        if isinstance(cluster, KindCluster):
            return LocalRegistry("registry", {"cluster": cluster.name, "port": self.ports.registry})
        return self.existing_registry(cluster.provider, namespace)

    def existing_registry(self, provider: pulumi.ProviderResource, namespace: RestrictedNamespace) -> ExistingRegistry:
        """A registry that is there already."""
        settings = self.settings.registry
        args: ExistingRegistryArgs = {"url": settings.url or f"127.0.0.1:{self.ports.registry}"}
        if settings.username and settings.password:
            args["namespace"] = MODELS_NAMESPACE
            args["username"] = settings.username
            args["password"] = pulumi.Output.secret(settings.password.get_secret_value())
        opts = pulumi.ResourceOptions(providers=[provider], depends_on=[namespace])
        return ExistingRegistry("registry", args, opts)

    def image(self, role: str) -> str | None:
        """The platform's image for `role`: from the config, else this ground's own, else none."""
        configured: str | None = getattr(self.settings.images, role)
        return configured or self.images.get(role)


def ground_of(settings: Settings) -> Ground:
    """The ground that `modelway:cluster` names; raises `ProblemError` when it is not there."""
    ports = Ports.load(os.environ)
    if settings.cluster.provider is Provider.NODE:
        return _node(settings, ports)
    if settings.cluster.provider is Provider.EXISTING:
        if settings.existing.eks or settings.existing.gke:
            from infra.ground_cloud import named_ground

            return named_ground(settings, ports)
        return _existing(settings, ports)
    if settings.cluster.provider.is_cloud:
        from infra.ground_cloud import cloud_ground

        return cloud_ground(settings, ports)
    return Ground(
        settings=settings,
        ports=ports,
        kubeconfig=None,
        identifier=settings.existing.identifier or "modelway",
        address=settings.gateway.address or f"127.0.0.1:{ports.gateway}",
    )


def _node(settings: Settings, ports: Ports) -> Ground:
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
        ports=ports,
        kubeconfig=kubeconfig,
        identifier="modelway-node",
        address=settings.gateway.address or f"127.0.0.1:{ports.gateway}",
        images={role: built[name] for role, name in NODE_IMAGES.items() if name in built},
        chart=str(cache_dir() / "charts" / f"gateway-helm-{CHART_VERSION}.tgz"),
        cert_manager_chart=str(cache_dir() / "charts" / f"cert-manager-{CERT_MANAGER_VERSION}.tgz"),
        cluster_cidrs=[f"{NODE_ADDRESS}/32"],
    )


def _existing(settings: Settings, ports: Ports) -> Ground:
    path = Path(settings.existing.kubeconfig or "").expanduser()
    if not path.is_file():
        raise ProblemError(
            [
                Problem(
                    "modelway:cluster.kubeconfig",
                    "no such file",
                    repr(settings.existing.kubeconfig),
                    "the path of a kubeconfig",
                    "correct the path",
                )
            ]
        )
    return Ground(
        settings=settings,
        ports=ports,
        kubeconfig=path,
        identifier=settings.existing.identifier or "existing",
        address=settings.gateway.address or "",
    )
