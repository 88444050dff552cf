"""An Artifact Registry repository for the images of model servers."""

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from modelway._common import type_token
from modelway.cluster.gke import keys, services
from modelway.cluster.gke.site import Place
from modelway.registry.artifact_registry_arguments import ArtifactRegistryArgs, check
from modelway.registry.artifact_registry_policies import CLEANUPS, READER, WRITER, member

SERVICES = ("artifactregistry", "cloudkms", "containerscanning")
"""The last one scans every image that is pushed, in all repositories of the project that do not refuse."""


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
        check(name, args).refuse()
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
