"""Names of Google Cloud, as plain data."""

import re

REGIONS: tuple[str, ...] = (
    *("africa-south1", "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3"),
    *("asia-south1", "asia-south2", "asia-southeast1", "asia-southeast2", "asia-southeast3"),
    *("australia-southeast1", "australia-southeast2", "europe-central2", "europe-north1", "europe-north2"),
    *("europe-southwest1", "europe-west1", "europe-west10", "europe-west12", "europe-west2", "europe-west3"),
    *("europe-west4", "europe-west6", "europe-west8", "europe-west9", "me-central1", "me-central2", "me-west1"),
    *("northamerica-northeast1", "northamerica-northeast2", "northamerica-south1", "southamerica-east1"),
    *("southamerica-west1", "us-central1", "us-east1", "us-east4", "us-east5", "us-south1"),
    *("us-west1", "us-west2", "us-west3", "us-west4"),
)
"""Regions with Compute Engine: read on 2026-11-23 from https://github.com/Cyclenerd/google-cloud-pricing-cost-calculator,
build/gcp.yml at commit dac31281 of 2026-08-20; those of the table of machine types are the same."""

_PROJECT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
_SERVICE_ACCOUNT = re.compile(rf"[a-z][a-z0-9-]{{4,28}}[a-z0-9]@{_PROJECT}\.iam\.gserviceaccount\.com")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


def is_project(text: str) -> bool:
    """Whether the text may be the ID of a project."""
    return re.fullmatch(_PROJECT, text) is not None


def is_service_account(email: str) -> bool:
    """Whether the text is the address of a service account that a project made."""
    return _SERVICE_ACCOUNT.fullmatch(email) is not None


def is_label(key: str, value: str) -> bool:
    """Whether Google Cloud takes the pair as a label of its resources."""
    return _LABEL_KEY.fullmatch(key) is not None and _LABEL_VALUE.fullmatch(value) is not None
