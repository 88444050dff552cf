"""ECR repositories for the images of model servers."""

import json
import re
from typing import NamedTuple, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from modelway._aws import REGIONS, account_of
from modelway._common import is_dns_label, type_token
from modelway.cluster.findings import Findings, repeated
from modelway.registry import ecr_policies

REPOSITORY = re.compile(r"[a-z0-9]+([._/-][a-z0-9]+)*")
KEY_DELETION_WINDOW_DAYS = 30


class EcrRegistryArgs(TypedDict):
    """Inputs of `EcrRegistry`."""

    region: str
    """Region of the AWS provider that makes the repositories."""
    repositories: list[str]
    """Names of the images, one repository each: ECR makes none on push."""
    pull_role_arns: pulumi.Input[list[str]]
    """Roles that pull: `node_role_arns` of the cluster."""
    push_role_arn: str
    """Role that pushes, in whose account the registry lies."""
    production: bool
    """Protects repositories and their key from deletion."""
    prefix: NotRequired[str]
    """First part of each repository's name. Defaults to `modelway`."""
    tags: NotRequired[dict[str, str]]
    """Tags of every AWS resource."""


class EcrRegistry(pulumi.ComponentResource):
    """Private repositories: tags never move, images are scanned and encrypted, old ones go, only nodes pull."""

    url: pulumi.Output[str]
    """Host and prefix of the repositories."""
    push_command: pulumi.Output[str]
    """Command that pushes an image."""
    pull_secret: pulumi.Output[str]
    """Always empty: nodes pull by their role."""

    def __init__(self, name: str, args: EcrRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("EcrRegistry"), name, {}, opts)
        account = _validate(name, args)
        prefix = args.get("prefix", "modelway")
        tags = {"modelway:registry": prefix, **args.get("tags", {})}
        kept = pulumi.ResourceOptions(parent=self, protect=True if args["production"] else None)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"Images below {prefix}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_WINDOW_DAYS,
            policy=json.dumps(ecr_policies.key(account)),
            tags=tags,
            opts=kept,
        )
        policy = pulumi.Output.json_dumps(
            pulumi.Output.from_input(args["pull_role_arns"]).apply(
                lambda roles: ecr_policies.repository(roles, args["push_role_arn"])
            )
        )
        made = [
            _Repository(self, f"{name}-{image.replace('/', '-')}", f"{prefix}/{image}", tags).create(key, policy, kept)
            for image in args["repositories"]
        ]
        host = f"{account}.dkr.ecr.{args['region']}.amazonaws.com"
        # Known once everything may be pushed to.
        self.url = pulumi.Output.all(*(policy.id for policy in made)).apply(lambda _: f"{host}/{prefix}")
        self.push_command = pulumi.Output.concat("docker push ", self.url, "/NAME:TAG")
        self.pull_secret = pulumi.Output.from_input("")
        self.register_outputs({"url": self.url, "pushCommand": self.push_command, "pullSecret": self.pull_secret})


class _Repository(NamedTuple):
    """One repository with its rules."""

    registry: EcrRegistry
    name: str
    """Prefix of the logical names."""
    repository: str
    tags: dict[str, str]

    def create(
        self, key: aws.kms.Key, policy: pulumi.Output[str], kept: pulumi.ResourceOptions
    ) -> aws.ecr.RepositoryPolicy:
        child = pulumi.ResourceOptions(parent=self.registry)
        repository = aws.ecr.Repository(
            f"{self.name}-repository",
            name=self.repository,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[
                aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=key.arn)
            ],
            # Deleting a registry with images in it is never meant.
            force_delete=False,
            tags=self.tags,
            opts=kept,
        )
        aws.ecr.LifecyclePolicy(
            f"{self.name}-lifecycle",
            repository=repository.name,
            policy=json.dumps(ecr_policies.lifecycle()),
            opts=child,
        )
        return aws.ecr.RepositoryPolicy(f"{self.name}-policy", repository=repository.name, policy=policy, opts=child)


def _validate(name: str, args: EcrRegistryArgs) -> str:
    """The account of the registry; raises `ValueError` with every problem."""
    findings = Findings(f'EcrRegistry("{name}")')
    if not is_dns_label(name):
        findings.add(
            "name of the component", "no DNS label", repr(name), "lower-case letters, digits and '-'", "rename it"
        )
    findings.one_of("region", "unknown region", args["region"], REGIONS, "a region of AWS")
    account = account_of(args["push_role_arn"])
    if account is None:
        findings.add(
            "push_role_arn",
            "no ARN of a role",
            repr(args["push_role_arn"]),
            "arn:aws:iam::ACCOUNT:role/NAME",
            "correct it",
        )
    if not args["repositories"]:
        findings.add("repositories", "no repository", "none", "at least one name", "name the images")
    for image in args["repositories"]:
        full = f"{args.get('prefix', 'modelway')}/{image}"
        if not REPOSITORY.fullmatch(full) or not 2 <= len(full) <= 256:
            findings.add(
                "repositories",
                "no name of a repository",
                repr(full),
                "lower-case letters and digits, with single '.', '_', '-' or '/' between, at most 256",
                "rename it",
            )
    for image in repeated(args["repositories"]):
        findings.add("repositories", "named twice", repr(image), "each once", "remove one")
    if account is None or findings.sentences:
        raise ValueError("\n".join(findings.sentences))
    return account
