"""What is refused in the arguments of the identities of continuous integration; pure."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from modelway import _gcp
from modelway._aws import REGIONS
from modelway._common import is_dns_label
from modelway.cluster.findings import Findings
from modelway.identity import subjects

ACCOUNT = re.compile(r"\d{12}")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"[a-z][a-z0-9-]{2,30}")
_ARN = r"arn:aws:{}:[a-z0-9-]*:\d{{12}}:{}"
KEY_ARN = re.compile(_ARN.format("kms", r"key/[0-9a-f-]{36}"))
CRYPTO_KEY = re.compile(r"projects/[a-z0-9-]+/locations/[a-z0-9-]+/keyRings/[\w-]+/cryptoKeys/[\w-]+")
PROVIDER_ARN = re.compile(_ARN.format("iam", r"oidc-provider/[a-z0-9.-]+"))
LONGEST_NAME = 22
"""Longest name of a component: service accounts and pools add `-preview` to it, and 30 characters are theirs."""

_FORMS: Mapping[str, tuple[re.Pattern[str], str, str]] = {
    "repository": (subjects.REPOSITORY, "OWNER/NAME, as GitHub writes it", "correct it"),
    "repository_id": (subjects.NUMBER, "a number as text", "see `gh api repos/OWNER/NAME --jq .id`"),
    "owner_id": (subjects.NUMBER, "a number as text", "see `gh api repos/OWNER/NAME --jq .owner.id`"),
    "project_path": (subjects.PROJECT_PATH, "GROUP/PROJECT, as GitLab writes it", "correct it"),
    "project_id": (subjects.NUMBER, "a number as text", "it is on the project's page"),
    "host": (subjects.HOST, "the name of a GitLab, such as gitlab.com", "correct it"),
    "environment": (subjects.ENVIRONMENT, "the name of one environment, without wildcards", "name a protected one"),
    "up_branch": (subjects.BRANCH, "the name of one branch, without wildcards", "name a protected one"),
    "account": (ACCOUNT, "the 12 digits of an account of AWS, as text", "see `aws sts get-caller-identity`"),
    "state_bucket": (BUCKET, "the name of a bucket", "correct it"),
    "secrets_key_arn": (KEY_ARN, "arn:aws:kms:REGION:ACCOUNT:key/ID", "correct it"),
    "secrets_key": (CRYPTO_KEY, "projects/PROJECT/locations/PLACE/keyRings/RING/cryptoKeys/KEY", "correct it"),
    "provider_arn": (PROVIDER_ARN, "arn:aws:iam::ACCOUNT:oidc-provider/HOST", "correct it"),
}
_LISTS: Mapping[str, tuple[re.Pattern[str], str, str]] = {
    "prefixes": (PREFIX, "3 to 31 lower-case letters, digits and '-', a letter first", "name the components"),
    "preview_branches": (subjects.BRANCH, "names of branches, without wildcards", "name them"),
}


def problems(kind: str, name: str, args: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Every problem of the arguments, one sentence each."""
    findings = Findings(f'{kind}("{name}")')
    if not is_dns_label(name) or len(name) > LONGEST_NAME:
        allowed = f"lower-case letters, digits and '-', at most {LONGEST_NAME}"
        findings.add("name of the component", "no name for roles", repr(name), allowed, "rename it")
    for argument in sorted(set(args) - set(known)):
        findings.one_of(argument, "unknown argument", argument, sorted(known))
    for argument, (form, allowed, fix) in _FORMS.items():
        if argument in args and not form.fullmatch(args[argument]):
            findings.add(argument, "of another form", repr(args[argument]), allowed, fix)
    for argument, (form, allowed, fix) in _LISTS.items():
        if argument in args and not args[argument]:
            findings.add(argument, "empty", "none", "at least one", fix)
        for value in args.get(argument, []):
            if not form.fullmatch(value):
                findings.add(argument, "of another form", repr(value), allowed, fix)
    for prefix in args.get("prefixes", []):
        if f"{name}-up".startswith(prefix):
            # Whoever may change roles with this prefix could then change its own.
            allowed, fix = "prefixes that the name of the component lacks", "rename the component"
            findings.add("prefixes", "begins the names of the two roles", repr(prefix), allowed, fix)
    _place(findings, args)
    return findings.sentences


def _place(findings: Findings, args: Mapping[str, Any]) -> None:
    if "region" in args:
        findings.one_of("region", "unknown region", args["region"], REGIONS, "a region of AWS")
    if "project" in args and not _gcp.is_project(args["project"]):
        allowed = "6 to 30 lower-case letters, digits and '-', a letter first"
        findings.add("project", "no ID of a project", repr(args["project"]), allowed, "see `gcloud projects list`")
    if args.get("up_branch") in args.get("preview_branches", []):
        got, fix = repr(args["up_branch"]), "remove it from preview_branches"
        findings.add("preview_branches", "holds the branch that deploys", got, "other branches", fix)
