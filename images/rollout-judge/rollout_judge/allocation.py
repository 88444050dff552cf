"""Watches whether traffic is divided as it was meant to be: a sample-ratio mismatch makes every comparison void.

With the arms' weights θ, counts of a look are multinomial. The mixture over a Dirichlet prior around θ against θ itself
has a closed form, is a martingale where the division is right, and may be watched at every look; stretches with other
weights are multiplied (Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import gammaln

CONCENTRATION = 100.0
"""Strength of the prior, as observations: mismatches of some points are found soonest (compared in the tests)."""


class Allocation:
    """Evidence that arms do not have the shares of their weights."""

    def __init__(self, closed_log_evidence: float = 0.0) -> None:
        """`closed_log_evidence`: of stretches with other weights."""
        self._closed = closed_log_evidence
        self._shares: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    @property
    def state(self) -> dict[str, Any]:
        """All that is known, as plain data."""
        return {"closed": self._closed, "shares": self._shares, "counts": self._counts}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Allocation":
        """Go on with what `state` gave."""
        found = cls(float(state["closed"]))
        found._shares, found._counts = dict(state["shares"]), dict(state["counts"])
        return found

    def add(self, weights: Mapping[str, int], counts: Mapping[str, int]) -> None:
        """Count requests of a look in which `weights` held; arms of weight 0 are left out."""
        total = sum(weights.values())
        shares = {arm: weight / total for arm, weight in sorted(weights.items()) if weight}
        if shares != self._shares:
            self._closed = self.log_evidence()
            self._shares, self._counts = shares, dict.fromkeys(shares, 0)
        for arm in shares:
            self._counts[arm] += counts.get(arm, 0)

    def log_evidence(self) -> float:
        """Log of the evidence against the right division (an e-process, 0 without any)."""
        if len(self._shares) < 2:
            return self._closed
        return self._closed + _stretch(list(self._shares.values()), [self._counts[arm] for arm in self._shares])


def _stretch(shares: Sequence[float], counts: Sequence[int]) -> float:
    share, count = np.asarray(shares), np.asarray(counts, np.float64)
    prior = CONCENTRATION * share
    mixture = gammaln(prior + count).sum() - gammaln((prior + count).sum())
    base = gammaln(prior).sum() - gammaln(prior.sum())
    return float(mixture - base - (count * np.log(share)).sum())
