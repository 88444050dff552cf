"""Inputs of `EcrRegistry`, and what is refused in them before anything is registered."""

import re
from typing import NotRequired, TypedDict

import pulumi

from modelway._aws import REGIONS, account_of
from modelway._common import is_dns_label
from modelway.cluster.findings import Findings, repeated

REPOSITORY = re.compile(r"[a-z0-9]+([._/-][a-z0-9]+)*")


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


def check(name: str, args: EcrRegistryArgs) -> Findings:
    """Every problem of the arguments."""
    findings = Findings(f'EcrRegistry("{name}")')
    if not is_dns_label(name):
        findings.add(
            "name of the component", "no DNS label", repr(name), "lower-case letters, digits and '-'", "rename it"
        )
    findings.one_of("region", "unknown region", args["region"], REGIONS, "a region of AWS")
    if account_of(args["push_role_arn"]) is None:
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
    return findings
