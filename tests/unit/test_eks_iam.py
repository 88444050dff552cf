"""IAM documents of EKS, whole."""

from typing import Any

import pytest
from modelway.cluster.eks import iam, iam_karpenter, iam_load_balancer

ACCOUNT, REGION = "111122223333", "eu-west-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(sid: str, action: list[str], resource: list[str], **condition: Any) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


OWNER = {
    "Sid": "AccountDecidesByIam",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
    "Action": "kms:*",
    "Resource": "*",
}


def test_a_role_of_a_pod_is_taken_by_one_service_account_of_one_cluster() -> None:
    assert iam.pod_trust("arn:aws:eks:eu-west-1:111122223333:cluster/models", "kube-system", "karpenter") == policy(
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-west-1:111122223333:cluster/models",
                    "aws:RequestTag/kubernetes-namespace": "kube-system",
                    "aws:RequestTag/kubernetes-service-account": "karpenter",
                }
            },
        }
    )


def test_a_service_is_trusted_for_an_account_where_it_acts_for_others_too() -> None:
    principal = {"Service": "vpc-flow-logs.amazonaws.com"}
    plain = {"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole"]}
    assert iam.service_trust("vpc-flow-logs.amazonaws.com") == policy(plain)
    assert iam.service_trust("vpc-flow-logs.amazonaws.com", account=ACCOUNT) == policy(
        {**plain, "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}}
    )


def test_the_key_of_secrets_is_used_through_iam_only() -> None:
    assert iam.key_policy(ACCOUNT) == policy(OWNER)
    assert iam.secrets_key_use(KEY) == policy(
        allow("EncryptSecrets", ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"], [KEY])
    )


def test_the_key_of_logs_is_used_for_the_named_groups_only() -> None:
    assert iam.logs_key_policy(REGION, ACCOUNT, ["/aws/eks/models/cluster"]) == policy(
        OWNER,
        {
            "Sid": "LogGroups",
            "Effect": "Allow",
            "Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
            "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            "Resource": "*",
            "Condition": {
                "ArnEquals": {
                    "kms:EncryptionContext:aws:logs:arn": [
                        "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/eks/models/cluster"
                    ]
                }
            },
        },
    )


def test_the_flow_log_writes_into_its_group() -> None:
    group = "arn:aws:logs:eu-west-1:111122223333:log-group:flow"
    actions = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    assert iam.flow_logs_delivery(group) == policy(allow("WriteFlowLog", actions, [group, f"{group}:*"]))


def test_cert_manager_writes_challenges_and_nothing_else() -> None:
    zones = ["arn:aws:route53:::hostedzone/Z1", "arn:aws:route53:::hostedzone/Z2"]
    assert iam.dns_challenges(["Z1", "Z2"]) == policy(
        allow("FollowChange", ["route53:GetChange"], ["arn:aws:route53:::change/*"]),
        allow("ReadZones", ["route53:ListResourceRecordSets"], zones),
        allow(
            "WriteChallenges",
            ["route53:ChangeResourceRecordSets"],
            zones,
            **{
                "ForAllValues:StringEquals": {"route53:ChangeResourceRecordSetsRecordTypes": ["TXT"]},
                "ForAllValues:StringLike": {
                    "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_acme-challenge.*"]
                },
            },
        ),
    )


def test_external_dns_writes_addresses_and_its_own_marks() -> None:
    zones = ["arn:aws:route53:::hostedzone/Z1"]
    types = {"route53:ChangeResourceRecordSetsRecordTypes": ["A", "AAAA", "CNAME", "TXT"]}
    assert iam.dns_records(["Z1"]) == policy(
        allow("FindZones", ["route53:ListHostedZones"], ["*"]),
        allow("ReadZones", ["route53:ListResourceRecordSets", "route53:ListTagsForResources"], zones),
        allow("WriteAddresses", ["route53:ChangeResourceRecordSets"], zones, **{"ForAllValues:StringEquals": types}),
    )


def test_a_model_reads_below_its_own_prefix_only() -> None:
    expected = [
        allow("ReadArtifacts", ["s3:GetObject"], ["arn:aws:s3:::models/breast-cancer/v1/*"]),
        allow(
            "ListArtifacts",
            ["s3:ListBucket"],
            ["arn:aws:s3:::models"],
            StringLike={"s3:prefix": ["breast-cancer/v1/*"]},
        ),
    ]
    assert iam.model_reader("models", "/breast-cancer/v1/") == policy(*expected)
    key = allow("DecryptArtifacts", ["kms:Decrypt"], [KEY])
    assert iam.model_reader("models", "breast-cancer/v1", KEY) == policy(*expected, key)


@pytest.mark.parametrize("prefix", ["", "/", "*", "iris*", "iris/?", "${aws:username}"])
def test_a_prefix_that_opens_more_than_one_model_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="opens more than one model") as caught:
        iam.model_reader("models", prefix)
    assert str(caught.value) == (
        f"prefix: opens more than one model: got {prefix!r}, allowed a folder without wildcards; name the model's."
    )


