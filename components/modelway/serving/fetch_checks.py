"""What may be said about the source of a model: every field acts or is refused. Nothing here needs Pulumi."""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelway.serving.misfit import Misfit

SCHEMES = ("s3", "gs", "https", "http", "file")
MAXIMUM_SIZE_MIB = 1024 * 1024
_SOURCE = re.compile(r"(s3|gs|https?)://[A-Za-z0-9][^\s?#]*[^\s?#/]|file:///[^\s?#]*[^\s?#/]")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_FOR: Mapping[str, Sequence[str]] = {
    "credentials": ("s3", "gs", "https", "http"),
    "endpoint": ("s3",),
    "region": ("s3",),
    "volume_claim": ("file",),
    "egress_cidrs": ("s3", "gs", "https", "http"),
    "identity_annotations": ("s3", "gs"),
}
"""Fields that have a meaning for some sources only."""


def fetch_misfits(fetch: Mapping[str, Any], runtime: str) -> Iterator[Misfit]:
    """Everything wrong with `fetch` of a version that has this runtime."""
    if runtime != "modelway":
        got, fix = f"with runtime {runtime}", "build the model into the image"
        yield Misfit("fetch", "does not fit the runtime", got, "with runtime modelway", fix)
        return
    set_ = {name: value for name, value in fetch.items() if value is not None}
    if not _SOURCE.fullmatch(set_["source"]):
        allowed = "a folder at s3://, gs://, https://, http:// or file:/// without a '/' at its end"
        yield Misfit("fetch.source", "is no place of a model", repr(set_["source"]), allowed, "correct it")
        return
    if not _SHA256.fullmatch(set_["sha256"]):
        allowed, fix = "64 hex digits", "write the sha256 of the artifact's manifest.json"
        yield Misfit("fetch.sha256", "no sha256", repr(set_["sha256"]), allowed, fix)
    yield from _of_scheme(set_, set_["source"].partition("://")[0])
    yield from _values(set_)


def _of_scheme(set_: Mapping[str, Any], scheme: str) -> Iterator[Misfit]:
    for name, schemes in _FOR.items():
        if set_.get(name) and scheme not in schemes:
            allowed = f"with {', '.join(f'{each}://' for each in schemes)}"
            yield Misfit(f"fetch.{name}", "does not fit the source", f"with {scheme}://", allowed, f"remove {name}")
    if scheme == "file" and not set_.get("volume_claim"):
        allowed, fix = "the name of a PersistentVolumeClaim", "name the claim that holds the model"
        yield Misfit("fetch.volume_claim", "missing for file://", "nothing", allowed, fix)
    if "endpoint" in set_ and "credentials" not in set_:
        fix = "name a Secret with an AWS credentials file"
        yield Misfit("fetch.credentials", "missing for an endpoint", "nothing", "a Secret and its key", fix)
    if set_.get("identity_annotations") and "credentials" in set_:
        got, fix = "both", "remove one of them"
        yield Misfit("fetch.credentials", "set together with identity_annotations", got, "one of the two", fix)


def _values(set_: Mapping[str, Any]) -> Iterator[Misfit]:
    size = set_.get("size_limit_mib", 1)
    if not 1 <= size <= MAXIMUM_SIZE_MIB:
        yield Misfit("fetch.size_limit_mib", "out of range", f"{size:g}", f"1 to {MAXIMUM_SIZE_MIB}", "change it")
    patterns = {"endpoint": (_ENDPOINT, "http(s)://HOST or http(s)://HOST:PORT"), "region": (_REGION, "eu-central-1"),
                "volume_claim": (_NAME, "the name of a PersistentVolumeClaim")}  # fmt: skip
    for name, (pattern, allowed) in patterns.items():
        if set_.get(name) and not pattern.fullmatch(set_[name]):
            yield Misfit(f"fetch.{name}", "not a usable value", repr(set_[name]), allowed, "correct it")
    if (reference := set_.get("credentials")) is not None and not (
        _NAME.fullmatch(reference["secret"]) and _KEY.fullmatch(reference["key"])
    ):
        got, allowed = f"{reference['secret']!r}, {reference['key']!r}", "the name of a Secret and one of its keys"
        yield Misfit("fetch.credentials", "not a reference", got, allowed, "correct it")
    for cidr in set_.get("egress_cidrs") or ():
        try:
            ipaddress.ip_network(cidr)
        except ValueError:
            allowed = "a network such as 203.0.113.0/24"
            yield Misfit("fetch.egress_cidrs", "not a network", repr(cidr), allowed, "correct it")
