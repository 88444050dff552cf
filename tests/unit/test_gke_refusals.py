"""Wrong arguments of `GkeCluster` end in one sentence each, all together, before anything is registered."""

from datetime import date
from typing import Any

import pytest
from modelway._gcp import REGIONS
from modelway.cluster.findings import RefusalError
from modelway.cluster.gke import machine_types, tables
from modelway.cluster.gke.validation import check

from tests.unit import gcp_testing
from tests.unit.gcp_testing import PRODUCTION, autopilot, without

BASE: dict[str, Any] = PRODUCTION["node_pools"][0]
EXISTING = {
    "network_id": "projects/host/global/networks/shared",
    "subnet_id": "projects/host/regions/europe-west4/subnetworks/models",
    "pods_range": "pods",
    "services_range": "services",
}
WAYS = "{dns: true}, {vpc: true} or {cidrs: [...]}; dns for a name behind IAM, vpc for a runner in the network, cidrs for addresses outside."


def network(**changes: Any) -> dict[str, Any]:
    return without(network=changes)


def existing(*keys: str, **changes: Any) -> dict[str, Any]:
    kept = {key: value for key, value in EXISTING.items() if key not in keys}
    return without(network={**kept, **changes})


def pool(**changes: Any) -> dict[str, Any]:
    return without(node_pools=[{**BASE, "name": "first"}, {**BASE, **changes}])


def window(**changes: Any) -> dict[str, Any]:
    return without(maintenance_window=changes)


