"""KMS keys of a cluster."""

import json
from collections.abc import Sequence

import pulumi_aws as aws

from modelway.cluster.eks import iam
from modelway.cluster.eks.site import Site

DELETION_WINDOW_DAYS = 30


def kept_key(site: Site, name: str, tag: str, description: str, policy: iam.Document) -> aws.kms.Key:
    """A key of this logical name that rotates, and that production protects."""
    return aws.kms.Key(
        name,
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=DELETION_WINDOW_DAYS,
        policy=json.dumps(policy),
        tags=site.tags(tag),
        # Without its key, what it encrypted is lost.
        opts=site.child(protect=True),
    )


def _key(site: Site, role: str, description: str, policy: iam.Document) -> aws.kms.Key:
    key = kept_key(site, f"{site.name}-{role}-key", role, description, policy)
    aws.kms.Alias(
        f"{site.name}-{role}-key-alias",
        name=f"alias/modelway/{site.cluster}/{role}",
        target_key_id=key.key_id,
        opts=site.child(),
    )
    return key


def secrets_key(site: Site) -> aws.kms.Key:
    """Key of the Secrets in etcd; cannot be exchanged later."""
    return _key(site, "secrets", f"Kubernetes Secrets of {site.cluster}", iam.key_policy(site.account))


def logs_key(site: Site, log_groups: Sequence[str]) -> aws.kms.Key:
    """Key of the log groups of these names."""
    policy = iam.logs_key_policy(site.region, site.account, log_groups)
    return _key(site, "logs", f"Logs of {site.cluster}", policy)
