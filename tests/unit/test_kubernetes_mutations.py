"""The checks have teeth: whatever is taken away from a Kubernetes object or weakened, at least one of them misses it."""

import os
from collections.abc import Callable
from functools import cache

import pytest

from tests.unit import (
    k8s_chart_checks,
    k8s_checks,
    k8s_edge_checks,
    k8s_fetch_checks,
    k8s_gateway_checks,
    k8s_grafana_checks,
    k8s_log_checks,
    k8s_mutants,
    k8s_operator_checks,
    k8s_policy_checks,
    k8s_rollout_checks,
    k8s_scaling_checks,
    k8s_sending_checks,
    k8s_trace_checks,
)
from tests.unit.cloud_mutants import removals
from tests.unit.k8s_checks import Manifest, Objects
from tests.unit.k8s_objects import chart_values, sets

CHECKS: tuple[Callable[[Objects], None], ...] = (
    *k8s_checks.CHECKS,
    *k8s_edge_checks.CHECKS,
    *k8s_fetch_checks.CHECKS,
    *k8s_gateway_checks.CHECKS,
    *k8s_grafana_checks.CHECKS,
    *k8s_log_checks.CHECKS,
    *k8s_operator_checks.CHECKS,
    *k8s_policy_checks.CHECKS,
    *k8s_rollout_checks.CHECKS,
    *k8s_scaling_checks.CHECKS,
    *k8s_sending_checks.CHECKS,
    *k8s_trace_checks.CHECKS,
)
FULL = os.environ.get("MODELWAY_TEST_COUNTS") == "full"
MINIMUM = 20_000 if FULL else 15_000
"""Mutants of all sets together; fewer would mean that a set, or the mutator, lost its objects."""


@cache
def rendered() -> dict[str, list[Manifest]]:
    """All sets; but for full counts without eight versions, which take as long as all others and differ in names."""
    return {name: manifests for name, manifests in sets().items() if FULL or name != "versions-8"}


def missed(objects: Objects) -> bool:
    for check in CHECKS:
        try:
            check(objects)
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError):
            return True
    return False


@pytest.mark.parametrize("name", rendered())
def test_the_objects_as_they_are_pass_every_check(name: str) -> None:
    for check in CHECKS:
        check(Objects(name, rendered()[name]))


@pytest.mark.parametrize("name", rendered())
def test_every_field_that_is_lost_or_weakened_is_missed(name: str) -> None:
    mutants = k8s_mutants.mutants(rendered()[name])
    assert [mutant.where for mutant in mutants if not missed(Objects(name, mutant.manifests))] == []


def test_there_are_as_many_mutants_as_the_objects_have_fields() -> None:
    assert sum(1 for manifests in rendered().values() for _ in k8s_mutants.mutants(manifests)) > MINIMUM


def test_every_weakening_changes_its_object() -> None:
    for manifests in rendered().values():
        for manifest in manifests:
            for what, change in k8s_mutants.weakenings(manifest):
                assert k8s_mutants.changed(manifest, change) != manifest, what


@pytest.mark.parametrize("name", chart_values())
def test_every_value_that_a_chart_is_not_told_is_missed(name: str) -> None:
    values = chart_values()[name]
    k8s_chart_checks.check(name, values)
    alive = []
    for path, harmed in removals(values):
        try:
            k8s_chart_checks.check(name, harmed)
        except (AssertionError, LookupError):
            continue
        alive.append(path)
    assert alive == []