PLACES = [
    (
        without(project="Acme"),
        "project: no ID of a project: got 'Acme', allowed 6 to 30 lower-case letters, digits and '-', a letter first; see `gcloud projects list`.",
    ),
    (
        without(project="111122223333"),
        "project: an account of AWS: got '111122223333', allowed 6 to 30 lower-case letters, digits and '-', a letter first; see `gcloud projects list`.",
    ),
    (
        without(region="europe-wset4"),
        "region: unknown region: got 'europe-wset4', allowed a region of Google Cloud; did you mean 'europe-west4'?",
    ),
    (without(region="x"), "region: unknown region: got 'x', allowed a region of Google Cloud; correct it."),
    (
        without(region="eu-west-1"),
        "region: a region of AWS: got 'eu-west-1', allowed a region of Google Cloud; move the stack or the cloud.",
    ),
    *(
        (
            without(zones=zones),
            f"zones: not two or three different zones: got {got}, allowed two or three; such as europe-west4-b and europe-west4-c.",
        )
        for zones, got in (
            ([], "none"),
            (["europe-west4-a"], "europe-west4-a"),
            (["europe-west4-a", "europe-west4-a"], "europe-west4-a, europe-west4-a"),
        )
    ),
    (
        without(zones=["europe-west4-a", "europe-west1-b"]),
        "zones: no zone of the region: got 'europe-west1-b', allowed europe-west4-b, europe-west4-c, …; change zone or region.",
    ),
    (
        without(name="Models"),
        "name: no name of a cluster, or too long for its nodes' service account: got 'Models', allowed lower-case letters, digits and '-', a letter first, at most 24; rename it.",
    ),
    (
        without(labels={"team": "Vision"}),
        "labels: Google Cloud refuses this label: got 'team=Vision', allowed lower-case letters, digits, '_' and '-', a letter first in the key, at most 63 each; rename it.",
    ),
    (
        without(security_group="admins@example.com"),
        "security_group: no group that GKE takes: got 'admins@example.com', allowed gke-security-groups@DOMAIN; make it in Google Workspace, with your groups as members.",
    ),
]
VERSIONS = [
    *(
        (
            without(kubernetes_version=version),
            f"kubernetes_version: GKE does not offer this version in the channel REGULAR: got '{version}', allowed 1.35, 1.36 (read on 2026-08-22); choose one of them, one minor above the cluster's at most.",
        )
        for version in ("1.29", "1.34", "1.3", "1.99", "latest")
    ),
    (
        without(kubernetes_version="1.31", release_channel="EXTENDED"),
        "kubernetes_version: GKE does not offer this version in the channel EXTENDED: got '1.31', allowed 1.32, 1.33, 1.34, 1.35, 1.36 (read on 2026-08-22); choose one of them, one minor above the cluster's at most.",
    ),
    (
        without(release_channel="STABEL"),
        "release_channel: unknown channel: got 'STABEL', allowed RAPID, REGULAR, STABLE, EXTENDED; did you mean 'STABLE'?",
    ),
    (
        without(release_channel="RAPID"),
        "release_channel: Google promises nothing for it in production: got 'RAPID', allowed REGULAR, STABLE or EXTENDED; change it.",
    ),
    (
        window(days=["SAT", "SA", "SU"]),
        "maintenance_window.days: unknown day: got 'SAT', allowed MO, TU, WE, TH, FR, SA, SU; did you mean 'SA'?",
    ),
    (
        window(days=["SA", "SU", "SA"]),
        "maintenance_window.days: no days, or one twice: got SA, SU, SA, allowed each once; correct it.",
    ),
    (
        window(start_hour_utc=20),
        "maintenance_window: no hours of one day: got 8 from 20:00 UTC, allowed a start from 0 and an end until 23:00; change start_hour_utc or hours.",
    ),
    *(
        (
            window(**changes),
            f"maintenance_window: too little time for upgrades: got {got}, allowed 4 at a time and 12 a week; add hours or days.",
        )
        for changes, got in (
            ({"days": ["SU"]}, "8 hours on SU"),
            ({"days": ["MO", "TU", "WE", "TH"], "hours": 3}, "3 hours on MO, TU, WE, TH"),
        )
    ),
]
ACCESS = [
    (without("api_access"), f"api_access: missing in production: got nothing, allowed {WAYS}"),
    *(
        (without(api_access=access), f"api_access: not one way to the API: got {got}, allowed {WAYS}")
        for access, got in (
            ({}, "none"),
            ({"cidrs": []}, "none"),
            ({"vpc": True, "cidrs": ["8.8.8.8/32"]}, "vpc and cidrs"),
            ({"dns": True, "vpc": True}, "dns and vpc"),
        )
    ),
    (
        without(api_access={"cidrs": ["0.0.0.0/0"]}),
        "api_access.cidrs: public access from anywhere in production: got '0.0.0.0/0', allowed /16 to /32; name the addresses of whoever deploys, or use dns or vpc.",
    ),
    (
        without(api_access={"cidrs": ["8.0.0.0/8"]}),
        "api_access.cidrs: too wide for production: got '8.0.0.0/8', allowed /16 to /32; name the addresses of whoever deploys, or use dns or vpc.",
    ),
    (
        without(api_access={"cidrs": ["8.8.8.8/24"]}),
        "api_access.cidrs: host bits are set, the network is 8.8.8.0/24: got '8.8.8.8/24', allowed an IPv4 CIDR from /0 to /32; correct it.",
    ),
    (
        without(api_access={"cidrs": ["10.1.0.0/16"]}),
        "api_access.cidrs: not a public address: got '10.1.0.0/16', allowed addresses as the internet sees them; nodes and the VPC reach the API without it.",
    ),
    (
        without(api_access={"cidrs": [f"8.8.{number}.0/24" for number in range(21)]}),
        "api_access.cidrs: too many: got 21, allowed at most 20; merge some.",
    ),
]
NETWORKS = [
    (
        network(nodes_cidr="10.0.0.1/20"),
        "network.nodes_cidr: host bits are set, the network is 10.0.0.0/20: got '10.0.0.1/20', allowed an IPv4 CIDR from /16 to /27; correct it.",
    ),
    (
        network(pods_cidr="10.4.0.0/22"),
        "network.pods_cidr: too large or too small: got '10.4.0.0/22', allowed an IPv4 CIDR from /9 to /21; choose another size.",
    ),
    (
        network(services_cidr="8.8.0.0/20"),
        "network.services_cidr: not private addresses: got '8.8.0.0/20', allowed 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16; change it.",
    ),
    (
        network(services_cidr="10.4.0.0/20"),
        "network: networks overlap: got pods_cidr 10.4.0.0/14 and services_cidr 10.4.0.0/20, allowed networks apart; change one of them.",
    ),
    (
        network(pods_cidr="10.4.0.0/21"),
        "network.pods_cidr: too few addresses for the pools: got 8 nodes in 10.4.0.0/21, allowed room for 13; widen it or lower max_size.",
    ),
    (
        pool(max_size=23) | {"network": {"nodes_cidr": "10.0.0.0/27"}},
        "network.nodes_cidr: too few addresses for the pools: got 28 nodes in 10.0.0.0/27, allowed room for 29; widen it or lower max_size.",
    ),
    (
        existing("network_id"),
        "network.network_id: no full name: got '', allowed projects/PROJECT/global/networks/NAME; see `gcloud compute networks`.",
    ),
    (
        existing(subnet_id="models"),
        "network.subnet_id: no full name: got 'models', allowed projects/PROJECT/regions/REGION/subnetworks/NAME; see `gcloud compute networks`.",
    ),
    (
        existing(subnet_id="projects/host/regions/us-east1/subnetworks/models"),
        "network.subnet_id: in another region: got 'projects/host/regions/us-east1/subnetworks/models', allowed a subnet in europe-west4; change one of them.",
    ),
    (
        existing("pods_range"),
        "network.pods_range: no name of a secondary range: got '', allowed lower-case letters, digits and '-', a letter first; name the subnet's.",
    ),
    (
        existing(pods_cidr="10.4.0.0/14"),
        "network.pods_cidr: shapes a new network only: got it with network_id, allowed one of the two; remove one.",
    ),
]
POOLS = [
    (without(node_pools=[]), "node_pools: no nodes: got none, allowed at least one pool, or autopilot; add a pool."),
    *(
        (
            without(node_pools=[{**BASE, **changes}]),
            "node_pools: nothing that the cluster's own pods can start on: got base, allowed a pool of amd64 with min_size 1 or more, without GPU, sandbox and taints; add one.",
        )
        for changes in (
            {"min_size": 0},
            {"sandbox": True},
            {"taints": ["a=b:NoSchedule"]},
            {"machine_type": "c4a-standard-4"},
            {"machine_type": "g2-standard-4"},
        )
    ),
    (
        without("zones", autopilot=True),
        "node_pools: Autopilot makes the nodes: got 3 with autopilot, allowed none; remove one of the two.",
    ),
    (
        autopilot(zones=["europe-west4-a", "europe-west4-b"]),
        "zones: Autopilot chooses them: got europe-west4-a, europe-west4-b, allowed none; remove one of the two.",
    ),
    (pool(name="first"), "node_pools: named twice: got 'first', allowed each once; rename one."),
    (
        pool(name="Base"),
        "node_pools[1].name: no name of a pool: got 'Base', allowed lower-case letters, digits and '-', a letter first, at most 20; rename it.",
    ),
    (
        pool(min_size=5, max_size=2),
        "node_pools[1].min_size: more than max_size: got 5 > 2, allowed at most max_size; change one.",
    ),
    *(
        (
            pool(min_size=least, max_size=most),
            f"node_pools[1].max_size: no nodes: got {least} to {most}, allowed min 0 or more, max 1 or more; change it.",
        )
        for least, most in ((-1, 6), (0, 0))
    ),
    (pool(disk_gb=8), "node_pools[1].disk_gb: too small or too large: got 8, allowed 20 to 65536; change it."),
    (
        pool(machine_type="n4-standrd-4"),
        "node_pools[1].machine_type: unknown machine type: got 'n4-standrd-4', allowed such as n4-standard-4; did you mean 'n4-standard-4'?",
    ),
    (
        pool(machine_type="m7i.large"),
        "node_pools[1].machine_type: an instance type of AWS: got 'm7i.large', allowed such as n4-standard-4; change it.",
    ),
    (
        pool(machine_type="n4a-standard-4") | {"region": "europe-west6", "zones": ["europe-west6-a", "europe-west6-b"]},
        "node_pools[1].machine_type: the region has none of this family: got 'n4a-standard-4' in europe-west6, allowed asia-southeast1, europe-west1, europe-west2, europe-west3, europe-west4, us-central1, us-east1, us-east4, us-west1; change type or region.",
    ),
    (
        pool(machine_type="a3-highgpu-8g") | {"region": "europe-west6", "zones": ["europe-west6-a", "europe-west6-b"]},
        "node_pools[1].machine_type: no nvidia-h100-80gb in the region: got 'a3-highgpu-8g' in europe-west6, allowed there nvidia-l4; change type or region.",
    ),
    (
        pool(zones=["europe-west1-b"]),
        "node_pools[1].zones: no zone of the region: got 'europe-west1-b', allowed europe-west4-b, europe-west4-c, …; change zone or region.",
    ),
    (
        pool(zones=["europe-west4-a", "europe-west4-a"]),
        "node_pools[1].zones: named twice: got 'europe-west4-a', allowed each once; remove one.",
    ),
    (
        pool(taints=["gpu"]),
        "node_pools[1].taints: no taint: got 'gpu', allowed key=value:NoSchedule, :NoExecute or :PreferNoSchedule; correct it.",
    ),
]
OTHER_CLOUD = [
    (
        without(**{key: "x"}),
        f"{key}: a setting of AWS: got it, allowed settings of Google Cloud; remove it.",
    )
    for key in ("deployer_role_arn", "auto_mode", "karpenter", "addon_versions", "tags")
] + [
    (
        network(zones=["europe-west4-a"]),
        "network.zones: a setting of AWS: got it, allowed settings of Google Cloud; remove it.",
    ),
    (
        pool(instance_types=["m7i.large"]),
        "node_pools[1].instance_types: a setting of AWS: got it, allowed settings of Google Cloud; remove it.",
    ),
    (
        without(realease_channel="STABLE"),
        "realease_channel: unknown argument: got 'realease_channel', allowed project, region, kubernetes_version, production, zones, api_access, network, name, node_pools, autopilot, release_channel, maintenance_window, binary_authorization, security_group, labels; did you mean 'release_channel'?",
    ),
]
CASES = [*PLACES, *VERSIONS, *ACCESS, *NETWORKS, *POOLS, *OTHER_CLOUD]


