"""The checks have teeth: whatever is taken away from what Google Cloud is told, at least one of them misses it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit import cis_gke, cloud_mutants, gcp_checks, gcp_options, gcp_testing
from tests.unit.cloud_testing import Recorded

Check = Callable[[Recorded], None]
CLUSTER = (*gcp_checks.CLUSTER_CHECKS, *gcp_options.CLUSTER_CHECKS)
REGISTRY = (*gcp_checks.REGISTRY_CHECKS, *gcp_options.REGISTRY_CHECKS)


@pytest.fixture(scope="module")
def cluster() -> Recorded:
    return gcp_testing.cluster()


@pytest.fixture(scope="module")
def registry() -> Recorded:
    return gcp_testing.registry()


def misses(check: Check, recorded: Recorded) -> bool:
    try:
        check(recorded)
    except (AssertionError, KeyError, ValueError):
        return True
    return False


def survivors(recorded: Recorded, checks: tuple[Check, ...]) -> tuple[int, list[str]]:
    made = list(cloud_mutants.mutants(recorded))
    return len(made), [mutant.where for mutant in made if not any(misses(check, mutant.recorded) for check in checks)]


def test_every_property_that_the_cluster_loses_is_missed(cluster: Recorded) -> None:
    count, alive = survivors(cluster, CLUSTER)
    assert alive == []
    assert count > 400


@pytest.mark.parametrize("variant", gcp_checks.variants())
def test_every_property_that_another_control_plane_loses_is_missed(variant: str) -> None:
    args, check = gcp_checks.variants()[variant]
    recorded = gcp_testing.cluster(args)
    alone = replace(recorded, resources=recorded.typed("gcp:container/cluster:Cluster"), options={})
    count, alive = survivors(alone, (check,))
    assert alive == []
    assert count > 90


def test_every_property_that_the_registry_loses_is_missed(registry: Recorded) -> None:
    count, alive = survivors(registry, REGISTRY)
    assert alive == []
    assert count > 70


def test_every_managed_item_of_the_benchmark_is_automated_or_says_why_not() -> None:
    items = {1: 4, 2: 2, 3: 1, 4: 1, 5: 7, 6: 7, 7: 2, 8: 3, 9: 2, 10: 4}
    expected = [f"5.{part}.{item}" for part, count in items.items() for item in range(1, count + 1)]
    assert len(expected) == 33
    assert [row.id for row in cis_gke.ROWS] == expected
    assert [row.id for row in cis_gke.ROWS if bool(row.properties) == bool(row.reason)] == []


@pytest.mark.parametrize("row", [row for row in cis_gke.ROWS if row.properties], ids=lambda row: row.id)
def test_the_named_check_misses_each_property_of_a_benchmark_item(
    row: cis_gke.Row, cluster: Recorded, registry: Recorded
) -> None:
    made = {mutant.where: mutant.recorded for part in (cluster, registry) for mutant in cloud_mutants.mutants(part)}
    for name in row.properties:
        assert misses(row.check, made[name]), name


def test_the_committed_table_is_what_the_code_gives() -> None:
    assert cis_gke.PAGE.read_text(encoding="utf-8") == cis_gke.table()
