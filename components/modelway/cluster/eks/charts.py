"""Charts of the controllers that EKS lacks, as values; pure. Each runs under the identity that `EksCluster` gives it.

Versions, names of values and images were read on 2026-11-23 from the charts' own repositories:
https://github.com/kubernetes-sigs/aws-load-balancer-controller at 225f44568, helm/aws-load-balancer-controller;
https://github.com/aws/karpenter-provider-aws at 1d927085d, charts/karpenter;
https://github.com/kubernetes-sigs/external-dns at 2bf1bf8af, charts/external-dns.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from modelway._common import Manifest

USER_ID = 65532
"""User of the distroless images that all three are."""

_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Chart(NamedTuple):
    """One release."""

    name: str
    chart: str
    repository: str
    """Address of the chart's repository; empty where `chart` is an OCI reference."""
    version: str
    namespace: str
    values: dict[str, Any]


def load_balancer_controller(cluster: str, region: str, vpc_id: Any) -> Chart:
    """The AWS Load Balancer Controller, for network load balancers of Services and nothing else.

    Region and network are told to it: nodes answer no pod's question about themselves.
    """
    values = {
        "clusterName": cluster,
        "region": region,
        "vpcId": vpc_id,
        "replicaCount": 2,
        "podDisruptionBudget": {"maxUnavailable": 1},
        "serviceAccount": {"create": True, "name": "aws-load-balancer-controller"},
        "defaultTargetType": "ip",
        # The gateway takes what an Ingress would: no Ingress of a user may open an application load balancer.
        "createIngressClassResource": False,
        "ingressClassParams": {"create": False},
        "enableShield": False,
        "enableWaf": False,
        "enableWafv2": False,
        # Without it, every upgrade makes new certificates and the webhook refuses Services for a while.
        "keepTLSSecret": True,
        "resources": _resources("50m", "128Mi", "500m", "256Mi"),
        "securityContext": dict(_SECURITY),
    }
    return Chart(
        "aws-load-balancer-controller",
        "aws-load-balancer-controller",
        "https://aws.github.io/eks-charts",
        "3.5.0",
        "kube-system",
        values,
    )


def karpenter(cluster: str, queue: str) -> Chart:
    """Karpenter, which hears of the end of its nodes through the queue."""
    values = {
        "replicas": 2,
        "serviceAccount": {"create": True, "name": "karpenter"},
        "settings": {"clusterName": cluster, "interruptionQueue": queue},
        "controller": {"resources": _resources("250m", "512Mi", "1", "1Gi")},
    }
    return Chart("karpenter", "oci://public.ecr.aws/karpenter/karpenter", "", "1.14.1", "kube-system", values)


def external_dns(cluster: str, region: str, domains: Sequence[str]) -> Chart:
    """external-dns, for hosts of the gateway's routes in these domains; it deletes no record that it did not make."""
    values = {
        "provider": {"name": "aws"},
        "sources": ["gateway-httproute"],
        "domainFilters": list(domains),
        "policy": "sync",
        "registry": "txt",
        "txtOwnerId": cluster,
        "managedRecordTypes": ["A", "AAAA", "CNAME"],
        "env": [{"name": "AWS_DEFAULT_REGION", "value": region}],
        "serviceAccount": {"create": True, "name": "external-dns"},
        "resources": _resources("20m", "64Mi", "200m", "128Mi"),
        "securityContext": dict(_SECURITY),
    }
    return Chart(
        "external-dns",
        "external-dns",
        "https://kubernetes-sigs.github.io/external-dns/",
        "1.21.1",
        "external-dns",
        values,
    )


def storage_class(volumes: str) -> Manifest:
    """The default class: encrypted gp3 disks in the zone of the pod that first uses one.

    `volumes` is what `EksCluster` gives out as `capabilities.volumes`.
    Source: https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/parameters.md
    """
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "modelway",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": volumes,
        "parameters": {"type": "gp3", "encrypted": "true"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
    }


def _resources(cpu: str, memory: str, cpu_limit: str, memory_limit: str) -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu_limit, "memory": memory_limit}}