@pytest.mark.parametrize(("args", "sentence"), CASES, ids=[sentence.split(": got")[0] for _, sentence in CASES])
def test_one_mistake_is_one_sentence(args: Any, sentence: str) -> None:
    assert check("cluster", args).sentences == [f'GkeCluster("cluster").{sentence}']


def test_what_is_right_is_not_refused() -> None:
    anywhere = {"cidrs": ["0.0.0.0/0"]}
    right: list[Any] = [
        PRODUCTION,
        autopilot(),
        existing(),
        without("api_access", production=False),
        without(production=False, api_access=anywhere, release_channel="RAPID"),
        without(kubernetes_version="1.32", release_channel="EXTENDED"),
        window(days=["MO", "WE", "FR"], hours=4, start_hour_utc=0),
    ]
    assert [check("cluster", args).sentences for args in right] == [[]] * len(right)


def test_a_name_that_is_no_label_is_refused_with_the_clusters() -> None:
    assert [sentence.split(":")[0] for sentence in check("Models", PRODUCTION).sentences] == [  # type: ignore[arg-type]
        'GkeCluster("Models").name of the component',
        'GkeCluster("Models").name',
    ]


def test_all_mistakes_are_said_together_and_nothing_is_registered() -> None:
    args = without("api_access", region="europe-wset4", kubernetes_version="1.2", node_pools=[])
    seen: list[str] = []

    def program() -> None:
        with pytest.raises(ValueError, match="GkeCluster") as caught:
            gcp_testing.GkeCluster("cluster", args)  # type: ignore[arg-type]
        seen.extend(str(caught.value).splitlines())

    recorded = gcp_testing.record(program)
    assert [sentence.split(":")[0] for sentence in seen] == [
        f'GkeCluster("cluster").{argument}' for argument in ("region", "kubernetes_version", "api_access", "node_pools")
    ]
    assert recorded.counts() == {"modelway:index:GkeCluster": 1}


