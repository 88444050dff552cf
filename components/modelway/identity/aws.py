"""Keyless continuous integration on AWS: two roles that jobs of one repository take by their token."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from modelway._common import type_token
from modelway.cluster.eks.iam import Document
from modelway.identity import aws_policies, subjects
from modelway.identity.validation import problems

SESSION_SECONDS = 3600
"""How long a job's credentials hold, at most."""


class AwsGithubOidcArgs(TypedDict):
    """Inputs of `AwsGithubOidc`."""

    region: str
    """Region of what the roles may change."""
    account: str
    """Account of AWS, as text."""
    prefixes: list[str]
    """First parts of the names of what the stack makes: those of its cluster and its registry."""
    repository: str
    """Repository of GitHub, as `OWNER/NAME`."""
    repository_id: str
    """Its number, which no other repository ever gets: `gh api repos/OWNER/NAME --jq .id`."""
    owner_id: str
    """Its owner's number: `gh api repos/OWNER/NAME --jq .owner.id`."""
    environment: str
    """Environment whose jobs deploy; protect it on GitHub with reviewers and a branch."""
    immutable_subject: NotRequired[bool]
    """Whether GitHub names the numbers in the subject, as it does for repositories made, renamed or moved after
    2026-07-15. Defaults to True."""
    provider_arn: NotRequired[str]
    """GitHub's provider, where the account has it: there can be one only. Defaults to a new one."""
    state_bucket: NotRequired[str]
    """Bucket of the stack's state. Defaults to none."""
    secrets_key_arn: NotRequired[str]
    """KMS key that encrypts the secrets in the state. Defaults to none."""
    tags: NotRequired[dict[str, str]]
    """Tags of every resource."""


class AwsGitlabOidcArgs(TypedDict):
    """Inputs of `AwsGitlabOidc`."""

    region: str
    """Region of what the roles may change."""
    account: str
    """Account of AWS, as text."""
    prefixes: list[str]
    """First parts of the names of what the stack makes: those of its cluster and its registry."""
    project_path: str
    """Project of GitLab, as `GROUP/PROJECT`."""
    up_branch: str
    """Branch whose jobs deploy; protect it on GitLab, and the environment as well."""
    preview_branches: list[str]
    """Branches whose jobs preview. GitLab's subject names the branch and AWS sees no other claim of it, so a branch
    that is not named here cannot preview."""
    host: NotRequired[str]
    """Name of the GitLab. Defaults to `gitlab.com`."""
    provider_arn: NotRequired[str]
    """GitLab's provider, where the account has it: there can be one only. Defaults to a new one."""
    state_bucket: NotRequired[str]
    """Bucket of the stack's state. Defaults to none."""
    secrets_key_arn: NotRequired[str]
    """KMS key that encrypts the secrets in the state. Defaults to none."""
    tags: NotRequired[dict[str, str]]
    """Tags of every resource."""


Claims = Mapping[str, Sequence[str]]


class AwsGithubOidc(pulumi.ComponentResource):
    """Two roles for jobs of one repository of GitHub: one reads for pull requests, one deploys for an environment."""

    preview_role_arn: pulumi.Output[str]
    """Role of jobs of pull requests."""
    up_role_arn: pulumi.Output[str]
    """Role of jobs of the environment: `deployer_role_arn` of the cluster, `push_role_arn` of the registry."""

    def __init__(self, name: str, args: AwsGithubOidcArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("AwsGithubOidc"), name, {}, opts)
        if found := problems("AwsGithubOidc", name, args, AwsGithubOidcArgs.__annotations__):
            raise ValueError("\n".join(found))
        jobs = subjects.GithubJobs(
            args["repository"], args["repository_id"], args["owner_id"], args.get("immutable_subject", True)
        )

        # AWS sees GitHub's numbers as well: https://aws.amazon.com/about-aws/whats-new/2026/01/
        # aws-sts-supports-validation-identity-provider-claims/
        def claims(who: str) -> Claims:
            return {"repository_id": [jobs.repository_id], "sub": [jobs.subject(who)]}

        both = {"preview": claims("pull_request"), "up": claims(f"environment:{args['environment']}")}
        pair = _Pair(self, name, _scope(args), args.get("tags", {}))
        made = pair.create(subjects.GITHUB_ISSUER, args.get("provider_arn"), both)
        self.preview_role_arn, self.up_role_arn = made["preview"], made["up"]
        self.register_outputs({"previewRoleArn": self.preview_role_arn, "upRoleArn": self.up_role_arn})


