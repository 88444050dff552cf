"""moto and checkov judge the identities of continuous integration: judges that know nothing of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.judges import checkov, terraform
from tests.judges.terraform import arns
from tests.judges.test_moto_aws import refused
from tests.unit import identity_testing
from tests.unit.cloud_testing import Resource

KINDS = (*identity_testing.KINDS, *identity_testing.POD_KINDS)
MODULES = (*KINDS, "old-subject")
SKIPPED = dict.fromkeys(
    (
        ("GcpGithubOidc", "CKV_GCP_125", "google_iam_workload_identity_pool_provider.ci-preview-provider"),
        ("GcpGithubOidc", "CKV_GCP_125", "google_iam_workload_identity_pool_provider.ci-up-provider"),
    ),
    "knows no subject with the numbers of owner and repository yet; the same condition without them passes",
)
"""Findings that stay, with the reason; at most five."""

TEETH: dict[str, tuple[str, str, str, Any]] = {
    "CKV_GCP_118": ("GcpGithubOidc", "ci-up-provider", "attributeCondition", None),
    "CKV_GCP_125": ("GcpGithubOidc", "ci-up-provider", "attributeCondition", "attribute.repository_owner == 'acme'"),
    "CKV_AWS_290": (
        "AwsGithubOidc",
        "ci-up-policy",
        "policy",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ec2:*"], "Resource": ["*"]}]}',
    ),
    "CKV_AWS_60": (
        "AwsGithubOidc",
        "ci-up-role",
        "assumeRolePolicy",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole"], "Principal": {"AWS": "*"}}]}',
    ),
}
"""What checkov must find where it is planted, by check: component, resource, property, value."""


@pytest.fixture(scope="module")
def recordings() -> dict[str, list[Resource]]:
    old = identity_testing.record("GcpGithubOidc", immutable_subject=False).resources
    return {**{kind: identity_testing.record(kind).resources for kind in KINDS}, "old-subject": old}


@pytest.fixture(scope="module")
def verdict(recordings: dict[str, list[Resource]], tmp_path_factory: pytest.TempPathFactory) -> checkov.Verdict:
    folder = tmp_path_factory.mktemp("terraform")
    modules = dict(recordings)
    for check, (kind, name, key, value) in TEETH.items():
        modules[f"planted-{check}"] = [
            Resource(item.typ, item.name, {**item.inputs, key: value}) if item.name == name else item
            for item in recordings[kind]
        ]
    for module, resources in modules.items():
        (folder / module).mkdir()
        (folder / module / "main.tf").write_text(terraform.write(resources), encoding="utf-8")
    return checkov.judge(Path(folder))


def test_moto_takes_every_document(recordings: dict[str, list[Resource]]) -> None:
    def all_of(key: str) -> dict[str, Any]:
        return {
            f"{kind}-{item.name}": json.loads(arns(item.inputs[key]))
            for kind, found in recordings.items()
            for item in found
            if item.typ.startswith("aws:") and key in item.inputs
        }

    trusts, permissions = all_of("assumeRolePolicy"), all_of("policy")
    assert (len(trusts), len(permissions)) == (6, 6)
    assert refused({"trusts": trusts, "permissions": permissions}) == {}


def test_nothing_fails_but_what_is_skipped_with_its_reason(verdict: checkov.Verdict) -> None:
    assert [row for row in verdict.failed if row[0] in MODULES] == sorted(SKIPPED)
    judged = {module: len([1 for folder, _, _ in verdict.passed if folder == module]) for module in MODULES}
    assert {kind for kind, count in judged.items() if count} == set(MODULES)
    assert {kind for kind, count in judged.items() if count >= 20} == {
        *identity_testing.KINDS,
        "old-subject",
        "S3ModelAccess",
    }


@pytest.mark.parametrize("check", TEETH)
def test_what_is_planted_is_found(verdict: checkov.Verdict, check: str) -> None:
    found = {
        (failed, resource.partition(".")[2])
        for module, failed, resource in verdict.failed
        if module == f"planted-{check}"
    }
    assert (check, TEETH[check][1]) in found
