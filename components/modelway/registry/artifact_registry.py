"""An Artifact Registry repository for the images of model servers."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_gcp as gcp

from modelway import _gcp
from modelway._common import is_dns_label, type_token
from modelway.cluster.findings import Findings
from modelway.cluster.gke import keys, services
from modelway.cluster.gke.site import Place
from modelway.cluster.gke.validation import check_labels, check_place, known_arguments
from modelway.registry.artifact_registry_policies import CLEANUPS, READER, WRITER, member

SERVICES = ("artifactregistry", "cloudkms", "containerscanning")
"""The last one scans every image that is pushed, in all repositories of the project that do not refuse."""

LONGEST_REPOSITORY = 63
OF_AWS = ("pull_role_arns", "push_role_arn", "repositories", "prefix", "tags")
"""Arguments of `EcrRegistry`."""


class ArtifactRegistryArgs(TypedDict):
    """Inputs of `ArtifactRegistry`."""

    project: str
    """ID of the project that the repository lies in."""
    region: str
    """Region of the repository: the cluster's, so that pulls stay in it."""
    pull_service_accounts: pulumi.Input[list[str]]
    """Service accounts that pull: `node_service_accounts` of the cluster."""
    push_service_account: str
    """Service account that pushes, as an address."""
    production: bool
    """Protects the repository and its key from deletion."""
    repository: NotRequired[str]
    """Name of the repository, which holds images of any name. Defaults to `modelway`."""
    labels: NotRequired[dict[str, str]]
    """Labels of every resource that has labels."""


class ArtifactRegistry(pulumi.ComponentResource):
    """A private repository: tags never move, images are scanned and encrypted, untagged ones go, only nodes pull."""

    url: pulumi.Output[str]
    """Host and path of the repository."""
    push_command: pulumi.Output[str]
    """Command that pushes an image."""
    pull_secret: pulumi.Output[str]
    """Always empty: nodes pull by their service account."""

    def __init__(self, name: str, args: ArtifactRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("ArtifactRegistry"), name, {}, opts)
        if found := problems(name, args):
            raise ValueError("\n".join(found))
        repository_name = args.get("repository", "modelway")
        place = Place(
            component=self,
            name=name,
            project=args["project"],
            region=args["region"],
            production=args["production"],
            labels={"modelway-registry": repository_name, **args.get("labels", {})},
        )
        repository = _repository(place, repository_name)
        granted = _grants(place, repository, args)
        # Known once it may be pushed to.
        path = f"{args['region']}-docker.pkg.dev/{args['project']}/{repository_name}"
        self.url = pulumi.Output.all(*(binding.etag for binding in granted)).apply(lambda _: path)
        self.push_command = pulumi.Output.concat("docker push ", self.url, "/NAME:TAG")
        self.pull_secret = pulumi.Output.from_input("")
        self.register_outputs({"url": self.url, "pushCommand": self.push_command, "pullSecret": self.pull_secret})


def _repository(place: Place, name: str) -> gcp.artifactregistry.Repository:
    enabled = services.enable(place, SERVICES)
    images = keys.key(place, keys.ring(place, enabled), "images", services.agent(place, enabled, "artifactregistry"))
    return gcp.artifactregistry.Repository(
        f"{place.name}-repository",
        project=place.project,
        location=place.region,
        repository_id=name,
        description="Images of model servers",
        format="DOCKER",
        mode="STANDARD_REPOSITORY",
        docker_config=gcp.artifactregistry.RepositoryDockerConfigArgs(immutable_tags=True),
        kms_key_name=images.id,
        vulnerability_scanning_config=gcp.artifactregistry.RepositoryVulnerabilityScanningConfigArgs(
            # The project's setting, which the service of scanning switches on.
            enablement_config="INHERITED"
        ),
        cleanup_policies=_cleanups(),
        cleanup_policy_dry_run=False,
        labels=dict(place.labels),
        opts=place.child(depends_on=[images.grant, enabled["containerscanning"]], protect=True),
    )


def _cleanups() -> list[gcp.artifactregistry.RepositoryCleanupPolicyArgs]:
    condition = gcp.artifactregistry.RepositoryCleanupPolicyConditionArgs
    newest = gcp.artifactregistry.RepositoryCleanupPolicyMostRecentVersionsArgs
    return [
        gcp.artifactregistry.RepositoryCleanupPolicyArgs(
            id=policy.id,
            action=policy.action,
            condition=(
                condition(tag_state=policy.tag_state, older_than=policy.older_than) if policy.tag_state else None
            ),
            most_recent_versions=newest(keep_count=policy.keep_count) if policy.keep_count else None,
        )
        for policy in CLEANUPS
    ]


def _grants(
    place: Place, repository: gcp.artifactregistry.Repository, args: ArtifactRegistryArgs
) -> Sequence[gcp.artifactregistry.RepositoryIamBinding]:
    readers: pulumi.Output[list[str]] = pulumi.Output.from_input(args["pull_service_accounts"]).apply(
        lambda emails: [member(email) for email in emails]
    )
    # A binding is whole: whoever else was given the role loses it.
    holders: dict[str, tuple[str, pulumi.Input[list[str]]]] = {
        "nodes-pull": (READER, readers),
        "ci-pushes": (WRITER, [member(args["push_service_account"])]),
    }
    return [
        gcp.artifactregistry.RepositoryIamBinding(
            f"{place.name}-{who}",
            project=place.project,
            location=place.region,
            repository=repository.name,
            role=role,
            members=members,
            opts=place.child(),
        )
        for who, (role, members) in holders.items()
    ]


def problems(name: str, args: ArtifactRegistryArgs) -> list[str]:
    """Every problem of the arguments, one sentence each."""
    findings = Findings(f'ArtifactRegistry("{name}")')
    if not is_dns_label(name):
        findings.add(
            "name of the component", "no DNS label", repr(name), "lower-case letters, digits and '-'", "rename it"
        )
    known_arguments(findings, "", args, ArtifactRegistryArgs, OF_AWS)
    check_place(findings, args["project"], args["region"])
    pushes = args["push_service_account"]
    if not _gcp.is_service_account(pushes):
        _no_account(findings, "push_service_account", pushes)
    pulls = args["pull_service_accounts"]
    for email in pulls if isinstance(pulls, list) else []:
        if isinstance(email, str) and not _gcp.is_service_account(email):
            _no_account(findings, "pull_service_accounts", email)
    repository = args.get("repository", "modelway")
    if not is_dns_label(repository):
        findings.add(
            "repository",
            "no name of a repository",
            repr(repository),
            f"lower-case letters, digits and '-', a letter first, at most {LONGEST_REPOSITORY}",
            "rename it",
        )
    check_labels(findings, args.get("labels", {}))
    return findings.sentences


def _no_account(findings: Findings, argument: str, got: str) -> None:
    findings.add(
        argument,
        "no service account",
        repr(got),
        "NAME@PROJECT.iam.gserviceaccount.com",
        "see `gcloud iam service-accounts list`",
    )
