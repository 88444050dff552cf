"""IAM documents of the two roles of continuous integration on AWS, as pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelway.cluster.eks.iam import MANAGED, Document, Statement, allow, document

AUDIENCE = "sts.amazonaws.com"

READ = (
    *("ec2:Describe*", "ec2:GetLaunchTemplateData", "ecr:DescribeRepositories", "ecr:GetLifecyclePolicy"),
    *("ecr:GetRepositoryPolicy", "ecr:ListTagsForResource", "eks:Describe*", "eks:List*", "events:DescribeRule"),
    *("events:ListTagsForResource", "events:ListTargetsByRule", "kms:DescribeKey", "kms:GetKeyPolicy"),
    *("kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListResourceTags", "logs:DescribeLogGroups"),
    *("logs:ListTagsForResource", "sqs:GetQueueAttributes", "sqs:ListQueueTags"),
)
"""Settings of what the stacks are made of, never data: no log line, no image, no object, no Secret."""

READ_IAM = (
    *("iam:GetInstanceProfile", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies"),
    *("iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:ListRoleTags"),
)

NETWORK = tuple(
    f"ec2:{action}"
    for action in (
        *("AllocateAddress", "AssociateRouteTable", "AttachInternetGateway", "AuthorizeSecurityGroupEgress"),
        *("AuthorizeSecurityGroupIngress", "CreateFlowLogs", "CreateInternetGateway", "CreateLaunchTemplate"),
        *("CreateLaunchTemplateVersion", "CreateNatGateway", "CreateRoute", "CreateRouteTable"),
        *("CreateSecurityGroup", "CreateSubnet", "CreateTags", "CreateVpc", "CreateVpcEndpoint", "DeleteFlowLogs"),
        *("DeleteInternetGateway", "DeleteLaunchTemplate", "DeleteNatGateway", "DeleteRoute", "DeleteRouteTable"),
        *("DeleteSecurityGroup", "DeleteSubnet", "DeleteTags", "DeleteVpc", "DeleteVpcEndpoints"),
        *("DetachInternetGateway", "DisassociateAddress", "DisassociateRouteTable", "ModifyLaunchTemplate"),
        *("ModifySubnetAttribute", "ModifyVpcAttribute", "ModifyVpcEndpoint", "ReleaseAddress", "ReplaceRoute"),
        *("RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress", "RunInstances"),
    )
)
"""`RunInstances` is what EKS asks of whoever gives a node group a launch template of its own
(https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html)."""

CLUSTER = tuple(
    f"eks:{action}"
    for action in (
        *("AssociateAccessPolicy", "CreateAccessEntry", "CreateAddon", "CreateCluster", "CreateNodegroup"),
        *("CreatePodIdentityAssociation", "DeleteAccessEntry", "DeleteAddon", "DeleteCluster", "DeleteNodegroup"),
        *("DeletePodIdentityAssociation", "DisassociateAccessPolicy", "TagResource", "UntagResource"),
        *("UpdateAccessEntry", "UpdateAddon", "UpdateClusterConfig", "UpdateClusterVersion"),
        *("UpdateNodegroupConfig", "UpdateNodegroupVersion", "UpdatePodIdentityAssociation"),
    )
)
KEY = tuple(
    f"kms:{action}"
    for action in (
        *("CreateAlias", "CreateGrant", "DeleteAlias", "DisableKeyRotation", "EnableKeyRotation", "PutKeyPolicy"),
        *("ScheduleKeyDeletion", "TagResource", "UntagResource", "UpdateAlias", "UpdateKeyDescription"),
    )
)
ROLE = tuple(
    f"iam:{action}"
    for action in (
        *("AddRoleToInstanceProfile", "CreateInstanceProfile", "CreateRole", "DeleteInstanceProfile", "DeleteRole"),
        *("DeleteRolePolicy", "PutRolePolicy", "RemoveRoleFromInstanceProfile", "TagInstanceProfile", "TagRole"),
        *("UntagInstanceProfile", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole"),
    )
)
ATTACHED = (
    *("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSBlockStoragePolicy", "AmazonEKSClusterPolicy"),
    *("AmazonEKSComputePolicy", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy"),
    *("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy"),
    "service-role/AmazonEBSCSIDriverPolicy",
)
"""AWS's own policies that the components attach; none of them makes anybody an administrator."""

PASSED_TO = ("ec2.amazonaws.com", "eks.amazonaws.com", "pods.eks.amazonaws.com", "vpc-flow-logs.amazonaws.com")
SERVICE_LINKED = ("autoscaling", "eks", "eks-nodegroup", "spot")

LOGS = tuple(
    f"logs:{action}"
    for action in (
        *("AssociateKmsKey", "CreateLogGroup", "DeleteLogGroup", "DisassociateKmsKey", "PutRetentionPolicy"),
        *("TagResource", "UntagResource"),
    )
)
QUEUES = ("sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:UntagQueue")
RULES = tuple(
    f"events:{action}"
    for action in ("DeleteRule", "PutRule", "PutTargets", "RemoveTargets", "TagResource", "UntagResource")
)
REPOSITORIES = tuple(
    f"ecr:{action}"
    for action in (
        *("BatchCheckLayerAvailability", "BatchGetImage", "CompleteLayerUpload", "CreateRepository"),
        *("DeleteLifecyclePolicy", "DeleteRepository", "DeleteRepositoryPolicy", "GetDownloadUrlForLayer"),
        *("InitiateLayerUpload", "PutImage", "PutImageScanningConfiguration", "PutImageTagMutability"),
        *("PutLifecyclePolicy", "SetRepositoryPolicy", "TagResource", "UntagResource", "UploadLayerPart"),
    )
)


