"""The course of experiments in a simulated world: 50 requests per second, scrapes and looks every 5 seconds."""

import os

import numpy as np
import pytest
from rollout_judge import blocks, course, reading
from rollout_judge.course import Command
from rollout_judge.plan import Kind, Metric, Mode
from rollout_judge.state import MAXIMUM_POINTS, State, Status
from rollout_testing import VERSIONS, Version, World, plan, run

FULL = os.environ.get("MODELWAY_TEST_COUNTS") == "full"
GOAL_SECONDS = 60
BAD = {
    "10 % errors": Version(errors=0.1),
    "5 times slower": Version(slow=0.9),
    "constant benign": Version(classes={"benign": 1.0, "malignant": 0.0}),
    "constant malignant": Version(classes={"benign": 0.0, "malignant": 1.0}),
    "10 % never reach a pod": Version(unanswered=0.1),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("metric", [Kind.ERRORS, Kind.ACCURACY])
def test_a_bad_canary_at_weight_10_is_rolled_back_within_a_minute_whatever_the_metric(bad: str, metric: Kind) -> None:
    judged = plan(metrics=(Metric(kind=metric),))
    for seed in range(20 if FULL else 5):
        world = World({"v1": Version(), "v2": BAD[bad]}, seed=seed)
        state = run(world, judged, 2 * GOAL_SECONDS)
        assert state.status is Status.ROLLED_BACK
        assert state.seconds(world.time) <= GOAL_SECONDS
        assert [entry.event for entry in state.history] == ["started", "rolled back"]
        assert state.weights == {"v1": 100, "v2": 0}


def disturbed(seed: int, seconds: int) -> World:
    """Ten times, for 1 to 20 seconds, half of the answers of either version are errors and slow."""
    draw = np.random.default_rng(seed)
    starts = [int(draw.integers(seconds)) for _ in range(10)]
    bad = {second for start in starts for second in range(start, start + int(draw.integers(1, 21)))}
    return World(seed=seed, disturbed=0.5, disturbances=frozenset(bad))


def aborted(runs: int, seconds: int = 300) -> int:
    """Equal candidates that were rolled back, in a world with disturbances."""
    judged = plan(mode=Mode.GUARD, alpha=0.05)
    worlds = [disturbed(seed, seconds) for seed in range(runs)]
    return sum(run(world, judged, seconds).status is Status.ROLLED_BACK for world in worlds)


def test_disturbances_that_hit_both_versions_are_not_blamed_on_the_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = 200 if FULL else 10
    assert aborted(runs) <= 0.05 * runs
    # Look by look, and each pod as it was scraped last, the candidate is blamed.
    monkeypatch.setattr(blocks, "MAXIMUM_LOOKS", 1)
    monkeypatch.setattr(reading, "value_at", lambda values, _: float(values[-1][1]))
    assert aborted(10) >= 2


def test_equal_candidates_are_rarely_aborted_and_then_promoted() -> None:
    runs = 100 if FULL else 10
    judged = plan(alpha=0.05, metrics=(Metric(kind=Kind.ERRORS, margin=0.02),), maximum_seconds=3600.0)
    states = [run(World(seed=seed), judged, 1200) for seed in range(runs)]
    assert sum(state.status is Status.ROLLED_BACK for state in states) <= 0.05 * runs
    promoted = next(state for state in states if state.status is Status.PROMOTED)
    assert [entry.event for entry in promoted.history] == ["started", "step", "promoted"]
    assert promoted.weights == {"v1": 0, "v2": 100}
    assert all(state.sample_ratio.evidence < state.sample_ratio.enough for state in states)


def test_traffic_that_begins_in_the_middle_of_a_look_raises_no_sample_ratio_alarm() -> None:
    for seed in range(10):
        world = World(seed=seed, rate=0.0)
        state = run(world, plan(mode=Mode.GUARD), 40 + seed)
        world.rate = 200.0
        for _ in range(12):
            state = run(world, plan(mode=Mode.GUARD), 5, state=state)
            assert state.sample_ratio.evidence < state.sample_ratio.enough


@pytest.mark.parametrize("mode", Mode)
def test_each_mode_does_what_it_may_and_no_more(mode: Mode) -> None:
    bad = run(World({"v1": Version(), "v2": Version(errors=0.2)}), plan(mode=mode), 60)
    good = run(World(), plan(mode=mode, metrics=(Metric(kind=Kind.ERRORS, margin=0.05),)), 600)
    assert bad.status is (Status.RUNNING if mode is Mode.OBSERVE else Status.ROLLED_BACK)
    assert good.status is (Status.PROMOTED if mode is Mode.AUTOMATIC else Status.RUNNING)
    assert good.weights == ({"v1": 0, "v2": 100} if mode is Mode.AUTOMATIC else {"v1": 90, "v2": 10})
    held = [entry for entry in (bad if mode is Mode.OBSERVE else good).history if entry.event == "held"]
    assert len(held) == (0 if mode is Mode.AUTOMATIC else 1)


def test_without_data_nothing_starts_and_nothing_is_promoted() -> None:
    judged = plan(maximum_seconds=200.0)
    world = World(down=True)
    state = run(world, judged, 50)
    assert (state.exposed, state.weights) == (False, {"v1": 100, "v2": 0})
    assert state.verdict.reason == "Prometheus does not answer: ConnectError"
    world.down = False
    state = run(world, judged, 50, state=state)
    assert state.weights == {"v1": 90, "v2": 10}
    world.hidden = {"v1", "v2"}
    state = run(world, judged, 150, state=state)
    assert state.status is Status.ROLLED_BACK
    assert state.history[-1].reason == "the time of 200 s is over and v1 has 0 of 1 pods up in Prometheus"


def test_a_candidate_is_rolled_back_once_it_has_been_without_pods_for_a_minute_on_end() -> None:
    judged = plan(mode=Mode.GUARD)
    world = World()
    state = run(world, judged, 50)
    for _ in range(3):
        world.hidden = {"v2"}
        state = run(world, judged, 50, state=state)
        world.hidden = set()
        state = run(world, judged, 10, state=state)
    assert (state.status, state.absent_since) == (Status.RUNNING, None)
    world.hidden = {"v2"}
    state = run(world, judged, 70, state=state)
    assert (state.status, state.weights) == (Status.ROLLED_BACK, {"v1": 100, "v2": 0})
    assert state.history[-1].reason == "v2 has had no pod that is up for 60 s"


def test_what_was_counted_while_a_look_was_missing_is_not_lost() -> None:
    judged, world = plan(mode=Mode.OBSERVE), World()
    state = run(world, judged, 20)
    world.hidden = {"v1"}
    state = run(world, judged, 20, state=state)
    world.hidden = set()
    state = run(world, judged, 30, state=state)
    known = state.metrics["errors"]
    counted = (
        known.champion.trials + known.candidate.trials + known.block.champion.trials + known.block.candidate.trials
    )
    assert counted >= sum(world.requests.values()) - 50 * 12


def test_a_paused_experiment_keeps_its_weights_and_its_clock() -> None:
    judged, world = plan(maximum_seconds=200.0, metrics=(Metric(kind=Kind.ERRORS, margin=0.05),)), World()
    state = run(world, judged, 30)
    state = course.obey(state, judged, Command("1", "pause"), world.time)
    seconds = state.seconds(world.time)
    state = run(world, judged, 500, state=state)
    assert (state.status, state.weights) == (Status.PAUSED, {"v1": 90, "v2": 10})
    assert state.seconds(world.time) == seconds
    state = course.obey(state, judged, Command("2", "resume"), world.time)
    assert state.seconds(world.time + 1) == seconds + 1


def test_a_paused_experiment_is_still_rolled_back_for_harm() -> None:
    judged, world = plan(), World({"v1": Version(), "v2": Version(errors=0.2)})
    state = run(world, judged, 1)
    state = course.obey(state, judged, Command("1", "pause"), world.time)
    assert run(world, judged, 60, state=state).status is Status.ROLLED_BACK


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Command("1", "explode"), "there is no such command, allowed are promote, advance, rollback, pause, resume, "),
        (Command("1", "promote", "v9"), "the route has no version v9, allowed are v1, v2"),
        (Command("1", "resume"), "the experiment is running"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_and_recorded(command: Command, reason: str) -> None:
    judged, world = plan(), World()
    state = course.obey(run(world, judged, 1), judged, command, world.time)
    assert state.history[-1].event == "command"
    assert state.history[-1].reason.startswith(f"{command.command} was refused: {reason}")
    assert (state.status, state.weights) == (Status.RUNNING, {"v1": 90, "v2": 10})


def test_counts_that_span_a_change_of_weights_are_left_out_of_the_sample_ratio() -> None:
    judged, world = plan(mode=Mode.GUARD), World()
    state = run(world, judged, 120)
    assert state.sample_ratio.counts["v2"] > 0
    state = course.obey(state, judged, Command("1", "advance"), world.time)
    before = state.sample_ratio.counts
    state = run(world, judged, 10, state=state)
    assert state.sample_ratio.counts == before
    state = run(world, judged, 60, state=state)
    assert state.sample_ratio.shares == {"v1": 0.5, "v2": 0.5}
    assert state.sample_ratio.evidence < 1


def test_the_same_scrape_counts_once() -> None:
    judged, world = plan(), World()
    state = run(world, judged, 33)
    again = course.continued(state, judged, VERSIONS, world.time)
    for _ in range(3):
        again = run(world, judged, 0, state=again)
    assert again.metrics == state.metrics
    assert again.looks == state.looks


def test_the_document_is_read_back_as_it_was_written_and_stays_small() -> None:
    state = run(World(), plan(mode=Mode.OBSERVE), 5 * MAXIMUM_POINTS + 50)
    text = state.model_dump_json()
    assert State.from_json(text) == state
    assert len(state.series) <= MAXIMUM_POINTS
    assert len(text) < 200_000


def test_a_candidate_goes_on_once_its_predictions_have_stopped_to_drift() -> None:
    world, gated = World(drift=0.3), plan(drift_psi=0.2, drift_window="1h", step_seconds=10, minimum_trials=50)
    held = run(world, gated, 120)
    assert (held.step, held.drift) == (0, 0.3)
    lines = [entry.reason for entry in held.history if entry.event == "held"]
    assert lines == ["the predictions of v2 have drifted: PSI over 1h above 0.2"]
    world.drift = 0.1
    assert run(world, gated, 60, state=held).step == 1
