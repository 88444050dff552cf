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


@dataclass
class Pod:
    """What is known of one pod."""

    last: dict[str, float]
    """Value read last, by series."""
    warm_at: float
    """Seconds since 1970 from which its counts matter."""
    seen_at: float
    """Seconds since 1970 of the last reading that had it."""


FORGET_SECONDS = 3600.0
"""A pod that was not seen for so long is gone, and not only hidden from Prometheus."""


@dataclass
class Counters:
    """What was read last, so that the next reading gives what was counted in between."""

    pods: dict[str, Pod] = field(default_factory=dict)

    def increments(self, samples: Iterable[Sample], now: float, warmup_seconds: float) -> dict[str, float]:
        """What each series counted since the reading before, over all warm pods.

        A value below the last one is a counter that began again at 0. Pods of the very first reading had a life before
        it, which is left out; a pod or a series that appears later began at 0 since. What such a pod counts in its
        first `warmup_seconds` is left out as well: its caches are cold.
        """
        found: dict[str, float] = {}
        first = not self.pods
        for name, series, value in samples:
            pod = self.pods.get(name)
            if pod is None:
                pod = self.pods[name] = Pod({}, now if first else now + warmup_seconds, now)
            pod.seen_at = now
            before = pod.last.get(series, value if first else 0.0)
            pod.last[series] = value
            if now >= pod.warm_at:
                found[series] = found.get(series, 0.0) + (value - before if value >= before else value)
        self.pods = {name: pod for name, pod in self.pods.items() if now - pod.seen_at < FORGET_SECONDS}
        return found
