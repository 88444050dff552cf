"""A GKE cluster that exists, found by its name."""

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
