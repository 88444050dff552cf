"""GKE clusters that exist, found by their names."""

import pulumi
import pulumi_gcp as gcp

from modelway.cluster.gke.kubeconfig import gke_kubeconfig


def found(name: str, project: str, location: str, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Kubeconfig of the cluster, by its DNS endpoint where that lets the outside in; Google is asked in preview too."""
    cluster = gcp.container.get_cluster_output(
        name=name, project=project, location=location, opts=pulumi.InvokeOptions(parent=parent)
    )
    return cluster.apply(lambda each: _kubeconfig(name, each))


def _kubeconfig(name: str, cluster: gcp.container.GetClusterResult) -> str:
    for config in cluster.control_plane_endpoints_configs:
        for by_name in config.dns_endpoint_configs:
            if by_name.allow_external_traffic:
                return gke_kubeconfig(name, by_name.endpoint)
    return gke_kubeconfig(name, cluster.endpoint, cluster.master_auths[0].cluster_ca_certificate)


NOT_THERE = ("not found", "SERVICE_DISABLED", "has not been used in project")
"""How the provider says that there is no cluster of the name
(https://github.com/hashicorp/terraform-provider-google/blob/e03b7622a26cf4e878f90bdccaca6aa3d03a7999/google/services/container/data_source_google_container_cluster.go),
and Google that nobody could have made one yet
(https://docs.cloud.google.com/service-usage/docs/enabled-service: the reason `SERVICE_DISABLED`)."""


def running_version(name: str, project: str, location: str, opts: pulumi.InvokeOptions) -> str | None:
    """Version of the control plane of this name, None where there is none; Google is asked in preview too."""
    try:
        return gcp.container.get_cluster(name=name, project=project, location=location, opts=opts).master_version
    except Exception as error:  # the SDK raises no narrower one
        if any(words in str(error) for words in NOT_THERE):
            return None
        raise
