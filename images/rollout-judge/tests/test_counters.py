"""Counting over pods."""

from rollout_judge.counters import FORGET_SECONDS, Counters, Sample


def sample(pod: str, series: str, value: float, at: float = 0.0) -> Sample:
    return Sample(pod, series, value, at)


def test_the_life_before_the_first_reading_is_left_out() -> None:
    counters = Counters()
    assert counters.increments([sample("a", "ok", 1000.0)], 0.0, 30.0).warm == {"ok": 0}
    assert counters.increments([sample("a", "ok", 1010.0)], 5.0, 30.0).warm == {"ok": 10}


def test_a_series_that_appears_later_began_at_zero() -> None:
    counters = Counters()
    counters.increments([sample("a", "ok", 1000.0)], 0.0, 30.0)
    found = counters.increments([sample("a", "ok", 1001.0), sample("a", "failed", 3.0)], 5.0, 30.0)
    assert found.warm == {"ok": 1, "failed": 3}


def test_a_counter_that_fell_began_again() -> None:
    counters = Counters()
    counters.increments([sample("a", "ok", 1000.0)], 0.0, 0.0)
    assert counters.increments([sample("a", "ok", 7.0)], 5.0, 0.0).warm == {"ok": 7}


def test_a_new_pod_is_compared_once_it_is_warm_and_only_by_what_came_since() -> None:
    counters = Counters()
    counters.increments([sample("a", "ok", 0.0)], 0.0, 30.0)
    assert counters.increments([sample("b", "ok", 4.0)], 10.0, 30.0).warm == {}
    assert counters.increments([sample("b", "ok", 9.0)], 39.0, 30.0).warm == {}
    assert counters.increments([sample("b", "ok", 20.0)], 40.0, 30.0).warm == {"ok": 11}


def test_a_cold_pod_counts_where_only_the_number_of_requests_matters() -> None:
    counters = Counters()
    counters.increments([sample("a", "ok", 0.0)], 0.0, 30.0)
    assert counters.increments([sample("b", "ok", 4.0)], 10.0, 30.0).all == {"ok": 4}


def test_a_pod_that_was_hidden_for_a_while_counts_what_came_meanwhile_and_no_more() -> None:
    counters = Counters()
    counters.increments([sample("a", "ok", 500.0)], 0.0, 30.0)
    counters.increments([], 600.0, 30.0)
    assert counters.increments([sample("a", "ok", 512.0)], 1200.0, 30.0).warm == {"ok": 12}


def test_increments_say_from_which_scrape_they_count() -> None:
    counters = Counters()
    counters.increments([sample("a", "ok", 1.0, 8.0), sample("b", "ok", 1.0, 6.0)], 10.0, 0.0)
    found = counters.increments([sample("a", "ok", 2.0, 13.0), sample("b", "ok", 1.0, 11.0)], 15.0, 0.0)
    assert found.since == 6.0
    assert counters.increments([sample("a", "ok", 3.0, 18.0)], 20.0, 0.0).since == 13.0


def test_a_pod_that_is_gone_is_forgotten() -> None:
    counters = Counters()
    counters.increments([sample("a", "ok", 1.0)], 0.0, 30.0)
    counters.increments([], FORGET_SECONDS, 30.0)
    assert counters.pods == {}


def test_pods_are_summed() -> None:
    counters = Counters()
    counters.increments([sample("a", "ok", 1.0), sample("b", "ok", 1.0)], 0.0, 0.0)
    assert counters.increments([sample("a", "ok", 2.0), sample("b", "ok", 4.0)], 1.0, 0.0).warm == {"ok": 4}
