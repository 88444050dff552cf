"""Keyless continuous integration on Google Cloud: two service accounts that jobs act as by their token."""

from collections.abc import Mapping
from typing import Any, NamedTuple, NotRequired, TypedDict

import pulumi
import pulumi_gcp as gcp

from modelway._common import type_token
from modelway.identity import gcp_roles, subjects
from modelway.identity.validation import problems

SERVICES = ("iam", "iamcredentials", "sts")


class GcpGithubOidcArgs(TypedDict):
    """Inputs of `GcpGithubOidc`."""

    project: str
    """ID of the project of Google Cloud that the stack lies in."""
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
    state_bucket: NotRequired[str]
    """Bucket of the stack's state. Defaults to none."""
    secrets_key: NotRequired[str]
    """Key that encrypts the secrets in the state, as `projects/…/cryptoKeys/NAME`. Defaults to none."""


class GcpGitlabOidcArgs(TypedDict):
    """Inputs of `GcpGitlabOidc`."""

    project: str
    """ID of the project of Google Cloud that the stack lies in."""
    project_id: str
    """Number of the project of GitLab, which no other project ever gets."""
    environment: str
    """Protected environment whose jobs on protected branches deploy."""
    host: NotRequired[str]
    """Name of the GitLab. Defaults to `gitlab.com`."""
    state_bucket: NotRequired[str]
    """Bucket of the stack's state. Defaults to none."""
    secrets_key: NotRequired[str]
    """Key that encrypts the secrets in the state, as `projects/…/cryptoKeys/NAME`. Defaults to none."""


class Jobs(NamedTuple):
    """Which jobs a pool admits, and by which attribute they are known."""

    issuer: str
    attribute: str
    value: str
    conditions: Mapping[str, str]
    """By role."""


class GcpGithubOidc(pulumi.ComponentResource):
    """Two service accounts for jobs of one repository of GitHub: one reads for pull requests, one deploys."""

    preview_service_account: pulumi.Output[str]
    """What jobs of pull requests act as."""
    up_service_account: pulumi.Output[str]
    """What jobs of the environment act as: `push_service_account` of the registry."""
    preview_provider: pulumi.Output[str]
    """`workload_identity_provider` of jobs of pull requests."""
    up_provider: pulumi.Output[str]
    """`workload_identity_provider` of jobs of the environment."""

    def __init__(self, name: str, args: GcpGithubOidcArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("GcpGithubOidc"), name, {}, opts)
        if found := problems("GcpGithubOidc", name, args, GcpGithubOidcArgs.__annotations__):
            raise ValueError("\n".join(found))
        of = subjects.GithubJobs(
            args["repository"], args["repository_id"], args["owner_id"], args.get("immutable_subject", True)
        )
        conditions = {
            "preview": of.condition("pull_request"),
            "up": of.condition(f"environment:{args['environment']}"),
        }
        jobs = Jobs(subjects.GITHUB_ISSUER, "repository_id", of.repository_id, conditions)
        made = _Pair(self, name, args, jobs).create()
        self.preview_service_account, self.preview_provider = made["preview"]
        self.up_service_account, self.up_provider = made["up"]
        self.register_outputs(_outputs(made))


class GcpGitlabOidc(pulumi.ComponentResource):
    """Two service accounts for jobs of one project of GitLab: one reads for merge requests, one deploys."""

    preview_service_account: pulumi.Output[str]
    """What jobs of merge requests act as."""
    up_service_account: pulumi.Output[str]
    """What jobs of the protected environment act as."""
    preview_provider: pulumi.Output[str]
    """Provider that jobs of merge requests name."""
    up_provider: pulumi.Output[str]
    """Provider that jobs of the protected environment name."""

    def __init__(self, name: str, args: GcpGitlabOidcArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("GcpGitlabOidc"), name, {}, opts)
        if found := problems("GcpGitlabOidc", name, args, GcpGitlabOidcArgs.__annotations__):
            raise ValueError("\n".join(found))
        conditions = {
            "preview": subjects.gitlab_preview_condition(args["project_id"]),
            "up": subjects.gitlab_up_condition(args["project_id"], args["environment"]),
        }
        jobs = Jobs(f"https://{args.get('host', 'gitlab.com')}", "project_id", args["project_id"], conditions)
        made = _Pair(self, name, args, jobs).create()
        self.preview_service_account, self.preview_provider = made["preview"]
        self.up_service_account, self.up_provider = made["up"]
        self.register_outputs(_outputs(made))


Made = dict[str, tuple[pulumi.Output[str], pulumi.Output[str]]]
"""Address of the service account and name of the provider, by role."""


def _outputs(made: Made) -> dict[str, pulumi.Output[str]]:
    return {
        f"{role}{what}": value
        for role, pair in made.items()
        for what, value in zip(("ServiceAccount", "Provider"), pair, strict=True)
    }


