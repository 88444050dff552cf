"""Who may act as continuous integration, what it may do, and what is refused, in preview and in up."""

import json
from typing import Any

import pytest
from modelway.identity import aws_policies, subjects
from modelway.identity.validation import problems

from tests.unit import cloud_mutants, identity_checks, identity_testing
from tests.unit.cloud_testing import UNKNOWN, Recorded
from tests.unit.identity_testing import ACCOUNT, ARGS, KINDS, KNOWN


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_registers_exactly_this(kind: str) -> None:
    recorded = identity_testing.record(kind)
    for check in identity_checks.CHECKS[kind]:
        check(recorded)


@pytest.mark.parametrize("kind", KINDS)
def test_every_property_that_is_lost_is_missed(kind: str) -> None:
    recorded = identity_testing.record(kind)

    def missed(mutated: Recorded) -> bool:
        for check in identity_checks.CHECKS[kind]:
            try:
                check(mutated)
            except (AssertionError, KeyError, ValueError):
                return True
        return False

    made = list(cloud_mutants.mutants(recorded))
    assert [mutant.where for mutant in made if not missed(mutant.recorded)] == []
    assert len(made) > 110


@pytest.mark.parametrize("kind", KINDS)
def test_a_preview_registers_the_same_resources(kind: str) -> None:
    preview, up = identity_testing.record(kind, preview=True), identity_testing.record(kind)
    assert preview.urns == up.urns
    assert preview.calls == []


def test_in_a_preview_only_what_names_the_new_provider_is_unknown() -> None:
    recorded = identity_testing.record("AwsGithubOidc", preview=True)
    assert recorded.inputs("ci-up-role")["assumeRolePolicy"] == UNKNOWN
    assert json.loads(recorded.inputs("ci-up-policy")["policy"]) == identity_checks.DOCUMENTS["up"]


