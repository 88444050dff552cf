"""EKS clusters that exist, found by their names."""

import pulumi
import pulumi_aws as aws

from modelway.cluster.eks.kubeconfig import eks_kubeconfig


def found(name: str, region: str, parent: pulumi.Resource) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """Kubeconfig and ARN of the cluster; AWS is asked in preview too."""
    cluster = aws.eks.get_cluster_output(name=name, region=region, opts=pulumi.InvokeOptions(parent=parent))
    kubeconfig = cluster.apply(
        lambda each: eks_kubeconfig(name, region, each.endpoint, each.certificate_authorities[0].data)
    )
    return kubeconfig, cluster.arn


def running_version(name: str, region: str, opts: pulumi.InvokeOptions) -> str | None:
    """Minor version of the cluster of this name, None where there is none; AWS is asked in preview too.

    The list comes first, since a question for a cluster that is not there fails.
    """
    if name not in aws.eks.get_clusters(region=region, opts=opts).names:
        return None
    return aws.eks.get_cluster(name=name, region=region, opts=opts).version