class _Pair(NamedTuple):
    """The two service accounts of one component."""

    component: pulumi.ComponentResource
    name: str
    args: Mapping[str, Any]
    jobs: Jobs

    @property
    def project(self) -> str:
        return str(self.args["project"])

    def create(self) -> Made:
        """Makes both, each with a pool of its own: what one pool admits says nothing of the other's service account."""
        services = [
            gcp.projects.Service(
                f"{self.name}-service-{service}",
                project=self.project,
                service=f"{service}.googleapis.com",
                disable_on_destroy=False,
                opts=self._child(),
            )
            for service in SERVICES
        ]
        return {role: self._one(role, services) for role in ("preview", "up")}

    def _one(self, role: str, services: list[gcp.projects.Service]) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        account = gcp.serviceaccount.Account(
            f"{self.name}-{role}",
            project=self.project,
            account_id=f"{self.name}-{role}",
            display_name=f"Jobs of {role}",
            opts=self._child(services),
        )
        self._grants(role, account.member)
        pool = gcp.iam.WorkloadIdentityPool(
            f"{self.name}-{role}-pool",
            project=self.project,
            workload_identity_pool_id=f"{self.name}-{role}",
            display_name=f"Jobs of {role}",
            opts=self._child(services),
        )
        provider = gcp.iam.WorkloadIdentityPoolProvider(
            f"{self.name}-{role}-provider",
            project=self.project,
            workload_identity_pool_id=pool.workload_identity_pool_id,
            workload_identity_pool_provider_id="jobs",
            attribute_condition=self.jobs.conditions[role],
            attribute_mapping={
                "google.subject": "assertion.sub",
                f"attribute.{self.jobs.attribute}": f"assertion.{self.jobs.attribute}",
            },
            # No audience is named: then only tokens made for this provider are taken.
            oidc=gcp.iam.WorkloadIdentityPoolProviderOidcArgs(issuer_uri=self.jobs.issuer),
            opts=self._child(),
        )
        # A binding is whole: whoever else was let in is let in no longer.
        acting = gcp.serviceaccount.IAMBinding(
            f"{self.name}-{role}-jobs",
            service_account_id=account.name,
            role="roles/iam.workloadIdentityUser",
            members=[pool.name.apply(lambda full: gcp_roles.members_of(full, self.jobs.attribute, self.jobs.value))],
            opts=self._child(),
        )
        # Known once jobs may act as it.
        email = pulumi.Output.all(account.email, acting.etag).apply(lambda values: str(values[0]))
        return email, provider.name

    def _grants(self, role: str, member: pulumi.Output[str]) -> None:
        permissions, roles = {
            "preview": (gcp_roles.PREVIEW_PERMISSIONS, gcp_roles.PREVIEW_ROLES),
            "up": (gcp_roles.UP_PERMISSIONS, gcp_roles.UP_ROLES),
        }[role]
        own = gcp.projects.IAMCustomRole(
            f"{self.name}-{role}-role",
            project=self.project,
            role_id=f"{self.name}_{role}".replace("-", "_"),
            title=f"{self.name} {role}",
            permissions=list(permissions),
            opts=self._child(),
        )
        self._grant(f"{role}-own", own.name, member)
        for each in roles:
            self._grant(f"{role}-{each.rpartition('/')[2].replace('.', '-')}", each, member)
        if role == "up":
            condition = gcp.projects.IAMMemberConditionArgs(
                title="only what the components give out", expression=gcp_roles.only_grants(gcp_roles.GRANTED)
            )
            self._grant("up-granter", gcp_roles.GRANTER, member, condition)
        self._state(role, member)

    def _grant(
        self,
        what: str,
        role: pulumi.Input[str],
        member: pulumi.Output[str],
        condition: gcp.projects.IAMMemberConditionArgs | None = None,
    ) -> None:
        gcp.projects.IAMMember(
            f"{self.name}-{what}",
            project=self.project,
            role=role,
            member=member,
            condition=condition,
            opts=self._child(),
        )

    def _state(self, role: str, member: pulumi.Output[str]) -> None:
        access = gcp_roles.STATE[role]
        if bucket := self.args.get("state_bucket"):
            gcp.storage.BucketIAMMember(
                f"{self.name}-{role}-state", bucket=bucket, role=access.objects, member=member, opts=self._child()
            )
        if key := self.args.get("secrets_key"):
            gcp.kms.CryptoKeyIAMMember(
                f"{self.name}-{role}-secrets", crypto_key_id=key, role=access.key, member=member, opts=self._child()
            )

    def _child(self, depends_on: list[gcp.projects.Service] | None = None) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self.component, depends_on=depends_on or None)
