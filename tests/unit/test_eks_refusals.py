"""Wrong arguments of `EksCluster` end in one sentence each, all together, before anything is registered."""

from datetime import date
from typing import Any

import pytest
from modelway._aws import REGIONS
from modelway.cluster.eks import instance_types, tables
from modelway.cluster.eks.validation import check
from modelway.cluster.findings import RefusalError

from tests.unit import aws_testing
from tests.unit.aws_testing import aws, node_pools, without

ZONES = ["eu-west-1a", "eu-west-1b"]
BASE = aws_testing.PRODUCTION["node_pools"][0]


def network(**changes: Any) -> dict[str, Any]:
    return without(network={"zones": ZONES, **changes})


def existing(**changes: Any) -> dict[str, Any]:
    return without(network={"vpc_id": "vpc-1", "private_subnet_ids": ["subnet-1", "subnet-2"], **changes})


def pool(**changes: Any) -> dict[str, Any]:
    return without(node_pools=[{**BASE, "name": "first"}, {**BASE, **changes}])


def auto(**changes: Any) -> dict[str, Any]:
    return without("node_pools", auto_mode=True, **changes)


CASES = [
    (
        without(region="eu-wset-1"),
        "region: unknown region: got 'eu-wset-1', allowed a region of AWS; did you mean 'eu-west-1'?",
    ),
    (without(region="mars"), "region: unknown region: got 'mars', allowed a region of AWS; correct it."),
    (
        without(deployer_role_arn="arn:aws:sts::111122223333:assumed-role/x/y"),
        "deployer_role_arn: no ARN of a role: got 'arn:aws:sts::111122223333:assumed-role/x/y', allowed arn:aws:iam::ACCOUNT:role/NAME; take the role that deploys, not its session (`aws iam get-role`).",
    ),
    *(
        (
            without(kubernetes_version=version),
            f"kubernetes_version: EKS does not offer this version: got '{version}', allowed 1.33, 1.34, 1.35, 1.36 (read on 2026-08-22); choose one of them, one minor above the cluster's at most.",
        )
        for version in ("1.29", "1.3", "1.99", "latest")
    ),
    *(
        (
            without(api_access=access),
            f"api_access: not one way to the API: got {got}, allowed {{vpc: true}} or {{cidrs: [...]}}; vpc for a runner in the network, cidrs for addresses outside.",
        )
        for access, got in (({}, "none"), ({"cidrs": []}, "none"), ({"vpc": True, "cidrs": ["8.8.8.8/32"]}, "both"))
    ),
    (
        without(api_access={"cidrs": ["0.0.0.0/0"]}),
        "api_access.cidrs: public access from anywhere in production: got '0.0.0.0/0', allowed /16 to /32; name the addresses of whoever deploys, or use vpc.",
    ),
    (
        without(api_access={"cidrs": ["8.0.0.0/8"]}),
        "api_access.cidrs: too wide for production: got '8.0.0.0/8', allowed /16 to /32; name the addresses of whoever deploys, or use vpc.",
    ),
    (
        without(api_access={"cidrs": ["8.8.8.8/24"]}),
        "api_access.cidrs: host bits are set, the network is 8.8.8.0/24: got '8.8.8.8/24', allowed an IPv4 CIDR from /0 to /32; correct it.",
    ),
    (
        without(api_access={"cidrs": ["office"]}),
        "api_access.cidrs: not an IPv4 CIDR: got 'office', allowed an IPv4 CIDR from /0 to /32; correct it.",
    ),
    (
        without(api_access={"cidrs": ["10.1.0.0/16"]}),
        "api_access.cidrs: not a public address: got '10.1.0.0/16', allowed addresses as the internet sees them; nodes and the VPC reach the API without it.",
    ),
    (
        without(api_access={"cidrs": ["8.8.0.0/16", "8.8.8.0/24"]}),
        "api_access.cidrs: networks overlap: got 8.8.0.0/16 and 8.8.8.0/24, allowed networks apart; change one of them.",
    ),
    (
        without(api_access={"cidrs": [f"8.8.{number}.0/24" for number in range(41)]}),
        "api_access.cidrs: too many: got 41, allowed at most 40; merge some.",
    ),
    *(
        (
            without(network={"zones": zones}),
            f"network.zones: not two or three different zones: got {got}, allowed two or three; such as eu-west-1a and eu-west-1b.",
        )
        for zones, got in (
            ([], "none"),
            (["eu-west-1a"], "eu-west-1a"),
            (["eu-west-1a", "eu-west-1a"], "eu-west-1a, eu-west-1a"),
            ([f"eu-west-1{letter}" for letter in "abcd"], "eu-west-1a, eu-west-1b, eu-west-1c, eu-west-1d"),
        )
    ),
    (
        without(network={"zones": ["eu-west-1a", "us-east-1b"]}),
        "network.zones: no zone of the region: got 'us-east-1b', allowed eu-west-1a, eu-west-1b, …; change zone or region.",
    ),
    (
        network(cidr="10.0.0.1/16"),
        "network.cidr: host bits are set, the network is 10.0.0.0/16: got '10.0.0.1/16', allowed an IPv4 CIDR from /16 to /20; correct it.",
    ),
    *(
        (
            network(cidr=cidr),
            f"network.cidr: too large or too small: got '{cidr}', allowed an IPv4 CIDR from /16 to /20; choose another size.",
        )
        for cidr in ("10.0.0.0/8", "10.0.0.0/21")
    ),
    (
        network(cidr="8.8.0.0/16"),
        "network.cidr: not private addresses: got '8.8.0.0/16', allowed 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16; change it.",
    ),
    (
        network(service_cidr="10.0.128.0/20"),
        "network: networks overlap: got cidr 10.0.0.0/16 and service_cidr 10.0.128.0/20, allowed networks apart; change one of them.",
    ),
    (
        network(service_cidr="172.20.0.0/25"),
        "network.service_cidr: too large or too small: got '172.20.0.0/25', allowed an IPv4 CIDR from /12 to /24; choose another size.",
    ),
    (network(nat="many"), "network.nat: unknown choice: got 'many', allowed per-zone, one; correct it."),
    (
        network(interface_endpoints=["ecr.apo"]),
        "network.interface_endpoints: unknown service: got 'ecr.apo', allowed autoscaling, ec2, ecr.api, ecr.dkr, eks, eks-auth, elasticloadbalancing, kms, logs, sqs, ssm, sts; did you mean 'ecr.api'?",
    ),
    (
        network(interface_endpoints=["sts", "sts"]),
        "network.interface_endpoints: named twice: got 'sts', allowed each once; remove one.",
    ),
    *(
        (
            existing(private_subnet_ids=subnets),
            f"network.private_subnet_ids: no subnets of at least two zones: got {got}, allowed two or more of subnet-…; name the private subnets of the VPC.",
        )
        for subnets, got in (([], "none"), (["subnet-1"], "subnet-1"), (["subnet-1", "a"], "subnet-1, a"))
    ),
    (
        without(network={"private_subnet_ids": ["subnet-1", "subnet-2"]}),
        "network.vpc_id: no ID of a VPC: got None, allowed vpc-…; add it.",
    ),
    *(
        (
            existing(**{key: value}),
            f"network.{key}: shapes a new VPC only: got it with vpc_id, allowed one of the two; remove one.",
        )
        for key, value in (("zones", ZONES), ("cidr", "10.0.0.0/16"), ("nat", "one"), ("interface_endpoints", ["sts"]))
    ),
    (without(node_pools=[]), "node_pools: no nodes: got none, allowed at least one pool, or auto_mode; add a pool."),
    (
        without(node_pools=[{**BASE, "min_size": 0}]),
        "node_pools: nothing that Karpenter and the add-ons can start on: got base, allowed a pool with min_size 1 or more, without GPU and taints; add one.",
    ),
    (
        without(auto_mode=True),
        "node_pools: Auto Mode makes the nodes: got 2 with auto_mode, allowed none; remove one of the two.",
    ),
    (
        auto(karpenter=True),
        "karpenter: Auto Mode scales by itself: got True with auto_mode, allowed one of the two; remove one.",
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
    (pool(disk_gb=8), "node_pools[1].disk_gb: too small or too large: got 8, allowed 20 to 16384; change it."),
    (
        pool(instance_types=[]),
        "node_pools[1].instance_types: no instance type: got none, allowed such as m7i.large; add one.",
    ),
    (
        pool(instance_types=["m7i.lrge"]),
        "node_pools[1].instance_types: unknown instance type: got 'm7i.lrge', allowed an EC2 type such as m7i.large; did you mean 'm7i.large'?",
    ),
    (
        pool(instance_types=["g66.xlarge"]),
        "node_pools[1].instance_types: unknown instance type: got 'g66.xlarge', allowed an EC2 type such as m7i.large; did you mean 'g6.xlarge'?",
    ),
    (
        pool(instance_types=["m7i.large", "m7g.large"]),
        "node_pools[1].instance_types: two architectures in one pool: got m7i.large amd64, m7g.large arm64, allowed one; make a pool of each.",
    ),
    (
        pool(instance_types=["m7i.large", "g6.xlarge"]),
        "node_pools[1].instance_types: with and without GPU in one pool: got m7i.large no GPU, g6.xlarge l4, allowed one kind; make a pool of each.",
    ),
    (
        pool(os="ubuntu"),
        "node_pools[1].os: unknown operating system: got 'ubuntu', allowed al2023, bottlerocket; correct it.",
    ),
    (
        pool(taints=["gpu"]),
        "node_pools[1].taints: no taint: got 'gpu', allowed key=value:NoSchedule, :NoExecute or :PreferNoSchedule; correct it.",
    ),
    (
        without(addon_versions={"vpc-cin": "v1"}),
        "addon_versions: no add-on of this cluster: got 'vpc-cin', allowed eks-pod-identity-agent, kube-proxy, vpc-cni, coredns, aws-ebs-csi-driver, metrics-server; did you mean 'vpc-cni'?",
    ),
    (
        auto(addon_versions={"coredns": "v1"}),
        "addon_versions: no add-on of this cluster: got 'coredns', allowed metrics-server; correct it.",
    ),
    (
        without(log_retention_days=100),
        "log_retention_days: CloudWatch does not keep logs that long: got 100, allowed 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653; change it.",
    ),
    (
        without(dns_zone_ids=["example.org"]),
        "dns_zone_ids: no ID of a Route 53 zone: got 'example.org', allowed such as Z0123456789ABCDEFGHIJ; see `aws route53 list-hosted-zones`.",
    ),
    (
        without(tags={"aws:owner": "me"}),
        "tags: AWS refuses this key: got 'aws:owner', allowed 1 to 128 characters without aws:; rename it.",
    ),
    (
        without(name="-models"),
        "name: no name of a cluster: got '-models', allowed letters, digits, '-' and '_', a letter or digit first, at most 70; rename it.",
    ),
]


@pytest.mark.parametrize(("args", "sentence"), CASES, ids=[sentence.split(": got")[0] for _, sentence in CASES])
def test_one_mistake_is_one_sentence(args: Any, sentence: str) -> None:
    assert check("cluster", args).sentences == [f'EksCluster("cluster").{sentence}']


def test_what_is_right_is_not_refused() -> None:
    assert check("cluster", aws_testing.PRODUCTION).sentences == []  # type: ignore[arg-type]
    anywhere = without(production=False, api_access={"cidrs": ["0.0.0.0/0"]})
    assert check("cluster", anywhere).sentences == []  # type: ignore[arg-type]
    assert check("cluster", auto()).sentences == []  # type: ignore[arg-type]
    assert check("cluster", existing()).sentences == []  # type: ignore[arg-type]


def test_a_name_that_is_too_long_for_the_roles_is_refused() -> None:
    name = "models-of-the-whole-company-eu-1"
    assert check(name, aws_testing.PRODUCTION).sentences == [  # type: ignore[arg-type]
        f"EksCluster(\"{name}\").name of the component: no DNS label, or too long for the names of IAM roles: got '{name}', allowed lower-case letters, digits and '-', a letter first, at most 30; rename the component."
    ]


def test_all_mistakes_are_said_together_and_nothing_is_registered() -> None:
    args = without(region="eu-wset-1", kubernetes_version="1.2", node_pools=[], api_access={})
    seen: list[str] = []

    def program() -> None:
        with pytest.raises(ValueError, match="EksCluster") as caught:
            aws_testing.EksCluster("cluster", args)  # type: ignore[arg-type]
        seen.extend(str(caught.value).splitlines())

    recorded = aws_testing.record(program)
    assert [sentence.split(":")[0] for sentence in seen] == [
        f'EksCluster("cluster").{argument}' for argument in ("region", "kubernetes_version", "api_access", "node_pools")
    ]
    assert recorded.counts() == {"modelway:index:EksCluster": 1}


def test_regions_are_those_of_the_sdk() -> None:
    other = ("cn-", "us-gov-", "us-iso", "eu-iso", "eusc-")
    assert sorted(REGIONS) == sorted(region.value for region in aws.Region if not region.value.startswith(other))


def test_versions_are_supported_in_turn() -> None:
    rows = list(tables.KUBERNETES_VERSIONS.values())
    assert all(row.source.startswith("https://") and row.read <= date(2026, 11, 23) for row in rows)
    assert [row.standard_until for row in rows] == sorted(row.standard_until for row in rows)
    assert [tables.support("1.33", day) for day in (date(2026, 7, 29), date(2026, 7, 30), date(2027, 7, 30))] == [
        "standard",
        "extended",
        "ended",
    ]


@pytest.mark.parametrize(
    ("current", "wanted", "sentence"),
    [
        ("1.34", "1.34", None),
        ("1.34", "1.35", None),
        ("1.34", "1.33", None),
        ("1.33", "1.35", "got '1.35' for a cluster of '1.33', allowed at most '1.34'; go to '1.34' first."),
        ("1.36", "1.34", "got '1.34' for a cluster of '1.36', allowed at least '1.35'; go to '1.35' first."),
    ],
)
@pytest.mark.parametrize("preview", [True, False])
def test_one_minor_version_at_a_time(
    monkeypatch: pytest.MonkeyPatch, current: str, wanted: str, sentence: str | None, preview: bool
) -> None:
    monkeypatch.setitem(aws_testing.RUNNING, "cluster", current)
    args = without(kubernetes_version=wanted)
    if sentence is None:
        asked = "aws:eks/getCluster:getCluster(cluster)"
        assert asked in aws_testing.cluster(args, preview).calls
        return
    with pytest.raises(RefusalError) as caught:
        aws_testing.cluster(args, preview)
    assert str(caught.value) == f'EksCluster("cluster").kubernetes_version: skips a minor version: {sentence}'


def test_every_family_of_the_table_has_an_image() -> None:
    families = instance_types.FAMILIES.values()
    pairs = {(family.architecture, bool(family.gpu)) for family in families}
    assert pairs == {(architecture, gpu) for _, architecture, gpu in node_pools.AMI_TYPES}
