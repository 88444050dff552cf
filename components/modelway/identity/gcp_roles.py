"""What the two service accounts of continuous integration may do on Google Cloud; pure."""

from collections.abc import Sequence
from typing import NamedTuple

NODE_ROLE = "roles/container.defaultNodeServiceAccount"
"""That of `modelway.cluster.gke.nodes`, which needs the SDK of Google Cloud."""

PREVIEW_PERMISSIONS = (
    *("artifactregistry.repositories.get", "artifactregistry.repositories.getIamPolicy"),
    *("cloudkms.cryptoKeys.get", "cloudkms.cryptoKeys.getIamPolicy", "cloudkms.keyRings.get"),
    *("compute.networks.get", "compute.projects.get", "compute.routers.get", "compute.subnetworks.get"),
    *("container.clusters.get", "container.operations.get", "iam.roles.get", "iam.serviceAccounts.get"),
    *("iam.serviceAccounts.getIamPolicy", "resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy"),
    *("serviceusage.services.get", "serviceusage.services.list"),
)
"""Settings of what the stacks are made of, never data: no image, no object, no log line."""

PREVIEW_ROLES = ("roles/container.viewer",)
"""Kubernetes objects to read, Secrets not among them
(https://docs.cloud.google.com/kubernetes-engine/docs/how-to/iam)."""

UP_PERMISSIONS = (
    *("iam.roles.get", "iam.serviceAccounts.actAs", "iam.serviceAccounts.create", "iam.serviceAccounts.delete"),
    *("iam.serviceAccounts.get", "iam.serviceAccounts.getIamPolicy", "iam.serviceAccounts.list"),
    *("iam.serviceAccounts.setIamPolicy", "iam.serviceAccounts.update", "resourcemanager.projects.get"),
    "resourcemanager.projects.getIamPolicy",
)
"""Making service accounts for nodes and models and letting nodes act as theirs; no key of one can be made."""

UP_ROLES = (
    *("roles/artifactregistry.admin", "roles/cloudkms.admin", "roles/compute.networkAdmin"),
    *("roles/container.admin", "roles/serviceusage.serviceUsageAdmin"),
)

GRANTER = "roles/resourcemanager.projectIamAdmin"
GRANTED = (NODE_ROLE, "roles/dns.reader")
"""Roles of the whole project that the components give out."""


class Access(NamedTuple):
    """Roles of one service account on the state and its key."""

    objects: str
    key: str


STATE = {
    "preview": Access("roles/storage.objectViewer", "roles/cloudkms.cryptoKeyDecrypter"),
    "up": Access("roles/storage.objectUser", "roles/cloudkms.cryptoKeyEncrypterDecrypter"),
}
"""A preview of a state in a bucket takes no lock and so writes nothing."""


def only_grants(roles: Sequence[str]) -> str:
    """Condition under which a holder of `GRANTER` gives or takes these roles and no other.

    Source: https://docs.cloud.google.com/iam/docs/setting-limits-on-granting-roles
    """
    names = ", ".join(f"'{role}'" for role in roles)
    return f"api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([{names}])"


def members_of(pool_name: str, attribute: str, value: str) -> str:
    """Everyone whom a pool admits and whose attribute has the value.

    Source: https://docs.cloud.google.com/iam/docs/principal-identifiers
    """
    return f"principalSet://iam.googleapis.com/{pool_name}/attribute.{attribute}/{value}"
