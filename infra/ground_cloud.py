"""Grounds in a cloud: the stack makes its cluster and its registry. Each cloud's SDK is imported by its own ground."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import pulumi
from modelway import ExistingCluster, ExistingRegistry, RestrictedNamespace
from modelway.cluster.existing import ExistingClusterArgs
from modelway.cluster.findings import RefusalError
from modelway.gateway.gateway import GatewayArgs
from modelway.gateway.load_balancer import LoadBalancerArgs

from infra.cloud_monitoring import amazon_args, google_args, sending_args
from infra.clouds import artifact_registry_args, cluster_name, ecr_args, eks_args, gke_args, of_cluster, record_name
from infra.config_cluster import EksSettings, GkeSettings, Provider
from infra.config_schema import RegistryProvider, Settings
from infra.credentials import credential_problems
from infra.ground import CloudMonitoring, Ground
from infra.logs import log_group_args, logging_access_args
from tools.node.layout import Ports
from tools.problem import ProblemError

if TYPE_CHECKING:
    from modelway import ArtifactRegistry, EcrRegistry, EksCluster, GkeCluster


def cloud_ground(settings: Settings, ports: Ports) -> "CloudGround":
    """The ground of the stack's cloud; raises `ProblemError` without credentials."""
    if found := credential_problems(settings.cluster.provider):
        raise ProblemError(found)
    kind = AwsGround if isinstance(settings.cluster, EksSettings) else GoogleGround
    return kind(
        settings=settings,
        ports=ports,
        kubeconfig=None,
        identifier=cluster_name(settings),
        address=settings.gateway.address or "",
    )


def named_ground(settings: Settings, ports: Ports) -> Ground:
    """The ground of a cluster that exists in a cloud and is found by its name."""
    said = settings.existing
    if found := credential_problems(Provider.EKS if said.eks else Provider.GKE):
        raise ProblemError(found)
    return NamedGround(
        settings=settings, ports=ports, kubeconfig=None, identifier="", address=settings.gateway.address or ""
    )


@contextmanager
def refused_by_cluster() -> Iterator[None]:
    """Say in the stack's words what a component refuses once it has asked its cloud."""
    try:
        yield
    except RefusalError as error:
        raise ProblemError(of_cluster(error.findings)) from None


class NamedGround(Ground):
    """A cluster of a cloud that the stack did not make, with what it has: node ports and an existing registry."""

    def cluster(self) -> ExistingCluster:
        """The cluster, as its cloud knows it."""
        said = self.settings.existing
        name, region, project = said.eks or said.gke or "", said.region or "", said.project or ""
        args: ExistingClusterArgs
        provider: pulumi.ProviderResource
        if said.eks:
            import pulumi_aws as aws

            args, provider = {"eks": {"name": name, "region": region}}, aws.Provider("aws", region=region)
        else:
            import pulumi_gcp as gcp

            args = {"gke": {"name": name, "project": project, "location": region}}
            provider = gcp.Provider("gcp", project=project)
        return ExistingCluster("cluster", args, pulumi.ResourceOptions(providers=[provider]))


@dataclass(frozen=True)
class CloudGround(Ground):
    """What both clouds have in common: a load balancer before the gateway."""

    def gateway_args(self) -> GatewayArgs:
        """Inputs of the gateway, behind a load balancer of the cloud."""
        balancer: LoadBalancerArgs = {"kind": self.balancer}
        if self.settings.gateway.source_ranges:
            balancer["source_ranges"] = self.settings.gateway.source_ranges
        if record := record_name(self.settings):
            balancer["record"] = record
        return {**super().gateway_args(), "load_balancer": balancer}

    @property
    def balancer(self) -> str:
        """What makes the load balancer."""
        raise NotImplementedError


