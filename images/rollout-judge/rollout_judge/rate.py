"""Bounds of a rate that hold at all looks together.

For a constant rate p, the Beta-binomial mixture over Jeffreys' prior against p is a martingale; the rates that it does
not refute are a confidence sequence (Robbins, Annals of Mathematical Statistics 41, 1970; Howard, Ramdas, McAuliffe and
Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49, 2021).
"""

from math import log

from scipy.optimize import brentq
from scipy.special import betaln, xlog1py, xlogy

_PRIOR = 0.5
_EDGE = 1e-12


def rate_bounds(events: int, trials: int, alpha: float) -> tuple[float, float]:
    """Lower and upper bound of the rate of `events` in `trials`, wrong at any look with probability at most `alpha`."""
    if not 0 <= events <= trials:
        raise ValueError(f"events are not between 0 and the trials: got {events} of {trials}")
    mixture = betaln(_PRIOR + events, _PRIOR + trials - events) - betaln(_PRIOR, _PRIOR)

    def beyond(rate: float) -> float:
        return float(mixture - xlogy(events, rate) - xlog1py(trials - events, -rate) + log(alpha))

    middle = events / trials if trials else 0.5
    low, high = max(middle, _EDGE), min(middle, 1 - _EDGE)
    lower = brentq(beyond, _EDGE, low) if beyond(_EDGE) > 0 > beyond(low) else 0.0
    upper = brentq(beyond, high, 1 - _EDGE) if beyond(1 - _EDGE) > 0 > beyond(high) else 1.0
    return lower, upper
