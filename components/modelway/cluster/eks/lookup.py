"""An EKS cluster that exists, found by its name."""

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
