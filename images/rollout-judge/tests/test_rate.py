"""Bounds of a rate."""

import os

import numpy as np
import pytest
from rollout_judge.rate import rate_bounds

FULL = os.environ.get("MODELWAY_TEST_COUNTS") == "full"


@pytest.mark.parametrize(
    ("events", "trials"), [(0, 0), (0, 1), (1, 1), (0, 10**6), (10**6, 10**6), (1, 10**6), (500, 1000)]
)
def test_bounds_enclose_what_was_seen(events: int, trials: int) -> None:
    low, high = rate_bounds(events, trials, 0.01)
    assert 0 <= low <= (events / trials if trials else 0.5) <= high <= 1


def test_nothing_seen_says_nothing() -> None:
    assert rate_bounds(0, 0, 0.01) == (0.0, 1.0)


def test_bounds_narrow_with_more_trials() -> None:
    widths = [high - low for low, high in (rate_bounds(n // 10, n, 0.01) for n in (100, 1000, 10_000, 100_000))]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.01


def test_no_errors_in_a_thousand_exclude_a_rate_of_two_percent() -> None:
    assert rate_bounds(0, 1000, 0.005)[1] < 0.02


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.5])
def test_bounds_hold_at_every_look(rate: float) -> None:
    draw, runs, missed = np.random.default_rng(5), 500 if FULL else 100, 0
    for _ in range(runs):
        events = np.cumsum(draw.binomial(50, rate, 40))
        bounds = [rate_bounds(int(count), 50 * number, 0.05) for number, count in enumerate(events, 1)]
        missed += any(not low <= rate <= high for low, high in bounds)
    assert missed / runs <= 0.06


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="events are not between 0 and the trials: got 2 of 1"):
        rate_bounds(2, 1, 0.01)
