"""Feedback as whole trials and events of an experiment: each subject once, and only predictions that the split brought.

What `feedback.py` counts besides is of all predictions, pinned ones and a user's second and third among them.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter


class SubjectScores:
    """The counters. A version is the one that predicted, which need not be this server's."""

    def __init__(self, registry: CollectorRegistry, outcomes: Sequence[str], truths: bool) -> None:
        """`outcomes`: names that may be sent; `truths`: whether the model has classes, so that one may be wrong."""
        labels = ("model", "version")

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(f"modelway_feedback_{name}", text, (*labels, *more), registry=registry)

        self._names = tuple(outcomes)
        self._outcomes = counter("outcomes", "Subjects with an outcome of 0 or 1.", "outcome")
        self._failures = counter("outcome_failures", "Subjects with an outcome of 0.", "outcome")
        self._others = counter("outcome_others", "Subjects with an outcome that is neither 0 nor 1.", "outcome")
        self._truths = counter("truths", "Subjects with a truth.") if truths else None
        self._wrong = counter("wrong", "Subjects with a truth that is not what was predicted.") if truths else None

    def prepare(self, model: str, version: str) -> None:
        """Let every series of a version begin at zero."""
        for name in self._names:
            for counter in (self._outcomes, self._failures, self._others):
                counter.labels(model, version, name)
        for whole in (self._truths, self._wrong):
            if whole is not None:
                whole.labels(model, version)

    def truth(self, model: str, version: str, *, right: bool) -> None:
        """Count a subject's truth."""
        # Trials before events: a scrape between the two must not see more events than trials.
        if self._truths is not None and self._wrong is not None:
            self._truths.labels(model, version).inc()
            if not right:
                self._wrong.labels(model, version).inc()

    def outcome(self, model: str, version: str, name: str, value: float) -> None:
        """Count a subject's outcome."""
        if value not in (0, 1):
            self._others.labels(model, version, name).inc()
            return
        self._outcomes.labels(model, version, name).inc()
        if value == 0:
            self._failures.labels(model, version, name).inc()
