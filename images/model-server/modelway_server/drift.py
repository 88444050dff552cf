"""Watches whether live traffic still looks like the rows that the model was trained on.

The hot path copies a row into a ring; now and then the ring is counted into the bins that packaging wrote to
`reference.json`. Counters add up over workers, replicas and restarts; `drift_window` and recording rules compare them
with the reference over a window.

PSI, the population stability index, is Σ (a − e) · ln(a / e) over the bins, with the shares a of live rows and e of the
reference. It is Jeffreys' divergence (Jeffreys 1946; Kullback and Leibler 1951), named so in credit scoring, where
Siddiqi (Credit Risk Scorecards, 2006) reads below 0.1 as no change, 0.1 to 0.25 as some, above 0.25 as a change to act
upon: rules of thumb, no significance levels. Under no change, PSI of n live and m reference rows over B bins is
about (1/n + 1/m) · χ² with B − 1 degrees of freedom (Yurdakul, Statistical Properties of Population Stability Index,
2018). `MINIMUM_ROWS` and the pipeline's 40 reference rows per bin keep its 99th percentile below 0.1.

KS, the Kolmogorov-Smirnov statistic, is the largest distance between the two cumulative distributions (Smirnov 1948),
here at the edges of the bins, which is at most what all values would give.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Metric
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from modelway_server.artifact import MAX_DOCUMENT_BYTES, REBUILD, read_file
from modelway_server.runtimes.base import Output, Rows
from modelway_server.signature import ClassLabel, Manifest, Signature
from modelway_server.startup import StartupError, sentence

REFERENCE = "reference.json"
MINIMUM_ROWS = 500
"""Fewer rows in a window say nothing: no value is shown rather than a wrong one."""
SMOOTHING_ROWS = 0.5
"""Added to each bin of both sides, so that an empty bin makes PSI large and not infinite (Jeffreys' prior)."""
MAXIMUM_FEATURES = 100
"""Features that are watched, the first of the signature: each has up to 13 bins, with two series per bin and pod."""
MISSING, OTHER = "missing", "(other)"

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]
Bin = Annotated[int, Field(ge=0)]
Edge = Annotated[float, Field(allow_inf_nan=False)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bins(_Document):
    """Distribution of numbers. Without edges there were too few rows to compare with, and nothing is watched."""

    edges: Annotated[tuple[Edge, ...], Field(max_length=20)]
    """Inner edges, ascending; a value on an edge belongs above it."""
    counts: Annotated[tuple[Bin, ...], Field(max_length=21)]
    """Reference rows below the first edge, between two, and from the last on."""
    missing: Bin
    """Reference rows without a value."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Bins":
        if len(self.counts) != len(self.edges) + 1 or any(np.diff(self.edges) <= 0):
            raise ValueError("edges should ascend, with one count more than edges")
        if not self.missing + sum(self.counts):
            raise ValueError("there is no row")
        return self


class Classes(_Document):
    """Distribution of predicted classes. Without classes there were too few rows to compare with."""

    classes: Annotated[tuple[ClassLabel, ...], Field(max_length=20)]
    """Classes with a bin of their own; the rarest may share one bin."""
    counts: Annotated[tuple[Bin, ...], Field(max_length=21)]
    """Reference rows per class, then of all other classes."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Classes":
        if len(self.counts) != len(self.classes) + 1 or not sum(self.counts):
            raise ValueError("there should be one count more than classes, and a row")
        return self


def _kind_of_prediction(document: Any) -> str:
    return (
        "classes"
        if isinstance(document, Classes) or (isinstance(document, dict) and "classes" in document)
        else "numbers"
    )


class Reference(_Document):
    """What `reference.json` says: training rows per feature, predictions on the held-out rows."""

    format: Literal[1]
    """Version of this document's shape."""
    features: dict[str, Bins]
    """By name, in the order of the signature."""
    prediction: Annotated[
        Annotated[Bins, Tag("numbers")] | Annotated[Classes, Tag("classes")], Discriminator(_kind_of_prediction)
    ]
    """Values of a regression, or classes."""


def read_reference(directory: Path, manifest: Manifest, signature: Signature) -> Reference | None:
    """The reference of an artifact, None if it was packaged without one; raises `StartupError` when it does not fit."""
    if REFERENCE not in manifest.files:
        return None
    content = read_file(directory, REFERENCE, manifest, MAX_DOCUMENT_BYTES)
    try:
        reference = Reference.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StartupError(_refusal(f"{REFERENCE} {where}", first["msg"], "format 1")) from None
    names = [feature.name for feature in signature.features]
    if list(reference.features) != names:
        raise StartupError(_refusal(f"{REFERENCE} features", repr(list(reference.features)[:10]), "the signature's"))
    if isinstance(reference.prediction, Classes) != (signature.classes is not None):
        raise StartupError(_refusal(f"{REFERENCE} prediction", "another task", signature.task))
    return reference


def _refusal(where: str, got: str, allowed: str) -> str:
    return sentence(where, "is not as agreed", got, allowed, REBUILD)


class Layout:
    """The bins of a reference as arrays. A row per feature, padded to the longest; the last column is for missing."""

    def __init__(self, reference: Reference) -> None:
        bins = list(reference.features.values())[:MAXIMUM_FEATURES]
        self.width = len(bins)
        """Columns of the model's input that are looked at."""
        self.left_out = len(reference.features) - sum(bool(item.edges) for item in bins)
        """Features that are not watched: beyond the limit, or with too few reference rows."""
        longest = max((len(item.edges) for item in bins), default=0)
        # Nothing is at or above NaN: padding stays empty.
        self.edges = np.full((self.width, longest), np.nan)
        self.shares = np.zeros((self.width, longest + 2))
        self.features: dict[str, int] = {}
        """Row by name of each feature that is watched."""
        self.columns: dict[str, dict[str, int]] = {}
        """Per feature that is watched: column by name of the bin."""
        for row, (name, item) in enumerate(zip(reference.features, bins, strict=False)):
            if item.edges:
                self.features[name] = row
                self.columns[name] = bin_names(len(item.counts)) | {MISSING: longest + 1}
                self.edges[row, : len(item.edges)] = item.edges
                self.shares[row, : len(item.counts)] = item.counts
                self.shares[row, -1] = item.missing
                self.shares[row] /= self.shares[row].sum()
        self.predictions, self.prediction_shares, self._find = _prediction_layout(reference.prediction)

    def count(self, rows: Rows) -> Counts:
        """Rows per feature and bin, `[features, bins]`, of `rows` with `width` columns."""
        columns = np.ascontiguousarray(rows.T)
        reached = np.empty((self.width, self.edges.shape[1] + 2), np.int64)
        missing = np.count_nonzero(np.isnan(columns), axis=1)
        reached[:, 0] = len(rows) - missing
        for edge in range(self.edges.shape[1]):
            reached[:, edge + 1] = np.count_nonzero(columns >= self.edges[:, edge, None], axis=1)
        reached[:, -1] = 0
        counts = np.zeros((self.width, self.edges.shape[1] + 2), np.int64)
        counts[:, :-1] = reached[:, :-1] - reached[:, 1:]
        counts[:, -1] = missing
        return counts

    def count_predictions(self, predictions: Sequence[Any]) -> Counts:
        """Rows per bin of predictions, in the order of the names in `predictions`."""
        if isinstance(self._find, dict):
            other = len(self.predictions) - 1
            found = [self._find.get(value, other) for value in predictions]
        else:
            values = np.asarray(predictions, dtype=np.float64)
            found = np.searchsorted(self._find, values[~np.isnan(values)], side="right").tolist()
        return np.bincount(np.asarray(found, np.int64), minlength=len(self.predictions))


def bin_names(bins: int) -> dict[str, int]:
    """Names of bins of numbers, in the order of the values, also when they are sorted as text: `00`, `01`, …"""
    return {f"{index:02d}": index for index in range(bins)}


def _prediction_layout(
    prediction: Bins | Classes,
) -> tuple[tuple[str, ...], Shares, dict[ClassLabel, int] | NDArray[np.float64]]:
    """Names of the bins (none if nothing is watched), reference shares, and what finds a prediction's bin."""
    shares = np.asarray(prediction.counts, np.float64)
    shares /= max(shares.sum(), 1.0)
    if isinstance(prediction, Bins):
        names = tuple(bin_names(len(prediction.counts))) if prediction.edges else ()
        return names, shares[: len(names)], np.asarray(prediction.edges)
    names = (*map(str, prediction.classes), OTHER) if prediction.classes else ()
    return names, shares[: len(names)], {label: index for index, label in enumerate(prediction.classes)}


def psi(counts: Counts, shares: Shares, bins: Counts | int) -> Shares:
    """PSI along the last axis of live `counts` against reference `shares`; `bins` is how many of them are no padding.

    The reference is smoothed as if it had as many rows as the window: equal shares give exactly 0.
    """
    rows = counts.sum(axis=-1)
    expected = shares * np.expand_dims(rows, -1)
    ratio = (counts + SMOOTHING_ROWS) / (expected + SMOOTHING_ROWS)
    result: Shares = ((counts - expected) * np.log(ratio)).sum(axis=-1) / (rows + SMOOTHING_ROWS * bins)
    return result


def ks(counts: Counts, shares: Shares) -> Shares:
    """KS along the last axis of live `counts` against reference `shares`; missing values count as the largest."""
    rows = np.expand_dims(counts.sum(axis=-1), -1)
    distance = np.cumsum(counts / np.maximum(rows, 1) - shares, axis=-1)
    result: Shares = np.abs(distance).max(axis=-1)
    return result


class _Ring:
    def __init__(self, rows: int, features: int) -> None:
        self.rows = np.empty((rows, features), np.float32)
        self.predictions: list[Any] = [None] * rows
        self.filled = 0


class DriftMonitor:
    """Counts the live rows of one worker into bins. Thread-safe.

    Two rings of `ring_rows` rows are all the memory it takes. Rows that come while the ring is full, until the next
    `flush`, are not looked at: shares are estimated from a sample then.
    """

    def __init__(
        self, reference: Reference, registry: CollectorRegistry, labels: tuple[str, str], ring_rows: int = 4096
    ) -> None:
        """`labels`: model and version."""
        self.layout = layout = Layout(reference)
        self._width = layout.width
        self._capacity = ring_rows
        self._ring, self._spare = _Ring(ring_rows, layout.width), _Ring(ring_rows, layout.width)
        self._adding, self._flushing = threading.Lock(), threading.Lock()
        names = ("model", "version")
        self._by_feature = Counter(
            "modelway_feature_bin", "Rows by feature and bin.", (*names, "feature", "bin"), registry=registry
        )
        self._by_prediction = Counter(
            "modelway_prediction_bin", "Rows by bin of the prediction.", (*names, "bin"), registry=registry
        )
        # Every known series exists from the start: a rate over a series that appears with its first event loses it.
        self._feature_bins = [
            (layout.features[feature], column, self._by_feature.labels(*labels, feature, name))
            for feature, columns in layout.columns.items()
            for name, column in columns.items()
        ]
        self._prediction_bins = [self._by_prediction.labels(*labels, name) for name in layout.predictions]

    def add(self, rows: Rows, output: Output) -> None:
        """Keep `rows`, `[rows, features]`, and their predictions until the next `flush`."""
        predictions, count = output.prediction, len(rows)
        with self._adding:
            ring = self._ring
            start = ring.filled
            free = self._capacity - start
            if count == 1 and free:
                ring.rows[start] = rows[0, : self._width]
                ring.predictions[start] = predictions[0]
                ring.filled = start + 1
                return
            if count > free:
                if not free:
                    return
                # Evenly, since the rows of one request may be sorted.
                step = -(-count // free)
                rows, predictions = rows[::step], predictions[::step]
                count = len(rows)
            end = start + count
            ring.rows[start:end] = rows[:, : self._width]
            ring.predictions[start:end] = predictions
            ring.filled = end

    def flush(self) -> None:
        """Count what was added since the last time; about 1 ms for a full ring of 30 features."""
        with self._flushing:
            with self._adding:
                full, self._ring = self._ring, self._spare
            if full.filled:
                counts = self.layout.count(full.rows[: full.filled])
                for row, column, counter in self._feature_bins:
                    if counts[row, column]:
                        counter.inc(int(counts[row, column]))
                if self._prediction_bins:
                    found = self.layout.count_predictions(full.predictions[: full.filled]).tolist()
                    for counter, number in zip(self._prediction_bins, found, strict=True):
                        counter.inc(number)
            full.filled = 0
            self._spare = full

    def collect(self) -> Iterator[Metric]:
        """The counters alone, for `drift_window.DriftWindow` in a server of one process."""
        yield from self._by_feature.collect()
        yield from self._by_prediction.collect()