def test_the_provider_that_the_account_has_is_used() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    recorded = identity_testing.record("AwsGithubOidc", provider_arn=arn, preview=True)
    assert recorded.names("aws:iam/openIdConnectProvider:OpenIdConnectProvider") == []
    trust = json.loads(recorded.inputs("ci-up-role")["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Federated": arn}


@pytest.mark.parametrize("kind", KINDS)
def test_no_subject_has_a_wildcard(kind: str) -> None:
    """Neither in a trust of AWS nor in a condition of Google Cloud, nor may a whole pool act as a service account."""
    for resource in identity_testing.record(kind).resources:
        for key in ("assumeRolePolicy", "attributeCondition", "members"):
            text = str(resource.inputs.get(key, ""))
            assert "*" not in text
            assert "StringLike" not in text
            assert "ForAllValues" not in text


def test_the_two_roles_never_admit_the_same_job() -> None:
    for claims in identity_checks.CLAIMS.values():
        of = {
            role: {str(value) for key, value in found.items() if key.endswith(":sub")} for role, found in claims.items()
        }
        assert of["preview"].isdisjoint(of["up"])


def test_a_preview_writes_nothing() -> None:
    reads = ("Describe", "Get", "List", "Decrypt")
    actions = [
        action for statement in identity_checks.DOCUMENTS["preview"]["Statement"] for action in statement["Action"]
    ]
    assert [action for action in actions if not action.partition(":")[2].startswith(reads)] == []
    verbs = {permission.rpartition(".")[2] for permission in identity_checks.DOCUMENTS["gcp-preview"]}
    assert verbs == {"get", "getIamPolicy", "list"}


def test_a_preview_reads_no_data_but_the_state() -> None:
    actions = [
        action for statement in identity_checks.DOCUMENTS["preview"]["Statement"] for action in statement["Action"]
    ]
    data = (
        "ecr:GetDownloadUrlForLayer",
        "ecr:BatchGetImage",
        "logs:GetLogEvents",
        "sqs:ReceiveMessage",
        "secretsmanager:",
    )
    assert [action for action in actions if action.startswith(data)] == []
    state = [item for item in identity_checks.DOCUMENTS["preview"]["Statement"] if "s3:GetObject" in item["Action"]]
    assert [item["Resource"] for item in state] == [["arn:aws:s3:::acme-state/*"]]


@pytest.mark.parametrize("kind", ["AwsGithubOidc", "GcpGithubOidc"])
def test_a_repository_from_before_the_numbers_keeps_its_subject(kind: str) -> None:
    recorded = identity_testing.record(kind, immutable_subject=False)
    key = "assumeRolePolicy" if kind.startswith("Aws") else "attributeCondition"
    texts = [str(item.inputs[key]) for item in recorded.resources if key in item.inputs]
    assert [("repo:acme/models:" in text, "456789" in text) for text in texts] == [(True, True), (True, True)]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_bucket_and_a_key_nothing_is_granted_on_them(kind: str) -> None:
    recorded = identity_testing.record(kind, state_bucket=None, secrets_key=None, secrets_key_arn=None)
    text = json.dumps([resource.inputs for resource in recorded.resources])
    assert "acme-state" not in text
    assert "cryptoKeys/secrets" not in text
    assert "key/0123" not in text


CHANGES: dict[str, Any] = {
    "region": "eu-central-1",
    "account": "444455556666",
    "prefixes": ["staging"],
    "repository": "acme/other",
    "repository_id": "1",
    "owner_id": "2",
    "environment": "staging",
    "immutable_subject": False,
    "provider_arn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/gitlab.com",
    "state_bucket": "other-state",
    "secrets_key_arn": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-89ab-cdef-0123-456789abcdef",
    "secrets_key": "projects/p/locations/global/keyRings/r/cryptoKeys/other",
    "tags": {"team": "vision"},
    "project": "other-project",
    "project_path": "acme/other",
    "project_id": "2",
    "up_branch": "release",
    "preview_branches": ["develop"],
    "host": "gitlab.acme.dev",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_acts(kind: str) -> None:
    def shape(changes: dict[str, Any]) -> Any:
        return [(item.name, item.inputs) for item in identity_testing.record(kind, **changes).resources]

    before = shape({})
    assert [name for name in KNOWN[kind] if shape({name: CHANGES[name]}) == before] == []


SENTENCES: dict[tuple[str, str], tuple[Any, str]] = {
    ("AwsGithubOidc", "repository"): (
        "acme/*",
        "repository: of another form: got 'acme/*', allowed OWNER/NAME, as GitHub writes it; correct it.",
    ),
    ("AwsGithubOidc", "environment"): (
        "prod*",
        "environment: of another form: got 'prod*', allowed the name of one environment, without wildcards; name a protected one.",
    ),
    ("AwsGithubOidc", "repository_id"): (
        "models",
        "repository_id: of another form: got 'models', allowed a number as text; see `gh api repos/OWNER/NAME --jq .id`.",
    ),
    ("AwsGithubOidc", "region"): (
        "eu-west1",
        "region: unknown region: got 'eu-west1', allowed a region of AWS; did you mean 'eu-west-1'?",
    ),
    ("AwsGithubOidc", "account"): (
        "1111",
        "account: of another form: got '1111', allowed the 12 digits of an account of AWS, as text; see `aws sts get-caller-identity`.",
    ),
    ("AwsGithubOidc", "prefixes"): ([], "prefixes: empty: got none, allowed at least one; name the components."),
    ("AwsGitlabOidc", "prefixes"): (
        ["production", "ci-up"],
        "prefixes: begins the names of the two roles: got 'ci-up', allowed prefixes that the name of the component lacks; rename the component.",
    ),
    ("AwsGitlabOidc", "up_branch"): (
        "${aws:username}",
        "up_branch: of another form: got '${aws:username}', allowed the name of one branch, without wildcards; name a protected one.",
    ),
    ("AwsGitlabOidc", "preview_branches"): (
        ["next", "main"],
        "preview_branches: holds the branch that deploys: got 'main', allowed other branches; remove it from preview_branches.",
    ),
    ("GcpGithubOidc", "project"): (
        "Acme",
        "project: no ID of a project: got 'Acme', allowed 6 to 30 lower-case letters, digits and '-', a letter first; see `gcloud projects list`.",
    ),
    ("GcpGithubOidc", "enviroment"): (
        "x",
        "enviroment: unknown argument: got 'enviroment', allowed environment, immutable_subject, owner_id, project, repository, repository_id, secrets_key, state_bucket; did you mean 'environment'?",
    ),
    ("GcpGitlabOidc", "host"): (
        "https://gitlab.com",
        "host: of another form: got 'https://gitlab.com', allowed the name of a GitLab, such as gitlab.com; correct it.",
    ),
    ("GcpGitlabOidc", "environment"): (
        "' || true || '",
        "environment: of another form: got \"' || true || '\", allowed the name of one environment, without wildcards; name a protected one.",
    ),
}


@pytest.mark.parametrize(("kind", "argument"), SENTENCES)
def test_one_mistake_is_one_sentence(kind: str, argument: str) -> None:
    value, sentence = SENTENCES[kind, argument]
    found = problems(kind, "ci", {**ARGS[kind], argument: value}, KNOWN[kind])
    assert found == [f'{kind}("ci").{sentence}']


def test_all_mistakes_are_said_together_and_nothing_is_made() -> None:
    args = {**ARGS["AwsGithubOidc"], "region": "mars", "repository": "models", "environment": ""}

    def program() -> None:
        with pytest.raises(ValueError, match="AwsGithubOidc") as caught:
            identity_testing.AwsGithubOidc("a-name-that-is-too-long-x", args)  # type: ignore[arg-type]
        assert [line.split(":")[0].partition(".")[2] for line in str(caught.value).splitlines()] == [
            "name of the component",
            "repository",
            "environment",
            "region",
        ]

    recorded = identity_testing.cloud_testing.record(identity_testing.CLOUD, program)
    assert recorded.counts() == {"modelway:index:AwsGithubOidc": 1}


def test_a_subject_is_what_the_documentation_shows() -> None:
    old = subjects.GithubJobs("octo-org/octo-repo", "456789", "123456", False)
    new = old._replace(immutable_subject=True)
    assert old.subject("environment:Production") == "repo:octo-org/octo-repo:environment:Production"
    assert new.subject("ref:refs/heads/main") == "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main"
    gitlab = subjects.gitlab_subject("my-group/my-project", "feature-branch-1")
    assert gitlab == "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1"


def test_what_makes_administrators_is_not_attached() -> None:
    assert [name for name in aws_policies.ATTACHED if "Admin" in name or "PowerUser" in name] == []
    granted = [
        item for item in identity_checks.DOCUMENTS["up"]["Statement"] if "iam:AttachRolePolicy" in item["Action"]
    ]
    assert [item["Resource"] for item in granted] == [[f"arn:aws:iam::{ACCOUNT}:role/production*"]]
    assert [len(item["Condition"]["ArnEquals"]["iam:PolicyARN"]) for item in granted] == [len(aws_policies.ATTACHED)]
