"""Sends what Prometheus has recorded on to a cloud, whose alerts ask for it; as plain data and as arguments.

Only recorded series go: the clouds count samples, and alerts of objectives ask for nothing else.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict
from urllib.parse import urlsplit

from modelway._aws import REGIONS as AWS_REGIONS
from modelway._egress import ANYWHERE, EKS_POD_IDENTITY, GKE_METADATA_SERVER, address_egress
from modelway._gcp import REGIONS as GOOGLE_REGIONS
from modelway.serving.misfit import Misfit

RECORDED = ".+:.+"
"""Names of recorded series: https://prometheus.io/docs/practices/rules/ gives the colon to them alone."""
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")


class RemoteWriteArgs(TypedDict):
    """Where recorded series are sent on to: exactly one of the two clouds."""

    url: str
    """`remote_write_url` of `AmazonMonitoring` or of `GoogleMonitoring`."""
    aws_region: NotRequired[str]
    """Region of the workspace: requests are signed by the pod's identity in AWS."""
    google_location: NotRequired[str]
    """Region of the cluster, as a label of each series: requests carry the pod's identity in Google Cloud."""
    cluster: NotRequired[str]
    """Name of the cluster as a label of each series. Defaults to `modelway`."""


@dataclass(frozen=True)
class RemoteWrite:
    """The same as a value."""

    url: str
    aws_region: str = ""
    google_location: str = ""
    cluster: str = "modelway"


def remote_write_config(remote: RemoteWrite) -> dict[str, Any]:
    """One entry of `remote_write`."""
    relabelings: list[dict[str, Any]] = [
        {"source_labels": ["__name__"], "regex": RECORDED, "action": "keep"},
        {"target_label": "cluster", "replacement": remote.cluster},
    ]
    if remote.google_location:
        relabelings.append({"target_label": "location", "replacement": remote.google_location})
    signed = {"sigv4": {"region": remote.aws_region}} if remote.aws_region else {"google_iam": {}}
    return {"url": remote.url, **signed, "write_relabel_configs": relabelings}


def remote_write_egress(remote: RemoteWrite) -> list[dict[str, Any]]:
    """To the cloud's interface, and to the identity that the node gives the pod."""
    places = (EKS_POD_IDENTITY,) if remote.aws_region else GKE_METADATA_SERVER
    return [address_egress((ANYWHERE,), 443), *(address_egress((cidr,), port) for cidr, port in places)]


def remote_write_of(args: Mapping[str, Any]) -> RemoteWrite | None:
    """The value of arguments that `remote_write_misfits` finds nothing wrong with; none where there are none."""
    found = args.get("remote_write")
    return RemoteWrite(**found) if found else None


def remote_write_misfits(args: Mapping[str, Any]) -> Iterator[Misfit]:
    """What `MonitoringStack` refuses about sending on."""
    found = args.get("remote_write")
    if not found:
        return
    where = "remote_write"
    if urlsplit(found["url"]).scheme != "https" or not urlsplit(found["url"]).hostname:
        yield Misfit(f"{where}.url", "no usable URL", repr(found["url"]), "https://HOST/…", "correct it")
    clouds = [key for key in ("aws_region", "google_location") if found.get(key)]
    if len(clouds) != 1:
        got = " and ".join(clouds) or "none"
        yield Misfit(where, "not one cloud", got, "aws_region or google_location", "set exactly one")
    for key, regions in (("aws_region", AWS_REGIONS), ("google_location", GOOGLE_REGIONS)):
        if found.get(key) and found[key] not in regions:
            yield Misfit(f"{where}.{key}", "unknown region", repr(found[key]), "a region of that cloud", "correct it")
    if not _LABEL.fullmatch(found.get("cluster", "modelway")):
        allowed = "letters, digits, '-' and '_', at most 63"
        yield Misfit(f"{where}.cluster", "no name of a cluster", repr(found["cluster"]), allowed, "correct it")
    if found.get("google_location") and args.get("ground", "plain") != "plain":
        # The operator's object Prometheus has no field for it at 0.93.
        what, allowed = "the operator cannot sign for Google Cloud", "with ground plain"
        yield Misfit(f"{where}.google_location", what, "ground kubePrometheusStack", allowed, "change the ground")