def ec2(*kinds: str) -> list[str]:
    return [f"arn:aws:ec2:eu-west-1:111122223333:{kind}/*" for kind in kinds]


MADE = ec2("fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request")
OWNED = {
    "StringEquals": {"aws:ResourceTag/kubernetes.io/cluster/models": "owned"},
    "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"},
}
ASKED = {
    "aws:RequestTag/kubernetes.io/cluster/models": "owned",
    "aws:RequestTag/eks:eks-cluster-name": "models",
}
NODEPOOL = {"aws:RequestTag/karpenter.sh/nodepool": "*"}


def test_karpenter_makes_and_ends_nodes_of_its_cluster_only() -> None:
    launch = ["ec2:RunInstances", "ec2:CreateFleet"]
    public = ["arn:aws:ec2:eu-west-1::image/*", "arn:aws:ec2:eu-west-1::snapshot/*"]
    used = ec2("security-group", "subnet", "capacity-reservation", "placement-group")
    creating = {"ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]}
    describe = [
        f"ec2:Describe{kind}"
        for kind in (
            *("CapacityReservations", "Images", "Instances", "InstanceStatus", "InstanceTypeOfferings"),
            *("InstanceTypes", "LaunchTemplates", "PlacementGroups", "SecurityGroups", "SpotPriceHistory", "Subnets"),
        )
    ]
    retag = {
        **OWNED,
        "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": "models"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]},
    }
    assert iam_karpenter.controller("models", REGION, ACCOUNT, "role", "profile", "queue") == policy(
        allow("UseToLaunch", launch, [*public, *used]),
        allow("UseOwnTemplates", launch, ec2("launch-template"), **OWNED),
        allow("Launch", [*launch, "ec2:CreateLaunchTemplate"], MADE, StringEquals=ASKED, StringLike=NODEPOOL),
        allow(
            "DeleteOwn",
            ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            ec2("instance", "launch-template"),
            **OWNED,
        ),
        allow("TagWhenCreating", ["ec2:CreateTags"], MADE, StringEquals={**ASKED, **creating}, StringLike=NODEPOOL),
        allow("TagOwn", ["ec2:CreateTags"], ec2("instance"), **retag),
        allow("PassNodeRole", ["iam:PassRole"], ["role"], StringEquals={"iam:PassedToService": "ec2.amazonaws.com"}),
        allow("ReadProfile", ["iam:GetInstanceProfile"], ["profile"]),
        allow("ListProfiles", ["iam:ListInstanceProfiles"], ["*"]),
        allow("FindApi", ["eks:DescribeCluster"], ["arn:aws:eks:eu-west-1:111122223333:cluster/models"]),
        allow("HearInterruptions", ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], ["queue"]),
        allow("ReadOffers", describe, ["*"], StringEquals={"aws:RequestedRegion": "eu-west-1"}),
        allow("ReadImages", ["ssm:GetParameter"], ["arn:aws:ssm:eu-west-1::parameter/aws/service/*"]),
        allow("ReadPrices", ["pricing:GetProducts"], ["*"]),
    )


