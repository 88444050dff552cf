"""ECR repositories for the images of model servers."""

import json
from typing import NamedTuple

import pulumi
import pulumi_aws as aws

from modelway._aws import account_of
from modelway._common import type_token
from modelway.registry import ecr_policies
from modelway.registry.ecr_arguments import EcrRegistryArgs, check

KEY_DELETION_WINDOW_DAYS = 30


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
        check(name, args).refuse()
        account = account_of(args["push_role_arn"]) or ""
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
