"""Compares the last hour of live traffic with the reference, whenever metrics are scraped.

In a server of several workers this lives where metrics are scraped, once: the workers' counters add up before they are
compared, and no gauge is shown twice.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from modelway_server.drift import MINIMUM_ROWS, Counts, Layout, Reference, ks, psi

WINDOW_SECONDS = 3600.0
"""Long enough for most services to gather `MINIMUM_ROWS`, short enough to see a change within the hour."""
SNAPSHOT_SECONDS = 60.0


class _Snapshot(NamedTuple):
    seconds: float
    features: Counts
    predictions: Counts


class DriftWindow(Collector):
    """Reference shares, and PSI and KS of the rows of the last hour, or since the start if that is later.

    Nothing is shown for fewer than `MINIMUM_ROWS` rows. The counters are kept once a minute, so the window may be a
    minute shorter than an hour.
    """

    def __init__(
        self,
        reference: Reference,
        labels: tuple[str, str],
        counters: Callable[[], Iterable[Metric]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`labels`: model and version; `counters`: the counters of all workers, without what this collector shows."""
        self._layout = layout = Layout(reference)
        self._labels = labels
        self._counters = counters
        self._clock = clock
        self._bins = np.asarray([len(columns) for columns in layout.columns.values()], np.int64)
        self._rows = list(layout.features.values())
        self._prediction_bins = {name: index for index, name in enumerate(layout.predictions)}
        self._shares = list(self._reference())
        self._past = deque([self._read(clock(), ())])

    def collect(self) -> Iterator[Metric]:
        """Gauges of the window that ends now."""
        now = self._read(self._clock(), self._counters())
        base = self._base(now)
        features, predictions = now.features - base.features, now.predictions - base.predictions
        yield from self._shares
        yield from self._of_features(features[self._rows])
        yield from self._of_predictions(predictions)
        yield self._watched()

    def _base(self, now: _Snapshot) -> _Snapshot:
        """What the counters were when the window began."""
        past = self._past
        while past and now.seconds - past[0].seconds > WINDOW_SECONDS:
            past.popleft()
        if not past or now.seconds - past[-1].seconds >= SNAPSHOT_SECONDS:
            past.append(now)
        return past[0]

    def _read(self, seconds: float, metrics: Iterable[Metric]) -> _Snapshot:
        layout = self._layout
        features = np.zeros(layout.shares.shape, np.int64)
        predictions = np.zeros(len(layout.predictions), np.int64)
        for metric in metrics:
            for sample in metric.samples:
                found = sample.labels
                if sample.name == "modelway_feature_bin_total":
                    name = found["feature"]
                    features[layout.features[name], layout.columns[name][found["bin"]]] += int(sample.value)
                elif sample.name == "modelway_prediction_bin_total":
                    predictions[self._prediction_bins[found["bin"]]] += int(sample.value)
        return _Snapshot(seconds, features, predictions)

    def _reference(self) -> Iterator[Metric]:
        layout = self._layout
        shares = self._gauge("modelway_feature_bin_reference", "Share of the training rows.", "feature", "bin")
        for feature, columns in layout.columns.items():
            for name, column in columns.items():
                share = layout.shares[layout.features[feature], column]
                shares.add_metric([*self._labels, feature, name], float(share))
        yield shares
        shares = self._gauge("modelway_prediction_bin_reference", "Share of the held-out rows.", "bin")
        for name, index in self._prediction_bins.items():
            shares.add_metric([*self._labels, name], float(layout.prediction_shares[index]))
        yield shares

    def _of_features(self, counts: Counts) -> Iterator[Metric]:
        psi_family = self._gauge("modelway_feature_drift_psi", "PSI of the last hour.", "feature")
        ks_family = self._gauge("modelway_feature_drift_ks", "KS of the last hour.", "feature")
        if len(counts) and counts[0].sum() >= MINIMUM_ROWS:
            shares = self._layout.shares[self._rows]
            found = zip(self._layout.features, psi(counts, shares, self._bins), ks(counts, shares), strict=True)
            for feature, psi_value, ks_value in found:
                psi_family.add_metric([*self._labels, feature], float(psi_value))
                ks_family.add_metric([*self._labels, feature], float(ks_value))
        yield psi_family
        yield ks_family

    def _of_predictions(self, counts: Counts) -> Iterator[Metric]:
        family = self._gauge("modelway_prediction_drift_psi", "PSI of the predictions of the last hour.")
        if counts.sum() >= MINIMUM_ROWS:
            value = psi(counts, self._layout.prediction_shares, len(counts))
            family.add_metric(list(self._labels), float(value))
        yield family

    def _watched(self) -> Metric:
        family = self._gauge("modelway_drift_features", "Features by whether drift is watched.", "state")
        for state, number in (("watched", len(self._rows)), ("left_out", self._layout.left_out)):
            family.add_metric([*self._labels, state], number)
        return family

    def _gauge(self, name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, text, labels=("model", "version", *labels))
