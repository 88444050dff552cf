"""What the identities of continuous integration must register, property by property.

Each function raises `AssertionError` where a recording differs. Tests call them; the mutation test shows that each
property which is taken away is missed by at least one.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.unit.cloud_testing import Recorded
from tests.unit.identity_testing import PROJECT

DOCUMENTS = json.loads(Path(__file__).with_name("identity_documents.json").read_text(encoding="utf-8"))
"""What the roles may do, statement by statement, for the arguments of the tests."""

PROVIDER = "${aws_iam_openid_connect_provider.ci-provider.arn}"
GITHUB_HOST, GITLAB_HOST = "token.actions.githubusercontent.com", "gitlab.com"
GITHUB = "repo:acme@123456/models@456789"
GITLAB = "project_path:acme/ml/models:ref_type:branch:ref"
CLAIMS: dict[str, dict[str, dict[str, Any]]] = {
    "AwsGithubOidc": {
        "preview": {f"{GITHUB_HOST}:repository_id": "456789", f"{GITHUB_HOST}:sub": f"{GITHUB}:pull_request"},
        "up": {f"{GITHUB_HOST}:repository_id": "456789", f"{GITHUB_HOST}:sub": f"{GITHUB}:environment:production"},
    },
    "AwsGitlabOidc": {
        "preview": {f"{GITLAB_HOST}:sub": [f"{GITLAB}:next", f"{GITLAB}:staging"]},
        "up": {f"{GITLAB_HOST}:sub": f"{GITLAB}:main"},
    },
}
HOSTS = {"AwsGithubOidc": GITHUB_HOST, "AwsGitlabOidc": GITLAB_HOST}
CONDITIONS = {
    "GcpGithubOidc": {
        "preview": "assertion.repository_id == '456789' && assertion.repository_owner_id == '123456' && "
        f"assertion.sub == '{GITHUB}:pull_request'",
        "up": "assertion.repository_id == '456789' && assertion.repository_owner_id == '123456' && "
        f"assertion.sub == '{GITHUB}:environment:production'",
    },
    "GcpGitlabOidc": {
        "preview": "assertion.project_id == '4711' && assertion.pipeline_source == 'merge_request_event'",
        "up": "assertion.project_id == '4711' && assertion.environment == 'production' && "
        "assertion.environment_protected == 'true' && assertion.ref_protected == 'true'",
    },
}
KNOWN_BY = {"GcpGithubOidc": ("repository_id", "456789"), "GcpGitlabOidc": ("project_id", "4711")}
ISSUERS = {"GcpGithubOidc": f"https://{GITHUB_HOST}", "GcpGitlabOidc": f"https://{GITLAB_HOST}"}
SERVICES = ("iam", "iamcredentials", "sts")
GRANTS: dict[str, dict[str, Any]] = {
    "preview": {"own": "${google_project_iam_custom_role.ci-preview-role.name}", "container-viewer": None},
    "up": {
        "own": "${google_project_iam_custom_role.ci-up-role.name}",
        **dict.fromkeys(
            (
                *("artifactregistry-admin", "cloudkms-admin", "compute-networkAdmin", "container-admin"),
                "serviceusage-serviceUsageAdmin",
            )
        ),
    },
}
STATE = {
    "preview": ("roles/storage.objectViewer", "roles/cloudkms.cryptoKeyDecrypter"),
    "up": ("roles/storage.objectUser", "roles/cloudkms.cryptoKeyEncrypterDecrypter"),
}

Check = Callable[[Recorded], None]


def _inputs(recorded: Recorded, name: str, typ: str) -> dict[str, Any]:
    (found,) = [each for each in recorded.resources if each.name == name and each.typ.endswith(f":{typ}")]
    return {key: value for key, value in found.inputs.items() if key not in ("displayName", "tags")}


def _kind(recorded: Recorded) -> str:
    (found,) = [each.typ.rpartition(":")[2] for each in recorded.resources if each.typ.startswith("modelway:")]
    return found


def aws_roles(recorded: Recorded) -> None:
    """Who may take each role, for how long, and what it may do."""
    kind = _kind(recorded)
    for role in ("preview", "up"):
        inputs = _inputs(recorded, f"ci-{role}-role", "Role")
        equal = {f"{HOSTS[kind]}:aud": "sts.amazonaws.com", **CLAIMS[kind][role]}
        assert json.loads(inputs.pop("assumeRolePolicy")) == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": PROVIDER},
                    "Action": ["sts:AssumeRoleWithWebIdentity"],
                    "Condition": {"StringEquals": equal},
                }
            ],
        }
        assert inputs == {"name": f"ci-{role}", "maxSessionDuration": 3600}
        policy = _inputs(recorded, f"ci-{role}-policy", "RolePolicy")
        assert json.loads(policy.pop("policy")) == DOCUMENTS[role]
        assert policy == {"role": f"ci-{role}"}


def aws_provider(recorded: Recorded) -> None:
    """The issuer is the one of the jobs, and tokens are for AWS."""
    assert _inputs(recorded, "ci-provider", "OpenIdConnectProvider") == {
        "url": f"https://{HOSTS[_kind(recorded)]}",
        "clientIdLists": ["sts.amazonaws.com"],
    }


def gcp_pools(recorded: Recorded) -> None:
    """Each pool admits the jobs of one role, and only they act as its service account."""
    kind = _kind(recorded)
    attribute, value = KNOWN_BY[kind]
    for role in ("preview", "up"):
        pool = f"google_iam_workload_identity_pool.ci-{role}-pool"
        assert _inputs(recorded, f"ci-{role}-pool", "WorkloadIdentityPool") == {
            "project": PROJECT,
            "workloadIdentityPoolId": f"ci-{role}",
        }
        assert _inputs(recorded, f"ci-{role}-provider", "WorkloadIdentityPoolProvider") == {
            "project": PROJECT,
            "workloadIdentityPoolId": f"ci-{role}",
            "workloadIdentityPoolProviderId": "jobs",
            "attributeCondition": CONDITIONS[kind][role],
            "attributeMapping": {"google.subject": "assertion.sub", f"attribute.{attribute}": f"assertion.{attribute}"},
            "oidc": {"issuerUri": ISSUERS[kind]},
        }
        assert _inputs(recorded, f"ci-{role}", "Account") == {"project": PROJECT, "accountId": f"ci-{role}"}
        assert _inputs(recorded, f"ci-{role}-jobs", "IAMBinding") == {
            "serviceAccountId": f"${{google_service_account.ci-{role}.name}}",
            "role": "roles/iam.workloadIdentityUser",
            "members": [f"principalSet://iam.googleapis.com/${{{pool}.name}}/attribute.{attribute}/{value}"],
        }


def gcp_grants(recorded: Recorded) -> None:
    """What each service account may do, in the project, with the state and with its key."""
    for role, grants in GRANTS.items():
        member = f"${{google_service_account.ci-{role}.member}}"
        for name, given in grants.items():
            assert _inputs(recorded, f"ci-{role}-{name}", "IAMMember") == {
                "project": PROJECT,
                "role": given or f"roles/{name.replace('-', '.')}",
                "member": member,
            }
        assert _inputs(recorded, f"ci-{role}-role", "IAMCustomRole") == {
            "project": PROJECT,
            "roleId": f"ci_{role}",
            "title": f"ci {role}",
            "permissions": DOCUMENTS[f"gcp-{role}"],
        }
        objects, key = STATE[role]
        assert _inputs(recorded, f"ci-{role}-state", "BucketIAMMember") == {
            "bucket": "acme-state",
            "role": objects,
            "member": member,
        }
        assert _inputs(recorded, f"ci-{role}-secrets", "CryptoKeyIAMMember") == {
            "cryptoKeyId": f"projects/{PROJECT}/locations/europe-west4/keyRings/state/cryptoKeys/secrets",
            "role": key,
            "member": member,
        }


def gcp_granter(recorded: Recorded) -> None:
    """`up` gives out the roles that the components need and no other, to nobody's advantage."""
    roles = "'roles/container.defaultNodeServiceAccount', 'roles/dns.reader'"
    assert _inputs(recorded, "ci-up-granter", "IAMMember") == {
        "project": PROJECT,
        "role": "roles/resourcemanager.projectIamAdmin",
        "member": "${google_service_account.ci-up.member}",
        "condition": {
            "title": "only what the components give out",
            "expression": f"api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([{roles}])",
        },
    }


def gcp_services(recorded: Recorded) -> None:
    """Services are on before what needs them, and stay on."""
    for service in SERVICES:
        assert _inputs(recorded, f"ci-service-{service}", "Service") == {
            "project": PROJECT,
            "service": f"{service}.googleapis.com",
            "disableOnDestroy": False,
        }
    for name in ("ci-preview", "ci-up", "ci-preview-pool", "ci-up-pool"):
        assert recorded.options[name]["depends_on"] == sorted(f"ci-service-{service}" for service in SERVICES)


CHECKS: dict[str, tuple[Check, ...]] = {
    "AwsGithubOidc": (aws_roles, aws_provider),
    "AwsGitlabOidc": (aws_roles, aws_provider),
    "GcpGithubOidc": (gcp_pools, gcp_grants, gcp_granter, gcp_services),
    "GcpGitlabOidc": (gcp_pools, gcp_grants, gcp_granter, gcp_services),
}
