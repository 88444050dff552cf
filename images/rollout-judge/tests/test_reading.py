"""What a look reads, and when it does not count."""

import pytest
from rollout_judge.counters import Sample
from rollout_judge.plan import Kind, Metric
from rollout_judge.reading import Reading, Source, read, value_at
from rollout_testing import SOURCE, World, plan

OUTCOME = plan(metrics=(Metric(kind=Kind.OUTCOME, name="converted"),))


def taken(world: World) -> Reading:
    return read(world, plan(), SOURCE, world.time)


def test_a_counter_between_two_scrapes_is_whole_and_grows_evenly() -> None:
    values = [(10.0, "100"), (15.0, "111"), (20.0, "3")]
    assert [value_at(values, moment) for moment in (9.9, 10.0, 12.5, 15.0, 17.0, 20.0, 99.0)] == [
        *(None, 100.0, 105.0, 111.0),
        *(111.0, 3.0, 3.0),  # it began again in between
    ]


def test_both_versions_are_read_at_one_moment_that_every_pod_has_passed() -> None:
    world = World()
    for _ in range(4):
        world.second({"v1": 50, "v2": 50})
    samples = taken(world).servers
    assert {sample.at for sample in samples} == {1_000_000.0}
    world.second({"v1": 50, "v2": 50})
    assert {sample.at for sample in taken(world).servers} == {1_000_003.0}


def test_the_times_of_scrapes_are_by_the_judges_clock() -> None:
    world = World()
    samples = read(world, plan(), SOURCE, world.time + 100.0).servers
    assert {sample.at for sample in samples} == {1_000_100.0}


def test_requests_without_an_answer_belong_to_the_version_of_their_cluster() -> None:
    world = World()
    world.lost["v2"] = 7.0
    world.lost_at = [(world.time, dict(world.lost))]
    name = "unanswered envoy_cluster_upstream_cx_none_healthy of httproute/models/m-split/rule/0/backend"
    assert taken(world).proxies == (
        Sample("proxy-0", f"v1 {name}/0", 0.0, world.time),
        Sample("proxy-0", f"v2 {name}/1", 7.0, world.time),
    )
    one = Source("m", "models", "gateway", ("v1",))
    assert read(world, plan(), one, world.time).proxies[1].series == f"- {name}/1"


def test_every_pod_of_both_versions_is_there_up_and_fresh_or_the_look_is_missing() -> None:
    world = World()
    assert taken(world).missing is None
    world.hidden = {"v2"}
    assert taken(world) == Reading(missing="v2 has 0 of 1 pods up in Prometheus", absent=True)
    world.hidden = {"v1", "v2"}
    assert taken(world) == Reading(missing="v1 has 0 of 1 pods up in Prometheus")
    world.hidden = set()
    world.time += 15.1
    assert taken(world).missing == "v1 has no fresh modelway_subjects_total of pod m-v1-0"
    world.down = True
    assert taken(world).missing == "Prometheus does not answer: ConnectError"


def test_a_version_without_pods_or_without_a_counter_is_named() -> None:
    world = World()
    del world.scraped["v2"][-1][1]["v2", "subject_slow", "0.1"]
    assert taken(world).missing == "v2 has no modelway_subject_slow_total of pod m-v2-0"
    del world.versions["v2"]
    assert taken(world) == Reading(missing="v2 has no pod in Prometheus", absent=True)


@pytest.mark.parametrize(
    ("others", "missing"),
    [(0, None), (1, "the outcome converted has values other than 0 and 1, so that it counts nothing")],
)
def test_an_outcome_that_is_not_0_or_1_counts_nothing(others: int, missing: str | None) -> None:
    world = World()
    world.scraped["v1"][-1][1]["v1", "feedback_outcome_others", "converted"] = float(others)
    assert read(world, OUTCOME, SOURCE, world.time).missing == missing


def test_the_drift_of_the_candidate_is_read_where_the_plan_asks_for_it() -> None:
    world, gated = World(drift=0.3), plan(drift_psi=0.2, drift_window="1h")
    assert taken(world).drift is None
    assert read(world, gated, SOURCE, world.time).drift == 0.3
    for nothing in (None, float("nan")):
        world.drift = nothing
        found = read(world, gated, SOURCE, world.time)
        assert (found.drift, found.missing) == (None, None)
