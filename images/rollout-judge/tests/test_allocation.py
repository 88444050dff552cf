"""Sample-ratio mismatch: few false alarms at 500 looks, and known power."""

import os

import numpy as np
import pytest
from rollout_judge.allocation import Allocation

FULL = os.environ.get("MODELWAY_TEST_COUNTS") == "full"
RUNS = 2000 if FULL else 200
LOG_LIMIT = np.log(100)


def first_alarm(weight: int, true_share: float, looks: int, draw: np.random.Generator) -> int:
    """Requests until the alarm of level 0.01, with a look every 100; 0 for none."""
    allocation = Allocation()
    for look in range(1, looks + 1):
        new = int(draw.binomial(100, true_share))
        allocation.add({"v1": 100 - weight, "v2": weight}, {"v1": 100 - new, "v2": new})
        if allocation.log_evidence() >= LOG_LIMIT:
            return look * 100
    return 0


def test_the_right_division_rarely_alarms() -> None:
    draw = np.random.default_rng(11)
    alarms = sum(first_alarm(10, 0.1, 500, draw) > 0 for _ in range(RUNS))
    assert alarms / RUNS <= 0.02


@pytest.mark.parametrize(("weight", "true_share", "requests"), [(10, 0.15, 800), (10, 0.12, 4000), (50, 0.52, 10_000)])
def test_a_wrong_division_is_found_within_known_requests(weight: int, true_share: float, requests: int) -> None:
    draw = np.random.default_rng(12)
    alarms = [first_alarm(weight, true_share, 400, draw) for _ in range(60)]
    assert all(alarms)
    assert np.median(alarms) <= requests


def test_evidence_adds_up_over_weights() -> None:
    once = Allocation()
    once.add({"v1": 90, "v2": 10}, {"v1": 880, "v2": 120})
    first = once.log_evidence()
    once.add({"v1": 50, "v2": 50}, {"v1": 500, "v2": 500})
    alone = Allocation()
    alone.add({"v1": 1, "v2": 1}, {"v1": 500, "v2": 500})
    assert once.log_evidence() == pytest.approx(first + alone.log_evidence())


def test_versions_without_weight_are_left_out() -> None:
    allocation = Allocation()
    allocation.add({"v1": 100, "v2": 0}, {"v1": 1000, "v2": 17, "v0": 3})
    assert allocation.log_evidence() == 0.0


def test_three_arms_are_watched_together() -> None:
    allocation = Allocation()
    allocation.add({"v1": 80, "v2": 10, "v3": 10}, {"v1": 8000, "v2": 1400, "v3": 600})
    assert allocation.log_evidence() > LOG_LIMIT


def test_a_restored_allocation_goes_on_with_the_same_evidence() -> None:
    whole, parts = Allocation(), Allocation()
    for weight in (10, 10, 50):
        counts = {"v1": 1000 - 10 * weight - 30, "v2": 10 * weight + 30}
        whole.add({"v1": 100 - weight, "v2": weight}, counts)
        parts = Allocation.restored(parts.state)
        parts.add({"v1": 100 - weight, "v2": weight}, counts)
    assert parts.log_evidence() == whole.log_evidence()


def lack(weight: int, true_share: float, looks: int, draw: np.random.Generator) -> float:
    """Largest log evidence in `looks` looks of 100 that the candidate has less than its share."""
    allocation, most = Allocation(lacking="v2"), 0.0
    for _ in range(looks):
        new = int(draw.binomial(100, true_share))
        allocation.add({"v1": 100 - weight, "v2": weight}, {"v1": 100 - new, "v2": new})
        most = max(most, allocation.log_evidence())
    return most


@pytest.mark.parametrize("true_share", [0.1, 0.2, 0.9])
def test_a_surplus_of_moved_users_is_no_mismatch(true_share: float) -> None:
    draw = np.random.default_rng(13)
    assert sum(lack(10, true_share, 500, draw) >= LOG_LIMIT for _ in range(RUNS)) / RUNS <= 0.02


def test_a_lack_of_users_is_found_even_after_a_surplus() -> None:
    draw = np.random.default_rng(14)
    assert lack(50, 0.45, 60, draw) > LOG_LIMIT
    allocation = Allocation(lacking="v2")
    allocation.add({"v1": 90, "v2": 10}, {"v1": 100, "v2": 900})
    assert allocation.log_evidence() == pytest.approx(-np.log(2))
    restored = Allocation.restored(allocation.state, "v2")
    restored.add({"v1": 50, "v2": 50}, {"v1": 2000, "v2": 1500})
    assert restored.log_evidence() > LOG_LIMIT
