"""A drift monitor with its window over one registry, for tests; not part of the image."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from modelway_server.drift import DriftMonitor, Reference
from modelway_server.drift_window import DriftWindow
from modelway_server.runtimes.base import Output
from prometheus_client import CollectorRegistry

LABELS = ("cancer", "v1")
DECILES = [round(0.1 * index, 1) for index in range(1, 10)]


def numbers(edges: Iterable[float], counts: Iterable[int], missing: int = 0) -> dict[str, Any]:
    """Bins as `reference.json` writes them."""
    return {"edges": list(edges), "counts": list(counts), "missing": missing}


def reference(prediction: Any = None, **features: Any) -> Reference:
    """A reference of these features; predictions are 60 times `no` and 40 times `yes` unless given."""
    prediction = prediction or {"classes": ["no", "yes"], "counts": [60, 40, 0]}
    return Reference.model_validate({"format": 1, "features": features, "prediction": prediction})


UNIFORM = numbers(DECILES, [100] * 10)
TWO = reference(x=UNIFORM, code=numbers([-0.5, 0.5, 1.5], [0, 700, 300, 0]))


class Watcher:
    """A monitor and a window over one registry, as in a server of one process."""

    def __init__(self, document: Reference = TWO, ring_rows: int = 4096) -> None:
        self.seconds = 100.0
        self.registry = CollectorRegistry()
        self.monitor = DriftMonitor(document, self.registry, LABELS, ring_rows)
        self.registry.register(DriftWindow(document, LABELS, self.monitor.collect, lambda: self.seconds))

    def add(self, rows: Any, predictions: Any = None) -> None:
        """Answer rows, with `no` unless given; they are counted by `monitor.flush()`."""
        rows = np.asarray(rows, dtype=np.float32)
        self.monitor.add(rows, Output(["no"] * len(rows) if predictions is None else predictions, None))

    def counts(self, name: str, *, zero: bool = False) -> dict[str, float]:
        """Samples by their labels other than model and version."""
        return {
            " ".join(value for key, value in sample.labels.items() if key not in ("model", "version")): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name and (sample.value or zero)
        }
