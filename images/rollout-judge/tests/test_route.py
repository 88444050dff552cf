"""The split route with other weights."""

import copy

import pytest
from rollout_judge.route import RouteError, baseline, contains, fitted, versions_of, weighted
from rollout_testing import ROUTE, plan


def test_only_weights_differ_and_only_the_rules_are_applied() -> None:
    before = copy.deepcopy(ROUTE)
    found = weighted(ROUTE, "m", {"v1": 90, "v2": 10})
    assert before == ROUTE
    assert [one["weight"] for one in found["spec"]["rules"][0]["backendRefs"]] == [90, 10]
    for backend, weight in zip(found["spec"]["rules"][0]["backendRefs"], (100, 0), strict=True):
        backend["weight"] = weight
    assert found == ROUTE


@pytest.mark.parametrize(
    ("weights", "applied"),
    [
        ({"v1": 100, "v2": 0}, [("m-v1", 99), ("m-v1", 1)]),
        ({"v1": 0, "v2": 100}, [("m-v2", 1), ("m-v2", 99)]),
        ({"v1": 90, "v2": 10}, [("m-v1", 90), ("m-v2", 10)]),
    ],
)
def test_no_weight_is_0_and_nobody_without_a_share_is_asked(
    weights: dict[str, int], applied: list[tuple[str, int]]
) -> None:
    rules = weighted(ROUTE, "m", weights)["spec"]["rules"]
    assert [(one["name"], one["weight"]) for one in rules[0]["backendRefs"]] == applied


def test_versions_are_the_backends_in_their_order() -> None:
    assert versions_of(ROUTE, "m") == ["v1", "v2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": {"rules": []}}, "every rule should have the same versions"),
        ({"spec": {"rules": [{"backendRefs": [{"name": "other-v1"}]}]}}, "a backend is no version of m: got other-v1"),
        (
            {"spec": {"rules": [{"backendRefs": [{"name": "m-v1"}]}, {"backendRefs": [{"name": "m-v2"}]}]}},
            "every rule should have the same versions",
        ),
    ],
)
def test_a_route_without_versions_of_the_model_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(RouteError, match=message):
        versions_of({**ROUTE, **change}, "m")


def test_weights_follow_the_versions_of_the_route() -> None:
    assert fitted({"v1": 90, "v2": 10}, ["v1", "v2", "v3"], "v1") == {"v1": 90, "v2": 10, "v3": 0}
    assert fitted({"v1": 50, "v2": 20, "v0": 30}, ["v1", "v2"], "v1") == {"v1": 80, "v2": 20}
    assert baseline(plan(), ["v0", "v1", "v2"]) == {"v0": 0, "v1": 100, "v2": 0}


def test_what_the_server_fills_in_is_no_difference() -> None:
    wanted = ROUTE["spec"]["rules"]
    filled = copy.deepcopy(wanted)
    filled[0]["name"] = "first"
    assert contains(filled, wanted)
    assert not contains(wanted, filled)
    filled[0]["backendRefs"].pop()
    assert not contains(filled, wanted)
    assert not contains(None, wanted)
