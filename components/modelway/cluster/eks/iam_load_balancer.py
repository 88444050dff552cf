"""IAM document of the AWS Load Balancer Controller, as a pure function.

What it may do follows the controller's own policy
(https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/docs/install/iam_policy.json, read at commit
225f44568 of 2026-08-17), less application load balancers, WAF, Shield and Cognito: the gateway stands behind a network
load balancer. Where that policy asks for the controller's tag with any value, this one asks for the cluster's name.
"""

from typing import Any

from modelway.cluster.eks.iam import Document, Statement, allow, document

CLUSTER_TAG = "elbv2.k8s.aws/cluster"
DESCRIBE_EC2 = (
    *("AccountAttributes", "Addresses", "AvailabilityZones", "InternetGateways", "Vpcs", "VpcPeeringConnections"),
    *("Subnets", "SecurityGroups", "Instances", "NetworkInterfaces", "Tags", "RouteTables", "IpamPools"),
)
DESCRIBE_BALANCERS = (
    *("LoadBalancers", "LoadBalancerAttributes", "Listeners", "ListenerAttributes", "ListenerCertificates"),
    *("SSLPolicies", "TargetGroups", "TargetGroupAttributes", "TargetHealth", "Tags", "CapacityReservation", "Rules"),
)
MODIFY_BALANCERS = (
    *("ModifyLoadBalancerAttributes", "SetIpAddressType", "SetSecurityGroups", "SetSubnets", "DeleteLoadBalancer"),
    *("ModifyTargetGroup", "ModifyTargetGroupAttributes", "DeleteTargetGroup", "ModifyCapacityReservation"),
)


def controller(cluster: str, region: str, account: str) -> Document:
    """What the controller may do: network load balancers and security groups that carry this cluster's tag."""
    describe = [f"ec2:Describe{kind}" for kind in DESCRIBE_EC2]
    describe += ["acm:ListCertificates"]
    describe += [f"elasticloadbalancing:Describe{kind}" for kind in DESCRIBE_BALANCERS]
    return document(
        allow(
            "ServiceLinkedRole",
            ["iam:CreateServiceLinkedRole"],
            [f"arn:aws:iam::{account}:role/aws-service-role/elasticloadbalancing.amazonaws.com/*"],
            {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        ),
        allow("Read", describe, ["*"]),
        allow("ReadGroups", ["ec2:GetSecurityGroupsForVpc"], [f"arn:aws:ec2:{region}:{account}:vpc/*"]),
        allow("ReadCertificates", ["acm:DescribeCertificate"], [f"arn:aws:acm:{region}:{account}:certificate/*"]),
        *_security_groups(cluster, f"arn:aws:ec2:{region}:{account}"),
        *_balancers(cluster, f"arn:aws:elasticloadbalancing:{region}:{account}"),
    )


def _asked(cluster: str) -> dict[str, Any]:
    return {"StringEquals": {f"aws:RequestTag/{CLUSTER_TAG}": cluster}}


def _own(cluster: str) -> dict[str, Any]:
    return {"StringEquals": {f"aws:ResourceTag/{CLUSTER_TAG}": cluster}}


def _retag(cluster: str) -> dict[str, Any]:
    return {**_own(cluster), "Null": {f"aws:RequestTag/{CLUSTER_TAG}": "true"}}


def _security_groups(cluster: str, prefix: str) -> list[Statement]:
    groups = f"{prefix}:security-group/*"
    rules = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    creating = _asked(cluster)
    creating["StringEquals"]["ec2:CreateAction"] = "CreateSecurityGroup"
    nodes = {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster}": "owned"}}
    return [
        allow("CreateGroups", ["ec2:CreateSecurityGroup"], [groups, f"{prefix}:vpc/*"]),
        allow("TagNewGroups", ["ec2:CreateTags"], [groups], creating),
        allow("TagOwnGroups", ["ec2:CreateTags", "ec2:DeleteTags"], [groups], _retag(cluster)),
        allow("OwnGroups", [*rules, "ec2:DeleteSecurityGroup"], [groups], _own(cluster)),
        allow("OpenNodes", rules, [groups], nodes),
    ]


def _balancers(cluster: str, prefix: str) -> list[Statement]:
    balancers, groups = f"{prefix}:loadbalancer/net/*/*", f"{prefix}:targetgroup/*/*"
    listeners = f"{prefix}:listener/net/*/*/*"
    create = ["CreateLoadBalancer", "CreateTargetGroup"]
    creating = _asked(cluster)
    creating["StringEquals"]["elasticloadbalancing:CreateAction"] = create
    listening = ["CreateListener", "DeleteListener", "ModifyListener", "ModifyListenerAttributes"]
    listening += ["AddListenerCertificates", "RemoveListenerCertificates"]

    def elastic(actions: list[str]) -> list[str]:
        return [f"elasticloadbalancing:{action}" for action in actions]

    return [
        allow("Create", elastic(create), [balancers, groups], _asked(cluster)),
        allow("TagNew", elastic(["AddTags"]), [balancers, groups], creating),
        allow("TagOwn", elastic(["AddTags", "RemoveTags"]), [balancers, groups], _retag(cluster)),
        allow("TagListeners", elastic(["AddTags", "RemoveTags"]), [listeners]),
        allow("Listen", elastic(listening), [balancers, listeners]),
        allow("ModifyOwn", elastic(list(MODIFY_BALANCERS)), [balancers, groups], _own(cluster)),
        allow("Targets", elastic(["RegisterTargets", "DeregisterTargets"]), [groups], _own(cluster)),
    ]
