"""What a model's pods on EKS may read: the artifacts of that model."""

import json
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from modelway._common import type_token
from modelway.cluster.eks import iam
from modelway.cluster.findings import Findings
from modelway.identity.pods import place_problems


class S3ModelAccessArgs(TypedDict):
    """Inputs of `S3ModelAccess`."""

    cluster_name: pulumi.Input[str]
    """Name of the EKS cluster, once it runs."""
    cluster_arn: str
    """Its ARN, which is known before."""
    namespace: str
    """Namespace of the model's pods."""
    service_accounts: list[str]
    """Service accounts of the model's versions: `MODEL-VERSION`."""
    bucket: str
    """Bucket of the artifacts."""
    folder: str
    """Folder in it that holds this model's artifacts and no other's."""
    key_arn: NotRequired[str]
    """KMS key that encrypts the bucket. Defaults to none."""
    tags: NotRequired[dict[str, str]]
    """Tags of every resource."""


class S3ModelAccess(pulumi.ComponentResource):
    """Reading below one folder of a bucket, for the service accounts of one model, by EKS Pod Identity."""

    role_arns: pulumi.Output[list[str]]
    """Roles, in the order of the service accounts; known once pods get them."""

    def __init__(self, name: str, args: S3ModelAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("S3ModelAccess"), name, {}, opts)
        _refuse(name, args)
        document = json.dumps(iam.model_reader(args["bucket"], args["folder"], args.get("key_arn")))
        made = [self._one(name, account, args, document) for account in args["service_accounts"]]
        self.role_arns = pulumi.Output.all(*made)
        self.register_outputs({"roleArns": self.role_arns})

    def _one(self, name: str, account: str, args: S3ModelAccessArgs, document: str) -> pulumi.Output[str]:
        child, tags = pulumi.ResourceOptions(parent=self), {"modelway:model": args["folder"], **args.get("tags", {})}
        # One role for each: its trust names the service account.
        role = aws.iam.Role(
            f"{name}-{account}-role",
            assume_role_policy=json.dumps(iam.pod_trust(args["cluster_arn"], args["namespace"], account)),
            tags=tags,
            opts=child,
        )
        policy = aws.iam.RolePolicy(f"{name}-{account}-policy", role=role.name, policy=document, opts=child)
        identity = aws.eks.PodIdentityAssociation(
            f"{name}-{account}-identity",
            cluster_name=args["cluster_name"],
            namespace=args["namespace"],
            service_account=account,
            role_arn=role.arn,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        return pulumi.Output.all(role.arn, identity.association_id).apply(lambda values: str(values[0]))


def _refuse(name: str, args: S3ModelAccessArgs) -> None:
    findings = Findings(f'S3ModelAccess("{name}")')
    for argument, got, allowed in place_problems(args["bucket"], args["folder"]):
        findings.add(argument, "opens more than one model", repr(got), allowed, "name the model's")
    if not args["service_accounts"]:
        findings.add("service_accounts", "empty", "none", "at least one", "name those of the model's versions")
    if findings.sentences:
        raise ValueError("\n".join(findings.sentences))
