"""Sends what Prometheus has recorded on to a cloud, whose alerts ask for it; as plain data and as arguments.

Only recorded series go: the clouds count samples, and alerts of objectives ask for nothing else.

Google documents no address for remote write. Code of Google's own names one beside that of queries, and what it takes:
version 2 of the protocol, at most 200 series a request, no series without a type ("Package prwproxy", 2025, under
Google's copyright: https://monitoring.googleapis.com/v1/projects/PROJECT/location/global/prometheus/api/v1/write).
Prometheus knows `google_iam` since https://github.com/prometheus/prometheus/pull/14346, which says that there was no
such address in 2024. Nobody has written to it with this.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi

from modelway._aws import REGIONS as AWS_REGIONS
from modelway._egress import ANYWHERE, EKS_POD_IDENTITY, GKE_METADATA_SERVER, address_egress
from modelway._gcp import REGIONS as GOOGLE_REGIONS
from modelway.serving.misfit import Misfit

IDENTITY = "modelway.dev/identity"
RECORDED = ".+:.+"
"""Names of recorded series: https://prometheus.io/docs/practices/rules/ gives the colon to them alone."""
GOOGLE_MOST_SERIES = 200
"""In one request."""
TYPE_LABELS = "type-and-unit-labels"
"""Feature by which a label `__type__` says what version 2 of remote write sends as the type of a series; what rules
record has no other (https://prometheus.io/docs/prometheus/latest/feature_flags/#type-and-unit-labels)."""
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,100}")


class RemoteWriteArgs(TypedDict):
    """Where recorded series are sent on to: exactly one of the two clouds."""

    url: pulumi.Input[str]
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

    url: Any
    """Text, or an output where the cloud's half is of the same program."""
    aws_region: str = ""
    google_location: str = ""
    cluster: str = "modelway"


def remote_write_config(remote: RemoteWrite) -> dict[str, Any]:
    """One entry of `remote_write`."""
    relabelings: list[dict[str, Any]] = [
        {"source_labels": ["__name__"], "regex": RECORDED, "action": "keep"},
        {"target_label": "cluster", "replacement": remote.cluster},
    ]
    if remote.aws_region:
        cloud: dict[str, Any] = {"sigv4": {"region": remote.aws_region}}
    else:
        labels = {"location": remote.google_location, "__type__": "gauge"}
        relabelings += [{"target_label": name, "replacement": value} for name, value in labels.items()]
        message, most = "io.prometheus.write.v2.Request", {"max_samples_per_send": GOOGLE_MOST_SERIES}
        cloud = {"google_iam": {}, "protobuf_message": message, "queue_config": most}
    return {"url": remote.url, **cloud, "write_relabel_configs": relabelings}


def remote_write_features(remote: RemoteWrite | None) -> tuple[str, ...]:
    """Features of Prometheus without which the cloud would take nothing."""
    return (TYPE_LABELS,) if remote and remote.google_location else ()


def pod_metadata(labels: Mapping[str, str], remote: RemoteWrite | None) -> dict[str, Any]:
    """Metadata of the pod that sends.

    A pod gets its identity in AWS when it is made, and none later
    (https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html): the annotation makes a new one.
    """
    own: dict[str, Any] = {"labels": dict(labels)}
    return own | ({"annotations": {IDENTITY: "eks-pod-identity"}} if remote and remote.aws_region else {})


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
    url = found["url"]
    if isinstance(url, str) and not (urlsplit(url).scheme == "https" and urlsplit(url).hostname):
        yield Misfit(f"{where}.url", "no usable URL", repr(url), "https://HOST/…", "correct it")
    clouds = [key for key in ("aws_region", "google_location") if found.get(key)]
    if len(clouds) != 1:
        got = " and ".join(clouds) or "none"
        yield Misfit(where, "not one cloud", got, "aws_region or google_location", "set exactly one")
    for key, regions in (("aws_region", AWS_REGIONS), ("google_location", GOOGLE_REGIONS)):
        if found.get(key) and found[key] not in regions:
            yield Misfit(f"{where}.{key}", "unknown region", repr(found[key]), "a region of that cloud", "correct it")
    if not _LABEL.fullmatch(found.get("cluster", "modelway")):
        allowed = "letters, digits, '-' and '_', at most 100"
        yield Misfit(f"{where}.cluster", "no name of a cluster", repr(found["cluster"]), allowed, "correct it")
    if found.get("google_location") and args.get("ground", "plain") != "plain":
        # The operator's object Prometheus has no field for it at 0.93.
        what, allowed = "the operator cannot sign for Google Cloud", "with ground plain"
        yield Misfit(f"{where}.google_location", what, "ground kubePrometheusStack", allowed, "change the ground")