class AwsGround(CloudGround):
    """EKS and ECR."""

    @property
    def eks(self) -> EksSettings:
        """The cluster's settings."""
        return cast(EksSettings, self.settings.cluster)

    @property
    def balancer(self) -> str:
        """Auto Mode's own, or the AWS Load Balancer Controller."""
        return "eks-auto-mode" if self.eks.auto_mode else "aws-load-balancer-controller"

    @cached_property
    def cloud(self) -> pulumi.ProviderResource:
        """Credentials of another account than the deploying role's are refused."""
        import pulumi_aws as aws

        account = self.eks.deployer_role_arn.split(":")[4]
        return aws.Provider("aws", region=self.eks.region, allowed_account_ids=[account])

    def cluster(self) -> "EksCluster":
        """The cluster of the stack."""
        from modelway import EksCluster

        with refused_by_cluster():
            return EksCluster("cluster", eks_args(self.settings), pulumi.ResourceOptions(providers=[self.cloud]))

    def registry(self, cluster: Any, namespace: RestrictedNamespace) -> "EcrRegistry | ExistingRegistry":
        """ECR, or a registry that exists."""
        if self.settings.registry.provider is RegistryProvider.EXISTING:
            return self.existing_registry(cluster.provider, namespace)
        from modelway import EcrRegistry

        args = ecr_args(self.settings, self.eks)
        args["pull_role_arns"] = cluster.node_role_arns
        return EcrRegistry("registry", args, pulumi.ResourceOptions(providers=[self.cloud]))

    def cloud_monitoring(self, cluster: Any) -> CloudMonitoring:
        """Amazon Managed Service for Prometheus, and CloudWatch."""
        from modelway import AmazonMonitoring

        # The provider comes after the nodes, on which the add-on runs.
        running = pulumi.Output.all(cluster.name, cluster.provider.urn).apply(lambda known: str(known[0]))
        args = amazon_args(self.settings, self.eks, running)
        made = AmazonMonitoring("watch", args, pulumi.ResourceOptions(providers=[self.cloud]))
        topics = {"page_topic_arn": made.page_topic_arn, "ticket_topic_arn": made.ticket_topic_arn}
        return CloudMonitoring(sending_args(self.settings, made.remote_write_url), topics)

    def log_access(self, cluster: Any) -> pulumi.Resource:
        """A log group of CloudWatch."""
        from modelway import CloudWatchLogGroup

        args = log_group_args(self.settings, self.eks, cluster.name)
        return CloudWatchLogGroup("log-group", args, pulumi.ResourceOptions(providers=[self.cloud]))


class GoogleGround(CloudGround):
    """GKE and Artifact Registry."""

    @property
    def gke(self) -> GkeSettings:
        """The cluster's settings."""
        return cast(GkeSettings, self.settings.cluster)

    @property
    def balancer(self) -> str:
        """GKE's own."""
        return "gke"

    @cached_property
    def cloud(self) -> pulumi.ProviderResource:
        """Whatever the credentials, the project of the config."""
        import pulumi_gcp as gcp

        return gcp.Provider("gcp", project=self.gke.project, region=self.gke.region)

    def cluster(self) -> "GkeCluster":
        """The cluster of the stack."""
        from modelway import GkeCluster

        with refused_by_cluster():
            return GkeCluster("cluster", gke_args(self.settings), pulumi.ResourceOptions(providers=[self.cloud]))

    def registry(self, cluster: Any, namespace: RestrictedNamespace) -> "ArtifactRegistry | ExistingRegistry":
        """Artifact Registry, or a registry that exists."""
        if self.settings.registry.provider is RegistryProvider.EXISTING:
            return self.existing_registry(cluster.provider, namespace)
        from modelway import ArtifactRegistry

        args = artifact_registry_args(self.settings, self.gke)
        args["pull_service_accounts"] = cluster.node_service_accounts
        return ArtifactRegistry("registry", args, pulumi.ResourceOptions(providers=[self.cloud]))

    def cloud_monitoring(self, cluster: Any) -> CloudMonitoring:
        """Google Cloud Managed Service for Prometheus, and Cloud Monitoring."""
        from modelway import GoogleMonitoring

        args = google_args(self.settings, self.gke, cluster.name)
        made = GoogleMonitoring("watch", args, pulumi.ResourceOptions(providers=[self.cloud]))
        channels = {"page_channels": made.page_channels, "ticket_channels": made.ticket_channels}
        return CloudMonitoring(sending_args(self.settings, made.remote_write_url), channels)

    def log_access(self, cluster: Any) -> pulumi.Resource:
        """Writing to Cloud Logging."""
        from modelway import CloudLoggingAccess

        args = logging_access_args(self.settings, self.gke, cluster.name)
        return CloudLoggingAccess("log-access", args, pulumi.ResourceOptions(providers=[self.cloud]))