class AwsGitlabOidc(pulumi.ComponentResource):
    """Two roles for jobs of one project of GitLab: one reads for named branches, one deploys for a protected one."""

    preview_role_arn: pulumi.Output[str]
    """Role of jobs of the branches that preview."""
    up_role_arn: pulumi.Output[str]
    """Role of jobs of the branch that deploys."""

    def __init__(self, name: str, args: AwsGitlabOidcArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("AwsGitlabOidc"), name, {}, opts)
        if found := problems("AwsGitlabOidc", name, args, AwsGitlabOidcArgs.__annotations__):
            raise ValueError("\n".join(found))
        path = args["project_path"]
        both = {
            "preview": {"sub": [subjects.gitlab_subject(path, branch) for branch in args["preview_branches"]]},
            "up": {"sub": [subjects.gitlab_subject(path, args["up_branch"])]},
        }
        pair = _Pair(self, name, _scope(args), args.get("tags", {}))
        issuer = f"https://{args.get('host', 'gitlab.com')}"
        made = pair.create(issuer, args.get("provider_arn"), both)
        self.preview_role_arn, self.up_role_arn = made["preview"], made["up"]
        self.register_outputs({"previewRoleArn": self.preview_role_arn, "upRoleArn": self.up_role_arn})


def _scope(args: Mapping[str, Any]) -> aws_policies.Scope:
    return aws_policies.Scope(
        region=args["region"],
        account=args["account"],
        prefixes=tuple(args["prefixes"]),
        state_bucket=args.get("state_bucket", ""),
        secrets_key_arn=args.get("secrets_key_arn", ""),
    )


def _trusting(provider: pulumi.Output[str], issuer: str, claims: Claims) -> pulumi.Output[str]:
    host = issuer.removeprefix("https://")
    return provider.apply(lambda arn: json.dumps(aws_policies.trust(arn, host, claims)))


class _Pair(NamedTuple):
    """The two roles of one component."""

    component: pulumi.ComponentResource
    name: str
    scope: aws_policies.Scope
    tags: Mapping[str, str]

    def create(
        self, issuer: str, provider_arn: str | None, claims: Mapping[str, Claims]
    ) -> dict[str, pulumi.Output[str]]:
        """ARNs of the roles, known once they may do what they are for."""
        provider = pulumi.Output.from_input(provider_arn or self._provider(issuer))
        documents = {"preview": aws_policies.preview(self.scope), "up": aws_policies.up(self.scope)}
        made = {}
        for role, document in documents.items():
            made[role] = self._role(role, _trusting(provider, issuer, claims[role]), document)
        return made

    def _provider(self, issuer: str) -> pulumi.Output[str]:
        # AWS knows the certificate authorities of both issuers: a thumbprint would only go stale.
        made = aws.iam.OpenIdConnectProvider(
            f"{self.name}-provider",
            url=issuer,
            client_id_lists=[aws_policies.AUDIENCE],
            tags=self._tags(),
            opts=pulumi.ResourceOptions(parent=self.component),
        )
        return made.arn

    def _role(self, role: str, trust: pulumi.Output[str], document: Document) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self.component)
        made = aws.iam.Role(
            f"{self.name}-{role}-role",
            # Other accounts and policies name it.
            name=f"{self.name}-{role}",
            assume_role_policy=trust,
            max_session_duration=SESSION_SECONDS,
            tags=self._tags(),
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            f"{self.name}-{role}-policy", role=made.name, policy=json.dumps(document), opts=child
        )
        return pulumi.Output.all(made.arn, policy.id).apply(lambda values: str(values[0]))

    def _tags(self) -> dict[str, str]:
        return {"modelway:ci": self.name, **self.tags}
