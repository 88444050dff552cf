"""What a Kubernetes service account is called in a cloud's IAM, and what it may read there; pure.

AWS: https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html. Google Cloud:
https://docs.cloud.google.com/kubernetes-engine/docs/how-to/workload-identity (a service account is a principal itself).
"""

import re

OBJECT_READER = "roles/storage.objectViewer"
DNS_ADMIN = "roles/dns.admin"
DNS_READER = "roles/dns.reader"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_FOLDER = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


def gke_principal(project: str, project_number: str, namespace: str, service_account: str) -> str:
    """One service account of the clusters of a project."""
    pool = f"projects/{project_number}/locations/global/workloadIdentityPools/{project}.svc.id.goog"
    return f"principal://iam.googleapis.com/{pool}/subject/ns/{namespace}/sa/{service_account}"


def below(bucket: str, folder: str) -> str:
    """Condition for objects below one folder of a bucket; others are not even listed.

    Source: https://docs.cloud.google.com/iam/docs/conditions-resource-attributes
    """
    return f"resource.name.startsWith('projects/_/buckets/{bucket}/objects/{folder}/')"


def place_problems(bucket: str, folder: str) -> list[tuple[str, str, str]]:
    """Argument, what it holds and what it may, where bucket or folder would open more than one model."""
    found = []
    if not _BUCKET.fullmatch(bucket):
        found.append(("bucket", bucket, "the name of a bucket"))
    if not _FOLDER.fullmatch(folder):
        found.append(("folder", folder, "a folder of the model, without wildcards and without '/' at its ends"))
    return found