def test_only_the_rules_send_to_the_queue_and_only_over_tls() -> None:
    assert iam_karpenter.interruption_queue("queue", ["rule-1", "rule-2"]) == policy(
        {
            "Sid": "RulesSend",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": "queue",
            "Condition": {"ArnEquals": {"aws:SourceArn": ["rule-1", "rule-2"]}},
        },
        {
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": "queue",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )


TAG = "elbv2.k8s.aws/cluster"
OWN = {"StringEquals": {f"aws:ResourceTag/{TAG}": "models"}}
RETAG = {**OWN, "Null": {f"aws:RequestTag/{TAG}": "true"}}


def elastic(*actions: str) -> list[str]:
    return [f"elasticloadbalancing:{action}" for action in actions]


def test_the_load_balancer_controller_changes_what_carries_its_clusters_tag() -> None:
    document = iam_load_balancer.controller("models", REGION, ACCOUNT)
    read = document["Statement"].pop(1)
    assert (read["Sid"], read["Effect"], read["Resource"]) == ("Read", "Allow", ["*"])
    verbs = {action.partition(":")[2][:8] for action in read["Action"]}
    assert verbs == {"Describe", "ListCert"}
    groups = ec2("security-group")
    rules = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    balancing = "arn:aws:elasticloadbalancing:eu-west-1:111122223333"
    balancers, targets = f"{balancing}:loadbalancer/net/*/*", f"{balancing}:targetgroup/*/*"
    listeners = f"{balancing}:listener/net/*/*/*"
    asked = {f"aws:RequestTag/{TAG}": "models"}
    creating = {"elasticloadbalancing:CreateAction": ["CreateLoadBalancer", "CreateTargetGroup"]}
    listening = elastic("CreateListener", "DeleteListener", "ModifyListener", "ModifyListenerAttributes")
    listening += elastic("AddListenerCertificates", "RemoveListenerCertificates")
    linked = "arn:aws:iam::111122223333:role/aws-service-role/elasticloadbalancing.amazonaws.com/*"
    service = {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}
    nodes = {"aws:ResourceTag/kubernetes.io/cluster/models": "owned"}
    modify = elastic("ModifyLoadBalancerAttributes", "SetIpAddressType", "SetSecurityGroups", "SetSubnets")
    modify += elastic("DeleteLoadBalancer", "ModifyTargetGroup", "ModifyTargetGroupAttributes", "DeleteTargetGroup")
    modify += elastic("ModifyCapacityReservation")
    certificates = ["arn:aws:acm:eu-west-1:111122223333:certificate/*"]
    assert document == policy(
        allow("ServiceLinkedRole", ["iam:CreateServiceLinkedRole"], [linked], StringEquals=service),
        allow("ReadGroups", ["ec2:GetSecurityGroupsForVpc"], ec2("vpc")),
        allow("ReadCertificates", ["acm:DescribeCertificate"], certificates),
        allow("CreateGroups", ["ec2:CreateSecurityGroup"], ec2("security-group", "vpc")),
        allow(
            "TagNewGroups",
            ["ec2:CreateTags"],
            groups,
            StringEquals={**asked, "ec2:CreateAction": "CreateSecurityGroup"},
        ),
        allow("TagOwnGroups", ["ec2:CreateTags", "ec2:DeleteTags"], groups, **RETAG),
        allow("OwnGroups", [*rules, "ec2:DeleteSecurityGroup"], groups, **OWN),
        allow("OpenNodes", rules, groups, StringEquals=nodes),
        allow("Create", elastic("CreateLoadBalancer", "CreateTargetGroup"), [balancers, targets], StringEquals=asked),
        allow("TagNew", elastic("AddTags"), [balancers, targets], StringEquals={**asked, **creating}),
        allow("TagOwn", elastic("AddTags", "RemoveTags"), [balancers, targets], **RETAG),
        allow("TagListeners", elastic("AddTags", "RemoveTags"), [listeners]),
        allow("Listen", listening, [balancers, listeners]),
        allow("ModifyOwn", modify, [balancers, targets], **OWN),
        allow("Targets", elastic("RegisterTargets", "DeregisterTargets"), [targets], **OWN),
    )
