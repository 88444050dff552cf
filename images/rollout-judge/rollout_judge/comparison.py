"""Compares how often something happens to two versions, by a test that stays valid however often one looks.

A look is what was counted since the one before: requests (or users) and events, such as errors, per version. Given how
many requests each version had and how many events there were in all, equal versions leave the candidate's events to the
hypergeometric distribution, and a candidate whose odds are ψ times the champion's to Fisher's noncentral one. The ratio
of both likelihoods has mean 1 under equality for every look, so its product over looks is a martingale, and so is any
mixture of such products over ψ. By Ville's inequality it exceeds 1/α with probability at most α, ever: looking does no
harm (Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional
stopping", Journal of Statistical Planning and Inference 230, 2024; the mixture as in Robbins, "Statistical methods
related to the law of the iterated logarithm", Annals of Mathematical Statistics 41, 1970).

How often events happen may differ from look to look, with the hour or with the load, as long as it is the same for
both; shares of traffic may change between looks. What is counted must be independent: several requests of one user
with one fate are not, so with a sticky split users are counted, not requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

GRID = np.arange(-28, 29) / 4.0
"""Logarithms of the odds ratios that are mixed, all weighted alike: from a thousandth to a thousand."""
_EQUAL = len(GRID) // 2


@dataclass(frozen=True)
class Look:
    """What was counted since the look before."""

    champion_trials: int
    champion_events: int
    candidate_trials: int
    candidate_events: int

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        for trials, events in (
            (self.champion_trials, self.champion_events),
            (self.candidate_trials, self.candidate_events),
        ):
            if not 0 <= events <= trials:
                raise ValueError(f"events are not between 0 and the trials: got {events} of {trials}")


def log_likelihoods(champion: Counts, candidate: Counts, events: Counts, found: Counts) -> Floats:
    """Log-likelihood of each odds ratio of `GRID`, shape `[looks, grid]`.

    Per look: trials of the champion, trials of the candidate, events in all, events of the candidate.
    """
    most = int(events.max(initial=0))
    size = np.arange(most + 1)
    possible = (size <= np.minimum(candidate, events)[:, None]) & (size >= (events - champion)[:, None])
    ways = np.where(
        possible,
        _log_choose(candidate[:, None], size) + _log_choose(champion[:, None], events[:, None] - size),
        -np.inf,
    )
    all_ways = logsumexp(ways[:, None, :] + GRID[:, None] * size, axis=2)
    here = np.take_along_axis(ways, found[:, None], axis=1)
    result: Floats = here + GRID * found[:, None] - all_ways
    return result


def _log_choose(total: Counts, chosen: Counts) -> Floats:
    valid = (chosen >= 0) & (chosen <= total)
    kept = np.where(valid, chosen, 0)
    result: Floats = gammaln(total + 1.0) - gammaln(kept + 1.0) - gammaln(total - kept + 1.0)
    return np.where(valid, result, -np.inf)


def _log_mixture(likelihoods: Floats, against: Floats) -> Floats:
    """Log of the mean, over the last axis, of the likelihood ratios of `likelihoods` to `against`."""
    result: Floats = logsumexp(likelihoods, axis=-1) - np.log(likelihoods.shape[-1]) - against
    return result


def log_evidence_of_more(likelihoods: Floats) -> Floats:
    """Log of the evidence that the candidate has more events, from summed `log_likelihoods`; last axis the grid."""
    return _log_mixture(likelihoods[..., _EQUAL + 1 :], likelihoods[..., _EQUAL])


class Comparison:
    """Evidence about one kind of event, look after look."""

    def __init__(self, likelihoods: Sequence[float] = (0.0,) * len(GRID)) -> None:
        """`likelihoods`: what `state` gave, to go on with the same evidence."""
        if len(likelihoods) != len(GRID):
            raise ValueError(f"the state has another grid: got {len(likelihoods)} values, allowed {len(GRID)}")
        self._likelihoods = np.asarray(likelihoods, np.float64)

    @property
    def state(self) -> list[float]:
        """All that is known."""
        found: list[float] = self._likelihoods.tolist()
        return found

    def add(self, look: Look) -> Self:
        """Take one more look into account; one without an event says nothing of the ratio and changes nothing."""
        events = look.champion_events + look.candidate_events
        arrays = (
            np.array([count]) for count in (look.champion_trials, look.candidate_trials, events, look.candidate_events)
        )
        self._likelihoods = self._likelihoods + log_likelihoods(*arrays)[0]
        return self

    def evidence_of_more(self) -> float:
        """Evidence (an e-process, 1 without any) that the candidate has more events; 1/α or more rejects at level α."""
        return _exp(log_evidence_of_more(self._likelihoods))

    def evidence_of_fewer(self) -> float:
        """Evidence that the candidate has fewer events."""
        return _exp(_log_mixture(self._likelihoods[:_EQUAL], self._likelihoods[_EQUAL]))

    def odds_ratio(self, alpha: float) -> tuple[float, float]:
        """Confidence sequence: bounds that hold at all looks together with probability 1 − `alpha`.

        Rounded outwards to the grid; 0 and infinity where the data say nothing.
        """
        kept = np.flatnonzero(_log_mixture(self._likelihoods, self._likelihoods[:, None]).ravel() < -np.log(alpha))
        first, last = max(int(kept[0]) - 1, 0), min(int(kept[-1]) + 1, len(GRID) - 1)
        lower = 0.0 if first == 0 else float(np.exp(GRID[first]))
        upper = float("inf") if last == len(GRID) - 1 else float(np.exp(GRID[last]))
        return lower, upper


def _exp(value: Floats) -> float:
    return float(np.exp(np.minimum(value, 700.0)))
