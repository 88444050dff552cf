"""IAM documents, as pure functions: who may do what, on what, under which conditions."""

from collections.abc import Sequence
from typing import Any

Document = dict[str, Any]
"""A policy as plain data."""
Statement = dict[str, Any]

MANAGED = "arn:aws:iam::aws:policy"
POD_IDENTITY = "pods.eks.amazonaws.com"


def document(*statements: Statement) -> Document:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: dict[str, Any] | None = None
) -> Statement:
    """Permission for the role that holds it."""
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    if condition:
        statement["Condition"] = condition
    return statement


def service_trust(service: str, actions: Sequence[str] = ("sts:AssumeRole",), account: str | None = None) -> Document:
    """Trust in an AWS service; with `account` only when it acts for that account."""
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": list(actions)}
    if account:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return document(statement)


def pod_trust(cluster_arn: str, namespace: str, service_account: str) -> Document:
    """Trust in one service account of one cluster, by the tags that EKS Pod Identity sets.

    Without the conditions any association in the account could take the role
    (https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html).
    """
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": POD_IDENTITY},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:RequestTag/eks-cluster-arn": cluster_arn,
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": service_account,
                }
            },
        }
    )


def _key_owner(account: str) -> Statement:
    return {
        "Sid": "AccountDecidesByIam",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }


def key_policy(account: str) -> Document:
    """Policy of a key whose use IAM decides; in a key's policy the resource `*` is that key."""
    return document(_key_owner(account))


def logs_key_policy(region: str, account: str, log_groups: Sequence[str]) -> Document:
    """Policy of a key that CloudWatch uses for these log groups and nothing else.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    arns = [f"arn:aws:logs:{region}:{account}:log-group:{name}" for name in log_groups]
    return document(
        _key_owner(account),
        {
            "Sid": "LogGroups",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            "Resource": "*",
            "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": arns}},
        },
    )


def secrets_key_use(key_arn: str) -> Document:
    """What the control plane does with the key of the Secrets.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/enable-kms.html
    """
    return document(
        allow("EncryptSecrets", ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"], [key_arn])
    )


def flow_logs_delivery(log_group_arn: str) -> Document:
    """Writing the network's log.

    Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    """
    actions = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    return document(allow("WriteFlowLog", actions, [log_group_arn, f"{log_group_arn}:*"]))


def _zones(zone_ids: Sequence[str]) -> list[str]:
    return [f"arn:aws:route53:::hostedzone/{zone}" for zone in zone_ids]


def _records(types: Sequence[str], names: Sequence[str] = ()) -> dict[str, Any]:
    condition: dict[str, Any] = {
        "ForAllValues:StringEquals": {"route53:ChangeResourceRecordSetsRecordTypes": list(types)}
    }
    if names:
        condition["ForAllValues:StringLike"] = {"route53:ChangeResourceRecordSetsNormalizedRecordNames": list(names)}
    return condition


def dns_challenges(zone_ids: Sequence[str]) -> Document:
    """cert-manager: ACME challenges in these zones; no other record.

    Source: https://cert-manager.io/docs/configuration/acme/dns01/route53/
    """
    return document(
        allow("FollowChange", ["route53:GetChange"], ["arn:aws:route53:::change/*"]),
        allow("ReadZones", ["route53:ListResourceRecordSets"], _zones(zone_ids)),
        allow(
            "WriteChallenges",
            ["route53:ChangeResourceRecordSets"],
            _zones(zone_ids),
            _records(["TXT"], ["_acme-challenge.*"]),
        ),
    )


def dns_records(zone_ids: Sequence[str]) -> Document:
    """external-dns: addresses in these zones, and its TXT records of ownership.

    Source: https://github.com/kubernetes-sigs/external-dns/blob/master/docs/tutorials/aws.md
    """
    return document(
        allow("FindZones", ["route53:ListHostedZones"], ["*"]),
        allow("ReadZones", ["route53:ListResourceRecordSets", "route53:ListTagsForResources"], _zones(zone_ids)),
        allow(
            "WriteAddresses",
            ["route53:ChangeResourceRecordSets"],
            _zones(zone_ids),
            _records(["A", "AAAA", "CNAME", "TXT"]),
        ),
    )


def model_reader(bucket: str, prefix: str, key_arn: str | None = None) -> Document:
    """A model's service account: reading the artifacts below one prefix, and nothing else of the bucket.

    Raises `ValueError` where the prefix would open more than one model: empty, or with a wildcard.
    """
    folder = prefix.strip("/")
    if not folder or set("*?$") & set(folder):
        raise ValueError(
            f"prefix: opens more than one model: got {prefix!r}, allowed a folder without wildcards; name the model's."
        )
    statements = [
        allow("ReadArtifacts", ["s3:GetObject"], [f"arn:aws:s3:::{bucket}/{folder}/*"]),
        allow(
            "ListArtifacts",
            ["s3:ListBucket"],
            [f"arn:aws:s3:::{bucket}"],
            {"StringLike": {"s3:prefix": [f"{folder}/*"]}},
        ),
    ]
    if key_arn:
        statements.append(allow("DecryptArtifacts", ["kms:Decrypt"], [key_arn]))
    return document(*statements)
