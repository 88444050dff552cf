"""Cloud Logging for the collector of a GKE cluster."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_gcp as gcp

from modelway._common import type_token
from modelway.cluster.gke import services
from modelway.cluster.gke.site import Place
from modelway.identity.pods import gke_principal
from modelway.logging.objects import NAME, NAMESPACE

WRITER = "roles/logging.logWriter"
"""Writes entries and reads none: https://docs.cloud.google.com/logging/docs/access-control."""


class CloudLoggingAccessArgs(TypedDict):
    """Inputs of `CloudLoggingAccess`."""

    project: str
    """ID of the project that the logs go to."""
    cluster_project: str
    """ID of the project of the cluster."""
    running_cluster: NotRequired[pulumi.Input[str]]
    """Name of the cluster, known once it runs, where it is of the same program: its project has the names of its
    service accounts from its first cluster on. Defaults to a cluster that is there."""
    collector_namespace: NotRequired[str]
    """Namespace of the `LogCollector`. Defaults to `modelway-logs`."""


class CloudLoggingAccess(pulumi.ComponentResource):
    """Lets the cluster's collector, by Workload Identity, write to the logs of a project, and read none."""

    member: pulumi.Output[str]
    """The collector as IAM names it, known once it may write."""

    def __init__(self, name: str, args: CloudLoggingAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("CloudLoggingAccess"), name, {}, opts)
        place = Place(component=self, name=name, project=args["project"], region="global", production=False, labels={})
        enabled = services.enable(place, ("logging",))["logging"]
        # Asked of Google Cloud in preview too.
        home = gcp.organizations.get_project_output(project_id=args["cluster_project"], opts=place.invoke())
        namespace = args.get("collector_namespace", NAMESPACE)
        grant = gcp.projects.IAMMember(
            f"{name}-writer",
            project=args["project"],
            role=WRITER,
            member=pulumi.Output.all(home.number, args.get("running_cluster", "")).apply(
                lambda known: gke_principal(args["cluster_project"], known[0], namespace, NAME)
            ),
            opts=place.child(depends_on=[enabled]),
        )
        self.member = pulumi.Output.all(grant.member, grant.etag).apply(lambda known: str(known[0]))
        self.register_outputs({"member": self.member})
