"""Sums of counters over pods that come, go and start again.

Prometheus' `rate()` and `increase()` extrapolate and lose what a new pod counted before its first scrape, so the raw
values are read and subtracted here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Sample(NamedTuple):
    """Value of one series of one pod."""

    pod: str
    series: str
    """What is counted, the same for all pods: its name and the labels that matter."""
    value: float
    at: float
    """When it was scraped, seconds since 1970."""


@dataclass
class Pod:
    """What is known of one pod."""

    last: dict[str, float]
    """Value read last, by series."""
    warm_at: float
    """Seconds since 1970 from which its counts matter."""
    seen_at: float
    """Seconds since 1970 of the last reading that had it."""
    read_at: float
    """Seconds since 1970 of the scrape whose values were read last."""


@dataclass
class Increments:
    """What was counted since the reading before, by series, over all pods."""

    all: dict[str, int] = field(default_factory=dict)
    warm: dict[str, int] = field(default_factory=dict)
    """Of warm pods alone."""
    since: float = float("inf")
    """Earliest scrape from which a pod was counted on, seconds since 1970."""


FORGET_SECONDS = 3600.0
"""A pod that was not seen for so long is gone, and not only hidden from Prometheus."""


@dataclass
class Counters:
    """What was read last, so that the next reading gives what was counted in between."""

    pods: dict[str, Pod] = field(default_factory=dict)

    def increments(self, samples: Iterable[Sample], now: float, warmup_seconds: float) -> Increments:
        """What each series counted since the reading before.

        A value below the last one is a counter that began again at 0. Pods of the very first reading had a life before
        it, which is left out; a pod or a series that appears later began at 0 since. What such a pod counts in its
        first `warmup_seconds` is not `warm`: its caches are cold.
        """
        found, first, read = Increments(), not self.pods, dict[str, float]()
        for name, series, value, at in samples:
            pod = self.pods.get(name)
            if pod is None:
                pod = self.pods[name] = Pod({}, now if first else now + warmup_seconds, now, at)
            pod.seen_at = now
            found.since = min(found.since, pod.read_at)
            read[name] = max(read.get(name, at), at)
            before = pod.last.get(series, value if first else 0.0)
            pod.last[series] = value
            more = round(value - before if value >= before else value)
            found.all[series] = found.all.get(series, 0) + more
            if now >= pod.warm_at:
                found.warm[series] = found.warm.get(series, 0) + more
        for name, at in read.items():
            self.pods[name].read_at = at
        self.pods = {name: pod for name, pod in self.pods.items() if now - pod.seen_at < FORGET_SECONDS}
        return found
