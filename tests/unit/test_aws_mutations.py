"""The checks have teeth: whatever is taken away from what AWS is told, at least one of them misses it."""

from collections.abc import Callable

import pytest

from tests.unit import aws_checks, aws_options, aws_testing, cis_eks, cloud_mutants
from tests.unit.aws_testing import Recorded

Check = Callable[[Recorded], None]
CLUSTER = (*aws_checks.CLUSTER_CHECKS, *aws_options.CLUSTER_CHECKS)
REGISTRY = (*aws_checks.REGISTRY_CHECKS, *aws_options.REGISTRY_CHECKS)


@pytest.fixture(scope="module")
def cluster() -> Recorded:
    return aws_testing.cluster()


@pytest.fixture(scope="module")
def registry() -> Recorded:
    return aws_testing.registry()


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
    assert count > 1000


def test_every_property_that_the_registry_loses_is_missed(registry: Recorded) -> None:
    count, alive = survivors(registry, REGISTRY)
    assert alive == []
    assert count > 150


def test_every_managed_item_of_the_benchmark_is_automated_or_says_why_not() -> None:
    assert [row.id for row in cis_eks.ROWS] == [
        *("5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.2.1", "5.3.1"),
        *("5.4.1", "5.4.2", "5.4.3", "5.4.4", "5.4.5", "5.5.1"),
    ]
    assert [row.id for row in cis_eks.ROWS if bool(row.properties) == bool(row.reason)] == []


@pytest.mark.parametrize("row", [row for row in cis_eks.ROWS if row.properties], ids=lambda row: row.id)
def test_the_named_check_misses_each_property_of_a_benchmark_item(
    row: cis_eks.Row, cluster: Recorded, registry: Recorded
) -> None:
    made = {mutant.where: mutant.recorded for part in (cluster, registry) for mutant in cloud_mutants.mutants(part)}
    for name in row.properties:
        assert misses(row.check, made[name]), name


def test_the_committed_table_is_what_the_code_gives() -> None:
    assert cis_eks.PAGE.read_text(encoding="utf-8") == cis_eks.table()
