"""Counting over pods."""

from rollout_judge.counters import FORGET_SECONDS, Counters, Sample


def test_the_life_before_the_first_reading_is_left_out() -> None:
    counters = Counters()
    assert counters.increments([Sample("a", "ok", 1000.0)], 0.0, 30.0) == {"ok": 0.0}
    assert counters.increments([Sample("a", "ok", 1010.0)], 5.0, 30.0) == {"ok": 10.0}


def test_a_series_that_appears_later_began_at_zero() -> None:
    counters = Counters()
    counters.increments([Sample("a", "ok", 1000.0)], 0.0, 30.0)
    found = counters.increments([Sample("a", "ok", 1001.0), Sample("a", "failed", 3.0)], 5.0, 30.0)
    assert found == {"ok": 1.0, "failed": 3.0}


def test_a_counter_that_fell_began_again() -> None:
    counters = Counters()
    counters.increments([Sample("a", "ok", 1000.0)], 0.0, 0.0)
    assert counters.increments([Sample("a", "ok", 7.0)], 5.0, 0.0) == {"ok": 7.0}


def test_a_new_pod_counts_once_it_is_warm_and_only_what_came_since() -> None:
    counters = Counters()
    counters.increments([Sample("a", "ok", 0.0)], 0.0, 30.0)
    assert counters.increments([Sample("b", "ok", 4.0)], 10.0, 30.0) == {}
    assert counters.increments([Sample("b", "ok", 9.0)], 39.0, 30.0) == {}
    assert counters.increments([Sample("b", "ok", 20.0)], 40.0, 30.0) == {"ok": 11.0}


def test_a_pod_that_was_hidden_for_a_while_counts_what_came_meanwhile_and_no_more() -> None:
    counters = Counters()
    counters.increments([Sample("a", "ok", 500.0)], 0.0, 30.0)
    counters.increments([], 600.0, 30.0)
    assert counters.increments([Sample("a", "ok", 512.0)], 1200.0, 30.0) == {"ok": 12.0}


def test_a_pod_that_is_gone_is_forgotten() -> None:
    counters = Counters()
    counters.increments([Sample("a", "ok", 1.0)], 0.0, 30.0)
    counters.increments([], FORGET_SECONDS, 30.0)
    assert counters.pods == {}


def test_pods_are_summed() -> None:
    counters = Counters()
    counters.increments([Sample("a", "ok", 1.0), Sample("b", "ok", 1.0)], 0.0, 0.0)
    assert counters.increments([Sample("a", "ok", 2.0), Sample("b", "ok", 4.0)], 1.0, 0.0) == {"ok": 4.0}
