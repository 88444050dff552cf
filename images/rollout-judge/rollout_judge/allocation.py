"""Watches whether traffic is divided as it was meant to be: a sample-ratio mismatch makes every comparison void.

With the arms' weights θ, counts of a look are multinomial. The mixture over a Dirichlet prior around θ against θ itself
has a closed form, is a martingale where the division is right, and may be watched at every look; stretches with other
weights are multiplied (Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022).

Where users keep their version and each counts once, those that a step moves are new to the candidate while the others
were counted before: the candidate's share of new ones lies anywhere above its weight. There only less than its share is
a mismatch. The mixture is then over smaller shares alone, whose ratio to the weight's own has a mean of at most 1 under
every larger one (monotone likelihood ratio), and half is never bet, so that such a surplus does not hide a later lack.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import betainc, betaln, gammaln

CONCENTRATION = 100.0
"""Strength of the prior, as observations: mismatches of some points are found soonest (compared in the tests)."""


class Allocation:
    """Evidence that arms do not have the shares of their weights."""

    def __init__(self, closed_log_evidence: float = 0.0, lacking: str | None = None) -> None:
        """`closed_log_evidence`: of stretches with other weights; `lacking`: the arm whose lack alone is a mismatch."""
        self._closed = closed_log_evidence
        self._lacking = lacking
        self._shares: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    @property
    def state(self) -> dict[str, Any]:
        """All that is known, as plain data."""
        return {"closed": self._closed, "shares": self._shares, "counts": self._counts}

    @classmethod
    def restored(cls, state: Mapping[str, Any], lacking: str | None = None) -> "Allocation":
        """Go on with what `state` gave."""
        found = cls(float(state["closed"]), lacking)
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
        if self._lacking is not None:
            total, share = sum(self._counts.values()), self._shares.get(self._lacking, 0.0)
            return self._closed + (_lack(share, self._counts[self._lacking], total) if share else 0.0)
        return self._closed + _stretch(list(self._shares.values()), [self._counts[arm] for arm in self._shares])


def _stretch(shares: Sequence[float], counts: Sequence[int]) -> float:
    share, count = np.asarray(shares), np.asarray(counts, np.float64)
    prior = CONCENTRATION * share
    mixture = gammaln(prior + count).sum() - gammaln((prior + count).sum())
    base = gammaln(prior).sum() - gammaln(prior.sum())
    return float(mixture - base - (count * np.log(share)).sum())


def _lack(share: float, count: int, total: int) -> float:
    prior, posterior = (CONCENTRATION * share, CONCENTRATION * (1 - share)), (count, total - count)
    found = (prior[0] + posterior[0], prior[1] + posterior[1])
    below = betainc(*found, share) / betainc(*prior, share)
    if below <= 0:
        return float(-np.log(2))
    mixture = betaln(*found) - betaln(*prior) + np.log(below)
    base = count * np.log(share) + posterior[1] * np.log1p(-share)
    return float(np.logaddexp(0.0, mixture - base) - np.log(2))
