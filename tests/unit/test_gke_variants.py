"""What other choices than production's register."""

from typing import Any

import pytest
from modelway.cluster.gke import maintenance

from tests.unit import gcp_checks, gcp_testing
from tests.unit.gcp_testing import autopilot, node_pools, without

CONTROL_PLANE = "cluster-control-plane"
EXISTING = {
    "network_id": "projects/host/global/networks/shared",
    "subnet_id": "projects/host/regions/europe-west4/subnetworks/models",
    "pods_range": "pods-of-models",
    "services_range": "services-of-models",
}


@pytest.mark.parametrize("name", gcp_checks.variants())
def test_a_variant_registers_exactly_this_control_plane(name: str) -> None:
    args, check = gcp_checks.variants()[name]
    check(gcp_testing.cluster(args))


def test_outside_production_the_name_is_the_default() -> None:
    named = gcp_testing.cluster(without(production=False, api_access={"dns": True}))
    assert gcp_testing.cluster(without("api_access", production=False)) == named


@pytest.mark.parametrize("preview", [False, True])
def test_an_existing_network_is_used_and_not_touched(preview: bool) -> None:
    recorded = gcp_testing.cluster(without(network=EXISTING), preview)
    assert {resource.typ for resource in recorded.resources if resource.typ.startswith("gcp:compute")} == set()
    inputs = recorded.inputs(CONTROL_PLANE)
    assert (inputs["network"], inputs["subnetwork"]) == (EXISTING["network_id"], EXISTING["subnet_id"])
    assert inputs["ipAllocationPolicy"] == {
        "clusterSecondaryRangeName": "pods-of-models",
        "servicesSecondaryRangeName": "services-of-models",
        "stackType": "IPV4",
    }


@pytest.mark.parametrize("preview", [False, True])
def test_autopilot_leaves_nodes_to_google(preview: bool) -> None:
    recorded = gcp_testing.cluster(autopilot(), preview)
    assert recorded.names("gcp:container/nodePool:NodePool") == []
    assert recorded.options[CONTROL_PLANE]["ignore_changes"] == []


def test_binary_authorization_is_a_choice() -> None:
    recorded = gcp_testing.cluster(without(binary_authorization=False))
    assert recorded.inputs(CONTROL_PLANE)["binaryAuthorization"] == {"evaluationMode": "DISABLED"}
    assert "cluster-service-binaryauthorization" not in recorded.names("gcp:projects/service:Service")


@pytest.mark.parametrize("channel", ["RAPID", "STABLE", "EXTENDED"])
def test_the_channel_is_a_choice(channel: str) -> None:
    recorded = gcp_testing.cluster(without(production=False, release_channel=channel))
    assert recorded.inputs(CONTROL_PLANE)["releaseChannel"] == {"channel": channel}


def test_a_window_opens_on_its_days_at_its_hour() -> None:
    asked = maintenance.window({"days": ["SU", "TU", "TH"], "start_hour_utc": 3, "hours": 4})
    assert asked == ("2026-01-03T03:00:00Z", "2026-01-03T07:00:00Z", "FREQ=WEEKLY;BYDAY=TU,TH,SU")
    assert maintenance.window({}) == (
        "2026-01-03T01:00:00Z",
        "2026-01-03T09:00:00Z",
        "FREQ=WEEKLY;BYDAY=SA,SU",
    )


@pytest.mark.parametrize(
    ("least", "most", "zones", "first"),
    [(0, 4, 3, 0), (1, 9, 3, 1), (2, 6, 3, 1), (4, 9, 3, 2), (2, 2, 3, 0), (3, 3, 1, 3)],
)
def test_a_pool_starts_with_its_least_number_and_never_above_its_greatest(
    least: int, most: int, zones: int, first: int
) -> None:
    pool: Any = {"min_size": float(least), "max_size": float(most)}
    assert node_pools.first_size(pool, zones) == first
    assert first * zones <= most


def test_a_pool_that_gke_replaces_gets_another_name() -> None:
    base: Any = {"name": "base", "machine_type": "n4-standard-4", "min_size": 1, "max_size": 2}
    replacing: list[Any] = [
        {"spot": True},
        {"sandbox": True},
        {"machine_type": "g2-standard-4"},
        {"machine_type": "g2-standard-24"},
    ]
    names = {node_pools.physical_name({**base, **changes}) for changes in ({}, *replacing)}
    assert len(names) == 5
    assert all(name.startswith("base-") and len(name) == 11 for name in names)
    updating: list[Any] = [
        {"machine_type": "n4-standard-8"},
        {"max_size": 9},
        {"disk_gb": 80},
        {"labels": {"a": "b"}},
        {"taints": ["a=b:NoSchedule"]},
    ]
    assert {node_pools.physical_name({**base, **changes}) for changes in updating} == {node_pools.physical_name(base)}


def test_no_node_has_a_public_address_a_key_of_ours_or_the_default_identity() -> None:
    recorded = gcp_testing.cluster()
    for pool in recorded.typed("gcp:container/nodePool:NodePool"):
        assert pool.inputs["networkConfig"] == {"enablePrivateNodes": True}
        assert pool.inputs["nodeConfig"]["serviceAccount"] == "${google_service_account.cluster-nodes.email}"
    assert recorded.names("gcp:serviceaccount/key:Key") == []