@dataclass(frozen=True)
class Scope:
    """What one pair of roles is for."""

    region: str
    account: str
    prefixes: tuple[str, ...]
    """First parts of the names of what the stack makes."""
    state_bucket: str = ""
    """Bucket of the stack's state; empty where it lies elsewhere."""
    secrets_key_arn: str = ""
    """Key that encrypts the secrets in the state; empty where none does."""

    def arns(self, service: str, kind: str, region: str | None = None) -> list[str]:
        """ARNs of what has one of the prefixes."""
        where = self.region if region is None else region
        return [f"arn:aws:{service}:{where}:{self.account}:{kind}{prefix}*" for prefix in self.prefixes]


def trust(provider_arn: str, issuer_host: str, claims: Mapping[str, Sequence[str]]) -> Document:
    """Trust in jobs whose claims are exactly these; the audience is AWS's.

    Every claim must be there: an operator that an absent claim satisfies would let any job in.
    """
    equal: dict[str, Any] = {f"{issuer_host}:aud": AUDIENCE}
    for claim, values in claims.items():
        equal[f"{issuer_host}:{claim}"] = values[0] if len(values) == 1 else list(values)
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Condition": {"StringEquals": equal},
        }
    )


def preview(scope: Scope) -> Document:
    """What a preview needs: settings of resources and the state, both to read.

    A preview of a state in a bucket takes no lock and so writes nothing.
    """
    return document(*_reading(scope), *_state(scope, ["s3:GetObject"], ["kms:Decrypt"]))


def up(scope: Scope) -> Document:
    """What `up` and `destroy` need, in one region and for names with the prefixes.

    It makes roles, so whoever holds it can make one that may do more: the protected environment is what guards it.
    """
    return document(
        *_reading(scope),
        allow("Network", NETWORK, ["*"], _in(scope)),
        allow("Clusters", CLUSTER, _clusters(scope)),
        *_keys(scope),
        *_roles(scope),
        allow("Logs", LOGS, _log_groups(scope)),
        allow("Queues", QUEUES, scope.arns("sqs", "")),
        allow("Rules", RULES, scope.arns("events", "rule/")),
        allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
        allow("Repositories", REPOSITORIES, scope.arns("ecr", "repository/")),
        *_state(
            scope,
            ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
        ),
    )


def _in(scope: Scope) -> dict[str, Any]:
    return {"StringEquals": {"aws:RequestedRegion": scope.region}}


def _reading(scope: Scope) -> list[Statement]:
    iam = [*scope.arns("iam", "role/", ""), *scope.arns("iam", "instance-profile/", "")]
    return [allow("ReadSettings", READ, ["*"], _in(scope)), allow("ReadRoles", READ_IAM, iam)]


def _clusters(scope: Scope) -> list[str]:
    kinds = ("access-entry", "addon", "cluster", "nodegroup", "podidentityassociation")
    return [arn for kind in kinds for arn in scope.arns("eks", f"{kind}/")]


def _keys(scope: Scope) -> list[Statement]:
    keys = [f"arn:aws:kms:{scope.region}:{scope.account}:key/*"]
    names = [f"{prefix}*" for prefix in scope.prefixes]
    # A key has no name of its own: the components' tags say whose it is.
    return [
        allow("MakeKeys", ["kms:CreateKey"], ["*"], _in(scope)),
        *(
            allow(what, KEY, keys, {"StringLike": {f"aws:ResourceTag/modelway:{kind}": names}})
            for kind, what in (("cluster", "KeysOfClusters"), ("registry", "KeysOfRegistries"))
        ),
        *(
            allow(f"Tag{what}", ["kms:TagResource"], keys, {"StringLike": {f"aws:RequestTag/modelway:{kind}": names}})
            for kind, what in (("cluster", "KeysOfClusters"), ("registry", "KeysOfRegistries"))
        ),
        allow(
            "NameKeys", ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"], scope.arns("kms", "alias/modelway/")
        ),
    ]


def _log_groups(scope: Scope) -> list[str]:
    return [*scope.arns("logs", "log-group:/aws/eks/"), *scope.arns("logs", "log-group:/modelway/")]


def _roles(scope: Scope) -> list[Statement]:
    roles = scope.arns("iam", "role/", "")
    services = [f"{service}.amazonaws.com" for service in SERVICE_LINKED]
    return [
        allow("Roles", ROLE, [*roles, *scope.arns("iam", "instance-profile/", "")]),
        allow(
            "AttachNamedPolicies",
            ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
            roles,
            {"ArnEquals": {"iam:PolicyARN": [f"{MANAGED}/{name}" for name in ATTACHED]}},
        ),
        allow("PassRoles", ["iam:PassRole"], roles, {"StringEquals": {"iam:PassedToService": list(PASSED_TO)}}),
        allow(
            "LetServicesHaveTheirs",
            ["iam:CreateServiceLinkedRole"],
            [f"arn:aws:iam::{scope.account}:role/aws-service-role/*"],
            {"StringEquals": {"iam:AWSServiceName": services}},
        ),
    ]


def _state(scope: Scope, objects: Sequence[str], key: Sequence[str]) -> list[Statement]:
    statements = []
    if scope.state_bucket:
        bucket = f"arn:aws:s3:::{scope.state_bucket}"
        statements.append(allow("State", objects, [f"{bucket}/*"]))
        statements.append(allow("ListState", ["s3:ListBucket"], [bucket]))
    if scope.secrets_key_arn:
        statements.append(allow("SecretsOfState", key, [scope.secrets_key_arn]))
    return statements
