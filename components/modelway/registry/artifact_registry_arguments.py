"""Inputs of `ArtifactRegistry`, and what is refused in them before anything is registered."""

from typing import NotRequired, TypedDict

import pulumi

from modelway import _gcp
from modelway._common import is_dns_label
from modelway.cluster.findings import Findings
from modelway.cluster.gke.validation import check_labels, check_place, known_arguments

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


def check(name: str, args: ArtifactRegistryArgs) -> Findings:
    """Every problem of the arguments."""
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
    return findings


def _no_account(findings: Findings, argument: str, got: str) -> None:
    findings.add(
        argument,
        "no service account",
        repr(got),
        "NAME@PROJECT.iam.gserviceaccount.com",
        "see `gcloud iam service-accounts list`",
    )