def test_versions_are_supported_in_turn() -> None:
    rows = list(tables.KUBERNETES_VERSIONS.values())
    assert all(row.source.startswith("https://") and row.read <= tables.DECIDED for row in rows)
    assert all(row.standard_until < row.extended_until for row in rows)
    assert [row.standard_until for row in rows] == sorted(row.standard_until for row in rows)
    assert tables.supported("REGULAR", date(2026, 10, 1)) == ["1.34", "1.35", "1.36"]
    assert tables.supported("STABLE", date(2026, 10, 2)) == ["1.35", "1.36"]
    assert tables.supported("EXTENDED", date(2027, 2, 12)) == ["1.33", "1.34", "1.35", "1.36"]


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize("current", ["1.33.9-gke.1200", "1.34.5-gke.1000", "1.35.2-gke.100", "1.36.0-gke.2"])
def test_one_minor_version_up_at_a_time_and_what_the_channel_did_stays(
    monkeypatch: pytest.MonkeyPatch, current: str, preview: bool
) -> None:
    monkeypatch.setitem(gcp_testing.RUNNING, "cluster", current)
    if not current.startswith("1.33"):
        assert "gcp:container/getCluster:getCluster(cluster)" in gcp_testing.cluster(PRODUCTION, preview).calls
        return
    with pytest.raises(RefusalError) as caught:
        gcp_testing.cluster(PRODUCTION, preview)
    assert str(caught.value) == (
        "GkeCluster(\"cluster\").kubernetes_version: skips a minor version: got '1.35' for a cluster of "
        "'1.33.9-gke.1200', allowed at most '1.34'; go to '1.34' first."
    )


