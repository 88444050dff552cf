"""What a month of previewed resources costs, where each price is from, and what is said of what has none."""

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from pulumi.automation import OpType
from pulumi.automation.events import EngineEvent, ResourcePreEvent, StepEventMetadata, StepEventStateMetadata

from infra import cli_cost, cost, cost_prices, cost_refresh
from infra.config_schema import Settings
from infra.cost_estimate import BY_USE, FREE, RULES, Estimate, Resource, estimate, keys
from infra.cost_prices import Price, PriceBook
from infra.engine.events import Recorder
from infra.engine.session import Outcome
from tests.unit import aws_testing, gcp_testing
from tests.unit.cloud_testing import Recorded
from tools.problem import ProblemError

MODELS = [{"name": "iris", "versions": [{"name": "v1", "image": "iris:v1"}]}]
EKS = {
    "provider": "eks",
    "region": "us-east-1",
    "deployerRoleArn": "arn:aws:iam::111122223333:role/ci-up",
    "kubernetesVersion": "1.35",
    "access": {"vpc": True},
    "network": {"zones": ["us-east-1a", "us-east-1b"]},
    "nodePools": [{"name": "base", "instanceTypes": ["m7i.large"], "minSize": 2, "maxSize": 6}],
}
GKE = {"provider": "gke", "project": "models-of-acme", "region": "europe-west4", "kubernetesVersion": "1.35"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the prices that the user's own refreshes kept."""
    monkeypatch.setenv("MODELWAY_CACHE_DIR", str(tmp_path))


def settings(cluster: dict[str, Any], **own: Any) -> Settings:
    return Settings.model_validate({"cluster": cluster, "models": MODELS, **own})


def of(*recordings: Recorded) -> list[Resource]:
    return [Resource(item.typ, item.name, item.inputs) for each in recordings for item in each.resources]


def book(**usd: float) -> PriceBook:
    prices = {}
    for name, value in usd.items():
        key = name.replace("__", "/").replace("_", "-")
        prices[key, "here"] = Price(key, "here", "hour", value, "https://example.com", "2026-11-23")
    return PriceBook(prices)


@pytest.fixture(scope="module")
def aws() -> list[Resource]:
    return of(aws_testing.cluster(), aws_testing.registry())


@pytest.fixture(scope="module")
def gcp() -> list[Resource]:
    return of(gcp_testing.cluster(), gcp_testing.registry())


def sums(found: Estimate) -> dict[str, tuple[float, float]]:
    return {name: (round(least, 2), round(most, 2)) for name, (least, most) in found.groups().items()}


def test_a_stack_on_eks_is_priced_part_by_part(aws: list[Resource]) -> None:
    found = estimate(aws, "us-east-1", cost_prices.committed("aws"))
    assert sums(found) == {
        "control plane": (73.0, 73.0),
        # Three NAT gateways, three interface endpoints in three zones each.
        "network": (round(730 * (3 * 0.045 + 9 * 0.01), 2), 164.25),
        "keys": (3.0, 3.0),
        "nodes": (round(730 * 2 * 0.1008, 2), round(730 * 6 * 0.1008, 2)),
        # 50 GB of each of two to six nodes; spot nodes have 4 and 100 GB, and there may be four.
        "disks": (round(2 * 50 * 0.08, 2), round((6 * 50 + 4 * 104) * 0.08, 2)),
    }
    assert list(found.without) == [
        "nodes that Karpenter adds",
        "public IPv4 addresses in us-east-1",
        "spot nodes of cluster-pool-gpu, whose price moves",
    ]
    assert sorted(found.by_use) == [
        "images by the GB",
        "logs by the GB",
        "messages about nodes",
        "requests to keys",
        "traffic through NAT",
        "traffic through endpoints",
    ]


def test_a_stack_on_gke_is_priced_part_by_part(gcp: list[Resource]) -> None:
    found = estimate(gcp, "europe-west4", cost_prices.committed("gcp"))
    least = round(730 * 2 * 0.19047, 2)
    most = round(730 * (6 * 0.19047 + 3 * 0.188576), 2)
    assert sums(found) == {"control plane": (73.0, 73.0), "nodes": (least, most)}
    assert list(found.without) == [
        "first versions of keys in europe-west4",
        "Cloud NAT, by node in europe-west4",
        "disks of cluster-pool-arm, whose type GKE chooses",
        "disks of cluster-pool-base, whose type GKE chooses",
        "spot nodes of cluster-pool-gpu, whose price moves",
        "disks of cluster-pool-gpu, whose type GKE chooses",
    ]


def test_a_region_that_nobody_read_has_no_price(aws: list[Resource]) -> None:
    found = estimate(aws, "eu-west-1", cost_prices.committed("aws"))
    assert sums(found) == {"keys": (3.0, 3.0)}
    assert "m7i.large in eu-west-1" in found.without
    assert "EKS control plane in eu-west-1" in found.without


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_every_price_has_the_page_and_the_date_that_it_was_read_from(cloud: str) -> None:
    prices = cost_prices.committed(cloud).prices.values()
    day = re.compile(r"2026-\d\d-\d\d")
    assert len(prices) > 900
    assert [
        price for price in prices if not price.address.startswith("https://") or not day.fullmatch(price.read)
    ] == []
    assert [price for price in prices if not 0 < price.usd < 500] == []
    assert {price.unit for price in prices} == {"hour", "month", "GB and month"}
    # A page of a repository is named by its commit, so that it stays what was read.
    named = {price.address for price in prices if "github.com" in price.address}
    assert [address for address in named if not re.search(r"/blob/[0-9a-f]{40}/", address)] == []


def test_what_auto_mode_autopilot_and_extended_support_cost_is_named() -> None:
    auto = of(aws_testing.cluster(aws_testing.without("node_pools", auto_mode=True, extended_support=True)))
    found = estimate(auto, "us-east-1", cost_prices.committed("aws"))
    assert {"nodes that Auto Mode makes", "extended support of an old Kubernetes version"} <= set(found.without)
    pilot = of(gcp_testing.cluster(gcp_testing.autopilot()))
    assert "pods, which Autopilot bills" in estimate(pilot, "europe-west4", cost_prices.committed("gcp")).without


def test_a_load_balancer_is_counted_where_the_gateway_asks_for_one(aws: list[Resource], gcp: list[Resource]) -> None:
    def proxy(kind: str) -> Resource:
        spec = {"provider": {"kubernetes": {"envoyService": {"type": kind}}}}
        return Resource("kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy", "gateway", {"spec": spec})

    service = Resource("kubernetes:core/v1:Service", "own", {"spec": {"type": "LoadBalancer"}})
    prices = book(balancer__network=0.02, balancer__rule=0.01)
    for resources, count, usd in (
        ([*aws, proxy("LoadBalancer")], 1, 0.02),
        ([*gcp, proxy("LoadBalancer"), service], 2, 0.01),
        ([*aws, proxy("ClusterIP")], 0, 0.02),
    ):
        found = estimate(resources, "here", prices)
        assert found.least_usd == pytest.approx(count * usd * 730)


def test_a_volume_and_an_unknown_type_are_named() -> None:
    claim = Resource("kubernetes:core/v1:PersistentVolumeClaim", "data", {"metadata": {"name": "prometheus"}})
    other = Resource("aws:rds/instance:Instance", "database", {})
    found = estimate([claim, other], "here", book())
    assert found.without == ("volume of prometheus", "aws:rds/instance:Instance")


def test_an_input_that_is_not_known_yet_is_no_number() -> None:
    pool = Resource("aws:eks/nodeGroup:NodeGroup", "pool", {"instanceTypes": ["x"], "scalingConfig": {"minSize": "?"}})
    assert estimate([pool], "here", book(machine__x=1.0)).lines == ()
    # The engine puts a text in the place of any input, lists and objects as well.
    unknown = dict.fromkeys(
        (
            *("scalingConfig", "instanceTypes", "blockDeviceMappings", "subnetIds", "autoscaling", "nodeConfig"),
            *("upgradePolicy", "computeConfig", "metadata", "spec"),
        ),
        "?",
    )
    for kind in RULES:
        found = estimate([Resource(kind, "x", {**unknown, "vpcEndpointType": "Interface"})], "here", book())
        assert found.lines == ()


def test_a_preview_costs_what_the_stack_costs() -> None:
    before = estimate(of(aws_testing.cluster(preview=True)), "us-east-1", cost_prices.committed("aws"))
    after = estimate(of(aws_testing.cluster()), "us-east-1", cost_prices.committed("aws"))
    assert (before.least_usd, before.most_usd, before.without) == (after.least_usd, after.most_usd, after.without)


def test_every_type_of_the_components_is_priced_paid_by_use_or_free(aws: list[Resource], gcp: list[Resource]) -> None:
    more = of(*(made for cloud in (aws_testing, gcp_testing) for made in (cloud.monitoring(), cloud.logging())))
    kinds = {item.type for item in [*aws, *gcp, *more] if item.type.startswith(("aws:", "gcp:"))}
    known = {kind for kind in kinds if kind in RULES or kind in BY_USE or kind.startswith(FREE)}
    assert kinds == known
    assert not {kind for kind in (*RULES, *BY_USE) if kind.startswith(FREE)}


def test_a_thousand_predictions_cost_their_share_of_a_month() -> None:
    price = Price("k", "here", "month", 730.0, "https://example.com", "2026-11-23")
    line = dataclasses.replace(
        estimate([Resource("aws:kms/key:Key", "key", {})], "here", PriceBook({("kms/key", "here"): price})).lines[0]
    )
    found = Estimate((line,))
    # 730 dollars in 730 hours: a dollar an hour, in which 3,600,000 predictions are made.
    assert found.per_1000_predictions(1000) == pytest.approx(1 / 3600)


def test_a_budget_that_is_exceeded_is_one_sentence(aws: list[Resource]) -> None:
    found = estimate(aws, "us-east-1", cost_prices.committed("aws"))
    assert cost.budget_problems(found, None) == []
    assert cost.budget_problems(found, found.least_usd) == []
    assert [str(problem) for problem in cost.budget_problems(found, 300)] == [
        "modelway:cost.monthlyBudgetUsd: the stack costs more: got $395.42 a month, of which network $164.25, allowed "
        "$300.00; make it smaller or raise the budget; `modelway cost` shows each part."
    ]


def test_a_preview_over_the_budget_fails_and_says_what_it_lacks(
    aws: list[Resource], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome({}, 0.0, resources=tuple(aws))

    class Work:
        settings: Settings

    work = Work()
    for budget, fails in ((300, True), (500, False)):
        work.settings = settings(EKS, cost={"monthlyBudgetUsd": budget})
        if fails:
            with pytest.raises(ProblemError, match="the stack costs more"):
                cli_cost.keep_budget(work, outcome)  # type: ignore[arg-type]
        else:
            cli_cost.keep_budget(work, outcome)  # type: ignore[arg-type]
    lacks = "nodes that Karpenter adds; public IPv4 addresses in us-east-1; spot nodes of cluster-pool-gpu, whose price moves"
    assert capsys.readouterr().err.splitlines()[-1] == f"Budget: $395.42 of $500.00 a month, without {lacks}."


def test_a_budget_of_a_stack_that_nobody_bills_is_refused() -> None:
    found = cost.cost_problems(settings({"provider": "node"}, cost={"monthlyBudgetUsd": 10}))
    assert [str(problem) for problem in found] == [
        "modelway:cost.monthlyBudgetUsd: nothing to estimate: got provider node, allowed a cluster that the stack makes "
        "on EKS or GKE; remove it."
    ]
    assert cost.cost_problems(settings(EKS, cost={"monthlyBudgetUsd": 10})) == []
    with pytest.raises(ProblemError, match="nothing that anybody bills"):
        cost.of_stack(settings({"provider": "node"}), ())


@pytest.mark.parametrize("value", [0, -1])
def test_a_budget_is_more_than_nothing(value: int) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        settings(EKS, cost={"monthlyBudgetUsd": value})


def test_the_estimate_names_page_and_load(aws: list[Resource]) -> None:
    found = estimate(aws, "us-east-1", cost_prices.committed("aws"))
    document = cost.as_json(found, 50)
    assert document["monthlyUsd"] == {"least": 395.42, "most": 739.03}
    assert document["usdPer1000Predictions"] == pytest.approx(395.42 / (50 * 730 * 3600) * 1000, rel=1e-3)
    assert {line["read"] for line in document["lines"]} == {"2026-11-23"}
    assert json.loads(json.dumps(document)) == document
    assert cost.sentences(found, 50)[:3] == [
        "A month from $395.42 to $739.03: list prices, 730 hours, without tax.",
        "$0.003009 per 1,000 predictions at 50 a second, with the nodes it starts with.",
        "without nodes that Karpenter adds",
    ]
    assert cost.table(found).row_count == 6


def answer(usage: str, *usd: str) -> str:
    rates = {str(at): {"beginRange": "0", "pricePerUnit": {"USD": each}} for at, each in enumerate(usd)}
    terms = {"OnDemand": {"A.B": {"priceDimensions": rates}}}
    product = {"product": {"attributes": {"usagetype": usage}}, "terms": terms}
    return json.dumps({"PriceList": [json.dumps(product)]})


def test_a_refresh_asks_for_what_the_stack_has_and_keeps_the_answer(
    aws: list[Resource], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def ask(command: list[str]) -> str:
        asked.append(command)
        return answer("EUW1-NatGateway-Hours", "0.0480000000") if "AmazonEC2" in command else answer("EUW1-Other", "9")

    found = cost_refresh.refresh(keys(aws), "eu-west-1", ask)
    assert [(price.key, price.usd, price.unit) for price in found] == [("nat/gateway", 0.048, "hour")]
    assert len(asked) == len(keys(aws)) == 7
    assert asked[-1][:3] == ["aws", "pricing", "get-products"]
    (nat,) = [command for command in asked if "Type=TERM_MATCH,Field=productFamily,Value=NAT Gateway" in command]
    assert "Type=TERM_MATCH,Field=regionCode,Value=eu-west-1" in nat
    cost_refresh.keep(found)
    monkeypatch.setattr(cost_refresh, "_run", ask)
    stack = settings({**EKS, "region": "eu-west-1"})
    assert sums(cost.of_stack(stack, aws))["network"] == (round(3 * 730 * 0.048, 2), round(3 * 730 * 0.048, 2))


def test_two_prices_for_one_thing_are_none() -> None:
    assert cost_refresh.refresh(["nat/gateway"], "eu-west-1", lambda _: answer("NatGateway-Hours", "1", "2")) == []


def test_what_the_price_list_does_not_sell_is_not_asked() -> None:
    def ask(command: list[str]) -> str:
        raise AssertionError(command)

    assert cost_refresh.refresh(["disk/io2", "gke/cluster"], "eu-west-1", ask) == []


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (FileNotFoundError(), "no AWS CLI: got nothing on PATH"),
        (subprocess.CalledProcessError(254, "aws", stderr="\nAccessDenied\n"), "AWS refuses: got AccessDenied"),
        (subprocess.TimeoutExpired("aws", 120), "AWS does not answer: got nothing in 120 s"),
    ],
)
def test_a_price_list_that_cannot_be_asked_is_one_sentence(
    error: Exception, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(ProblemError) as caught:
        cost_refresh.refresh(["nat/gateway"], "eu-west-1")
    assert str(caught.value).startswith(f"modelway cost --refresh: {what}, allowed the AWS CLI")


def test_a_stack_on_gke_has_no_price_list_to_ask() -> None:
    with pytest.raises(ProblemError, match="no price list to ask"):
        cost.of_stack(settings(GKE), (), refresh=True)


def planned(urn: str, op: OpType, new: bool = True) -> EngineEvent:
    state = StepEventStateMetadata(
        type=urn.split("::")[2].rpartition("$")[2], urn=urn, id="", parent="", provider="", custom=True,
        inputs={"enableKeyRotation": True},
    )  # fmt: skip
    step = StepEventMetadata(
        op=op, urn=urn, type=state.type, provider="", old=None if new else state, new=state if new else None
    )
    return EngineEvent(sequence=1, timestamp=1, resource_pre_event=ResourcePreEvent(metadata=step, planning=True))


def test_a_preview_gives_what_the_stack_will_have() -> None:
    """What is unchanged is in it, what goes is not, and what is replaced is in it once."""
    recorder = Recorder(Mock())
    key = "urn:pulumi:s::modelway::modelway:index:EksCluster$aws:kms/key:Key::{}"
    recorder(planned(key.format("kept"), OpType.SAME))
    recorder(planned(key.format("gone"), OpType.DELETE, new=False))
    for op in (OpType.CREATE_REPLACEMENT, OpType.REPLACE, OpType.DELETE_REPLACED):
        recorder(planned(key.format("other"), op))
    assert list(recorder.resources.values()) == [
        Resource("aws:kms/key:Key", name, {"enableKeyRotation": True}) for name in ("kept", "other")
    ]
