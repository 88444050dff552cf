"""A model that a version fetches before its server starts, instead of one that is part of the image.

An init container of the server's own image does it, so that nothing else is to be trusted or kept up to date. The sum
of the artifact's manifest decides what is served, wherever it comes from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from modelway._egress import (
    DNS_EGRESS,
    EKS_POD_IDENTITY,
    GKE_METADATA_SERVER,
    address_egress,
    host_egress,
    is_address,
)
from modelway._hardening import container_security
from modelway.serving.runtimes import FETCHED_PATH, Runtime, SecretKey

SOURCE_FOLDER = "/source"
"""Where a volume claim is mounted."""
CREDENTIALS_FOLDER = "/var/run/secrets/modelway/source"
CREDENTIALS = "credentials"
SIZE_LIMIT_MIB = 2048
MIB_PER_SECOND = 10
"""Slowest fetch that a rollout waits for."""


@dataclass(frozen=True)
class Fetch:
    """Where a version's model is and how it is reached; checked by `fetch_checks`, not here."""

    source: str
    """Folder of the artifact: `s3://`, `gs://`, `https://`, `http://` or `file://`, without a slash at its end."""
    sha256: str
    """Of the artifact's `manifest.json`."""
    size_limit_mib: int = SIZE_LIMIT_MIB
    credentials: SecretKey | None = None
    """None: the workload identity of the pod for object stores, nothing for a web server."""
    endpoint: str | None = None
    """Of an S3 that is not Amazon's."""
    region: str | None = None
    volume_claim: str | None = None
    """What `file://` is the root of."""
    egress_cidrs: tuple[str, ...] = ()
    """Addresses of the source. Empty: those that its address says, else anywhere but link-local ones."""
    identity_annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the pod's ServiceAccount, by which a cloud knows it."""

    @property
    def scheme(self) -> str:
        """`s3`, `gs`, `http`, `https` or `file`."""
        return self.source.partition("://")[0]

    @property
    def seconds(self) -> int:
        """How much longer a rollout may take."""
        return self.size_limit_mib // MIB_PER_SECOND


def fetch_of(args: Mapping[str, Any]) -> Fetch:
    """A `Fetch` from the fields of `FetchArgs` that are set."""
    known = {name: value for name, value in args.items() if value is not None}
    if "credentials" in known:
        known["credentials"] = SecretKey(**known["credentials"])
    if "size_limit_mib" in known:
        known["size_limit_mib"] = int(known["size_limit_mib"])
    if "egress_cidrs" in known:
        known["egress_cidrs"] = tuple(known["egress_cidrs"])
    return Fetch(**known)


def fetch_container(fetch: Fetch, image: Any, server: Runtime) -> dict[str, Any]:
    """The init container; its log's last line is the pod's reason when it fails."""
    size = server.resources
    return {
        "name": "fetch",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/opt/venv/bin/python3", "-m", "modelway_server.fetch"],
        "env": [{"name": f"MODELWAY_FETCH_{name}", "value": value} for name, value in _settings(fetch).items()],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {
            "requests": {"cpu": size.cpu_request, "memory": "64Mi"},
            "limits": {"cpu": size.cpu_limit, "memory": "256Mi"},
        },
        "securityContext": container_security(server.user_id),
        "volumeMounts": [{"name": "model", "mountPath": FETCHED_PATH}, *(mount for _, mount in _own_folders(fetch))],
    }


def fetch_volumes(fetch: Fetch) -> list[dict[str, Any]]:
    """The folder of the model, and what only the init container sees."""
    folder = {"name": "model", "emptyDir": {"sizeLimit": f"{fetch.size_limit_mib}Mi"}}
    return [folder, *(volume for volume, _ in _own_folders(fetch))]


def model_mount() -> dict[str, Any]:
    """How the server sees the model."""
    return {"name": "model", "mountPath": FETCHED_PATH, "readOnly": True}


def fetch_egress(fetch: Fetch) -> list[dict[str, Any]]:
    """What the pod may reach to fetch its model; a NetworkPolicy knows pods only, so its server may as well."""
    if fetch.scheme == "file":
        return []
    url = urlsplit(fetch.endpoint or (fetch.source if fetch.scheme in ("http", "https") else "https://"))
    port = url.port or (80 if url.scheme == "http" else 443)
    rules = [host_egress(url.hostname or "", port, fetch.egress_cidrs)]
    if not is_address(url.hostname or "") or fetch.egress_cidrs:
        rules.insert(0, DNS_EGRESS)
    if fetch.credentials is None and fetch.scheme in ("s3", "gs"):
        places = GKE_METADATA_SERVER if fetch.scheme == "gs" else (EKS_POD_IDENTITY,)
        rules += [address_egress((cidr,), number) for cidr, number in places]
    return rules


def _settings(fetch: Fetch) -> dict[str, str]:
    settings = {
        "SOURCE": fetch.source,
        "SHA256": fetch.sha256,
        "TARGET": FETCHED_PATH,
        "MAX_BYTES": str(fetch.size_limit_mib * 2**20),
    }
    if fetch.credentials is not None:
        settings["CREDENTIALS_FILE"] = f"{CREDENTIALS_FOLDER}/{CREDENTIALS}"
    if fetch.endpoint is not None:
        settings["ENDPOINT"] = fetch.endpoint
    if fetch.region is not None:
        settings["REGION"] = fetch.region
    return settings


def _own_folders(fetch: Fetch) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Volumes and mounts that only the init container has."""
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    if fetch.credentials is not None:
        item = {"key": fetch.credentials.key, "path": CREDENTIALS}
        secret = {"secretName": fetch.credentials.secret, "items": [item], "defaultMode": 0o440}
        mount = {"name": "source-credentials", "mountPath": CREDENTIALS_FOLDER, "readOnly": True}
        found.append(({"name": "source-credentials", "secret": secret}, mount))
    if fetch.volume_claim is not None:
        claim = {"claimName": fetch.volume_claim, "readOnly": True}
        mount = {"name": "source", "mountPath": SOURCE_FOLDER, "readOnly": True}
        found.append(({"name": "source", "persistentVolumeClaim": claim}, mount))
    return found