@pytest.mark.parametrize(
    ("said", "absent"),
    [
        ("projects/p/locations/r/clusters/cluster not found", True),
        ("googleapi: Error 403: Kubernetes Engine API has not been used in project 1 before or it is disabled", True),
        ("googleapi: Error 403: permission container.clusters.get denied", False),
    ],
)
def test_a_project_without_the_cluster_is_a_first_deployment_and_a_forbidden_question_is_none(
    monkeypatch: pytest.MonkeyPatch, said: str, absent: bool
) -> None:
    monkeypatch.setattr(gcp_testing, "ABSENT", said)
    if absent:
        assert gcp_testing.cluster().names("gcp:container/cluster:Cluster") == ["cluster-control-plane"]
        return
    with pytest.raises(Exception, match="permission"):
        gcp_testing.cluster()


def test_every_machine_type_has_its_gpus_and_lies_in_known_regions() -> None:
    families = machine_types.FAMILIES.values()
    assert all(set(family.regions) <= set(REGIONS) and family.regions for family in families)
    machines = {name: machine_types.machine_of(name) for name in machine_types.machine_types()}
    assert [name for name, machine in machines.items() if machine is None] == []
    assert [
        name for name, machine in machines.items() if machine and bool(machine.gpus) != bool(machine.family.gpu)
    ] == []
    counted = {name: machine.gpus for name, machine in machines.items() if machine and machine.gpus}
    assert counted["a2-megagpu-16g"] == 16
    assert [counted[f"g2-standard-{size}"] for size in (4, 24, 32, 48, 96)] == [1, 2, 1, 4, 8]
    assert machine_types.machine_of("g4-standard-12") is None
