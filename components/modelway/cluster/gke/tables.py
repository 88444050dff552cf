"""What Google Cloud offers, as tables with the page and the day they were read; pure data."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class KubernetesVersion:
    """A minor version that GKE runs, and until when (UTC)."""

    standard_until: date
    """After it only the Extended channel keeps it."""
    extended_until: date
    """24 months after it came to the Regular channel; GKE upgrades every cluster then."""
    source: str
    read: date


_RELEASES = "https://endoflife.date/google-kubernetes-engine"
KUBERNETES_READ = date(2026, 8, 22)

DECIDED = date(2026, 11, 23)
"""The day for which the table was last looked over: versions whose support ended before it are refused. It is not the
clock's day, as a preview must not change by itself."""

KUBERNETES_VERSIONS = {
    "1.32": KubernetesVersion(date(2026, 4, 11), date(2027, 2, 11), _RELEASES, KUBERNETES_READ),
    "1.33": KubernetesVersion(date(2026, 8, 3), date(2027, 6, 3), _RELEASES, KUBERNETES_READ),
    "1.34": KubernetesVersion(date(2026, 10, 1), date(2027, 9, 30), _RELEASES, KUBERNETES_READ),
    "1.35": KubernetesVersion(date(2027, 4, 11), date(2028, 2, 11), _RELEASES, KUBERNETES_READ),
    "1.36": KubernetesVersion(date(2027, 8, 9), date(2028, 6, 9), _RELEASES, KUBERNETES_READ),
}
"""Oldest first. The page repeats https://docs.cloud.google.com/kubernetes-engine/docs/release-schedule; the 24 months
are those of https://docs.cloud.google.com/kubernetes-engine/versioning."""

MOST_API_CIDRS = 20
"""Networks that may be let in to a cluster's API, as CIS GKE 1.9.0, 5.6.3 has it."""

CHANNELS = ("RAPID", "REGULAR", "STABLE", "EXTENDED")


def supported(channel: str, on: date = DECIDED) -> list[str]:
    """Versions that a channel runs on a day."""
    extended = channel == "EXTENDED"
    return [
        version
        for version, row in KUBERNETES_VERSIONS.items()
        if on <= (row.extended_until if extended else row.standard_until)
    ]
