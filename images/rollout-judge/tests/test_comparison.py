"""The statistics of a rollout: exact where something exact can be compared, else simulated with fixed seeds."""

import os
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from rollout_judge.comparison import GRID, Comparison, Look, log_evidence_of_more, log_likelihoods
from scipy.stats import beta, nchypergeom_fisher, norm

FULL = os.environ.get("MODELWAY_TEST_COUNTS") == "full"
RUNS, LOOKS, REQUESTS = (2000 if FULL else 400), 500, 100
ALPHA = 0.05


def first_looks(
    champion: float,
    candidate: float,
    share: float,
    looks: int,
    runs: int,
    alphas: tuple[float, ...],
    requests: int = REQUESTS,
) -> dict[str, NDArray[np.int64]]:
    """Look at which each run rejects equality first (0: never), by this test and by a z-test repeated at each look."""
    draw = np.random.default_rng(7)
    likelihoods, counts = np.zeros((runs, len(GRID))), np.zeros((4, runs))
    found = {f"{name} {alpha}": np.zeros(runs, np.int64) for name in ("evidence", "z-test") for alpha in alphas}
    for look in range(1, looks + 1):
        new = draw.binomial(requests, share, runs)
        old = requests - new
        failed, failed_before = draw.binomial(new, candidate), draw.binomial(old, champion)
        some = failed + failed_before > 0
        likelihoods[some] += log_likelihoods(old[some], new[some], (failed + failed_before)[some], failed[some])
        counts += np.array([old, failed_before, new, failed])
        pooled = (counts[1] + counts[3]) / (counts[0] + counts[2])
        error = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(counts[0], 1) + 1 / np.maximum(counts[2], 1)))
        z = (counts[3] / np.maximum(counts[2], 1) - counts[1] / np.maximum(counts[0], 1)) / np.maximum(error, 1e-12)
        evidence = log_evidence_of_more(likelihoods)
        for alpha in alphas:
            for name, rejects in (("evidence", evidence >= -np.log(alpha)), ("z-test", z > norm.isf(alpha))):
                looks_of = found[f"{name} {alpha}"]
                looks_of[(looks_of == 0) & rejects] = look
    return found


def upper_bound(hits: int, runs: int) -> float:
    """Upper 95 % bound of a share (Clopper and Pearson)."""
    return float(beta.ppf(0.95, hits + 1, runs - hits))


def test_likelihoods_are_fishers_noncentral_hypergeometric_distribution() -> None:
    for champion, candidate, events in ((9, 1, 3), (1, 9, 3), (50, 50, 100), (20, 5, 25), (7, 7, 0)):
        for found in range(max(0, events - champion), min(events, candidate) + 1):
            mine = log_likelihoods(*(np.array([count]) for count in (champion, candidate, events, found)))[0]
            expected = nchypergeom_fisher.logpmf(found, champion + candidate, candidate, events, np.exp(GRID))
            assert mine == pytest.approx(expected, abs=1e-6)


def test_evidence_has_mean_one_under_equality_whatever_the_counts() -> None:
    for champion, candidate, events in ((9, 1, 3), (30, 10, 5), (3, 3, 6)):
        mean = 0.0
        for found in range(max(0, events - champion), min(events, candidate) + 1):
            evidence = Comparison().add(Look(champion, events - found, candidate, found)).evidence_of_more()
            mean += evidence * nchypergeom_fisher.pmf(found, champion + candidate, candidate, events, 1.0)
        assert mean == pytest.approx(1.0, abs=1e-9)


def test_looks_without_events_or_without_one_version_change_nothing() -> None:
    comparison = Comparison().add(Look(50, 3, 50, 9))
    before = comparison.state
    comparison.add(Look(1000, 0, 1000, 0)).add(Look(1000, 17, 0, 0)).add(Look(0, 0, 10, 10)).add(Look(5, 5, 5, 5))
    assert comparison.state == pytest.approx(before, abs=1e-9)


def test_more_in_one_is_fewer_in_the_other() -> None:
    one, other = Comparison().add(Look(100, 3, 40, 20)), Comparison().add(Look(40, 20, 100, 3))
    assert one.evidence_of_more() == pytest.approx(other.evidence_of_fewer())
    assert one.evidence_of_more() > 1000 > 1 > one.evidence_of_fewer()


def test_a_restored_comparison_goes_on_with_the_same_evidence() -> None:
    looks = [Look(90, failed, 10, more) for failed, more in product((0, 2), (0, 1, 4))]
    whole, parts = Comparison(), Comparison()
    for look in looks:
        whole.add(look)
        parts = Comparison(parts.state).add(look)
    assert parts.state == whole.state


def test_a_state_of_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="the state has another grid: got 3 values, allowed 57"):
        Comparison([0.0, 0.0, 0.0])


@pytest.mark.parametrize("counts", [(1, 2, 1, 0), (1, 0, 1, 2), (-1, 0, 1, 0)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="events are not between 0 and the trials"):
        Look(*counts)


def test_a_million_requests_in_one_look_are_no_trouble() -> None:
    comparison = Comparison().add(Look(900_000, 9_000, 100_000, 1_000))
    assert comparison.evidence_of_more() < 1
    assert comparison.odds_ratio(0.05)[0] < 1 < comparison.odds_ratio(0.05)[1] < 1.5


def test_bounds_of_the_odds_ratio_hold_the_true_one_at_every_look() -> None:
    draw, missed = np.random.default_rng(3), 0
    runs = 200 if FULL else 60
    for _ in range(runs):
        comparison, wrong = Comparison(), False
        for _ in range(60):
            new = int(draw.binomial(200, 0.3))
            look = Look(200 - new, int(draw.binomial(200 - new, 0.05)), new, int(draw.binomial(new, 0.136)))
            low, high = comparison.add(look).odds_ratio(ALPHA)
            wrong |= not low <= 2.99 <= high
        missed += wrong
    assert upper_bound(missed, runs) <= 2 * ALPHA


def test_equal_versions_are_rarely_told_apart_however_often_one_looks() -> None:
    found = first_looks(0.01, 0.01, 0.1, LOOKS, RUNS, (ALPHA, 0.01))
    for alpha in (ALPHA, 0.01):
        false_alarms = int(np.count_nonzero(found[f"evidence {alpha}"]))
        assert upper_bound(false_alarms, RUNS) <= alpha if FULL else false_alarms / RUNS <= alpha
        assert np.count_nonzero(found[f"z-test {alpha}"]) > 4 * alpha * RUNS


@pytest.mark.parametrize(("rate", "median"), [(0.02, 2000), (0.05, 600), (0.1, 300), (1.0, 40)])
def test_a_canary_at_weight_10_is_found_within_the_requests_that_the_readme_says(rate: float, median: int) -> None:
    found = first_looks(0.001, rate, 0.1, 500 if rate < 0.05 else 150, 200, (0.01,), requests=20)["evidence 0.01"]
    assert np.all(found)
    assert np.median(found) * 20 <= median
