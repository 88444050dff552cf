"""What the identities of continuous integration register; ids are Terraform references."""

import warnings
from typing import Any

from pulumi.runtime import mocks

from tests.unit import cloud_testing
from tests.unit.cloud_testing import Recorded

with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):
    # Both SDKs warn of their own modules when they are imported, and tests take warnings for errors.
    import pulumi_aws as aws
    import pulumi_gcp as gcp
    from modelway.identity.aws import AwsGithubOidc, AwsGithubOidcArgs, AwsGitlabOidc, AwsGitlabOidcArgs
    from modelway.identity.gcp import GcpGithubOidc, GcpGithubOidcArgs, GcpGitlabOidc, GcpGitlabOidcArgs
    from modelway.identity.pods_aws import S3ModelAccess
    from modelway.identity.pods_gcp import GcsModelAccess, GkeDnsAccess

    for _part in (aws.eks, aws.iam, gcp.dns, gcp.iam, gcp.kms, gcp.organizations, gcp.projects, gcp.serviceaccount):
        dir(_part)
    _ = gcp.storage.BucketIAMMember

ACCOUNT = "111122223333"
PROJECT = "models-of-acme"
POOL_NAME = "projects/123456789012/locations/global/workloadIdentityPools/ci-{}"

GITHUB = {
    "repository": "acme/models",
    "repository_id": "456789",
    "owner_id": "123456",
    "environment": "production",
}
AWS_PLACE = {
    "region": "eu-west-1",
    "account": ACCOUNT,
    "prefixes": ["production"],
    "state_bucket": "acme-state",
    "secrets_key_arn": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef",
}
GCP_PLACE = {
    "project": PROJECT,
    "state_bucket": "acme-state",
    "secrets_key": f"projects/{PROJECT}/locations/europe-west4/keyRings/state/cryptoKeys/secrets",
}
KINDS: dict[str, Any] = {
    "AwsGithubOidc": AwsGithubOidc,
    "AwsGitlabOidc": AwsGitlabOidc,
    "GcpGithubOidc": GcpGithubOidc,
    "GcpGitlabOidc": GcpGitlabOidc,
}
KNOWN = {
    "AwsGithubOidc": AwsGithubOidcArgs.__annotations__,
    "AwsGitlabOidc": AwsGitlabOidcArgs.__annotations__,
    "GcpGithubOidc": GcpGithubOidcArgs.__annotations__,
    "GcpGitlabOidc": GcpGitlabOidcArgs.__annotations__,
}
ARGS: dict[str, dict[str, Any]] = {
    "AwsGithubOidc": {**AWS_PLACE, **GITHUB},
    "AwsGitlabOidc": {
        **AWS_PLACE,
        "project_path": "acme/ml/models",
        "up_branch": "main",
        "preview_branches": ["next", "staging"],
    },
    "GcpGithubOidc": {**GCP_PLACE, **GITHUB},
    "GcpGitlabOidc": {
        **GCP_PLACE,
        "project_id": "4711",
        "environment": "production",
    },
}


MODEL = {"namespace": "modelway-models", "service_accounts": ["iris-v1", "iris-v2"], "bucket": "acme-models"}
POD_KINDS: dict[str, Any] = {
    "S3ModelAccess": S3ModelAccess,
    "GcsModelAccess": GcsModelAccess,
    "GkeDnsAccess": GkeDnsAccess,
}
"""Identities of pods."""
POD_ARGS: dict[str, dict[str, Any]] = {
    "S3ModelAccess": {
        **MODEL,
        "folder": "models/iris",
        "cluster_name": "cluster",
        "cluster_arn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/cluster",
        "key_arn": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef",
    },
    "GcsModelAccess": {**MODEL, "folder": "models/iris", "project": PROJECT},
    "GkeDnsAccess": {
        "project": PROJECT,
        "zone": "acme-dev",
        "external_dns": "external-dns/external-dns",
        "cert_manager": "modelway-cert-manager/cert-manager",
    },
}


def _call(args: mocks.MockCallArgs) -> tuple[str, dict[str, Any]]:
    if args.token != "gcp:organizations/getProject:getProject":
        raise AssertionError(f"unexpected call {args.token}")
    return f"{args.token}({args.args['projectId']})", {**args.args, "number": "123456789012", "id": "x"}


CLOUD = cloud_testing.Cloud(
    {
        "aws:eks/podIdentityAssociation:PodIdentityAssociation": ("associationId",),
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider": ("arn",),
        "aws:iam/role:Role": ("arn", "name"),
        "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": ("name",),
        "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": ("name",),
        "gcp:projects/iAMCustomRole:IAMCustomRole": ("name",),
        "gcp:serviceaccount/account:Account": ("email", "member", "name"),
        "gcp:serviceaccount/iAMBinding:IAMBinding": ("etag",),
    },
    {},
    _call,
)


def record(kind: str, preview: bool = False, **changes: Any) -> Recorded:
    """What one of the components registers as `ci`, or as `iris` where it is of pods."""
    name, component = ("ci", KINDS[kind]) if kind in KINDS else ("iris", POD_KINDS[kind])
    args = {**(ARGS.get(kind) or POD_ARGS[kind]), **changes}
    known = {key: value for key, value in args.items() if value is not None}
    return cloud_testing.record(CLOUD, lambda: component(name, known), preview)
