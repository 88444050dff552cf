"""Sending recorded series on to a cloud: what Prometheus is told, what its pod may reach, what is refused."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from modelway import MonitoringStack
from modelway.monitoring.chart import ChartSpec, prometheus_spec
from modelway.monitoring.config import ScrapeSpec
from modelway.monitoring.objects import MonitoringSpec, config_of, monitoring_manifests, rules_of
from modelway.monitoring.remote_write import RECORDED, RemoteWrite
from modelway.monitoring.stack import monitoring_spec

from tools.progress import Progress
from tools.toolchain import ensure

AMAZON = {"url": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write"}
AMAZON["aws_region"] = "eu-west-1"
GOOGLE = {"url": "https://monitoring.googleapis.com/v1/projects/p/location/global/prometheus/api/v1/write"}
GOOGLE["google_location"] = "europe-west4"
BASE: dict[str, Any] = {"image": "prometheus", "models_namespaces": ["modelway-models"]}
KEEP = {"source_labels": ["__name__"], "regex": ".+:.+", "action": "keep"}


def spec(**remote: str) -> MonitoringSpec:
    return monitoring_spec("monitoring", {**BASE, "remote_write": remote})  # type: ignore[typeddict-item]


def test_each_cloud_is_signed_for_in_its_own_way_and_knows_the_cluster() -> None:
    assert config_of(spec(**AMAZON, cluster="models"))["remote_write"] == [
        {
            "url": AMAZON["url"],
            "sigv4": {"region": "eu-west-1"},
            "write_relabel_configs": [KEEP, {"target_label": "cluster", "replacement": "models"}],
        }
    ]
    labels = [
        {"target_label": "cluster", "replacement": "modelway"},
        {"target_label": "location", "replacement": "europe-west4"},
        {"target_label": "__type__", "replacement": "gauge"},
    ]
    assert config_of(spec(**GOOGLE))["remote_write"] == [
        {
            "url": GOOGLE["url"],
            "google_iam": {},
            "protobuf_message": "io.prometheus.write.v2.Request",
            "queue_config": {"max_samples_per_send": 200},
            "write_relabel_configs": [KEEP, *labels],
        }
    ]


def pod(found: MonitoringSpec) -> tuple[dict[str, Any], list[str]]:
    """Metadata of Prometheus' pod, and its features."""
    (deployment,) = [each for each in monitoring_manifests(found) if each["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    flag = "--enable-feature="
    args = template["spec"]["containers"][0]["args"]
    return template["metadata"], [each.removeprefix(flag) for each in args if each.startswith(flag)]


def test_a_pod_that_sends_to_amazon_is_made_anew_since_an_old_one_gets_no_identity() -> None:
    metadata, features = pod(spec(**AMAZON))
    assert metadata["annotations"] == {"modelway.dev/identity": "eks-pod-identity"}
    assert features == ["auto-reload-config"]
    chart = ChartSpec({}, {}, {})
    assert prometheus_spec(spec(**AMAZON), chart)["podMetadata"] == metadata
    nowhere = monitoring_spec("monitoring", BASE)  # type: ignore[arg-type]
    assert "annotations" not in pod(nowhere)[0]
    assert prometheus_spec(nowhere, chart)["podMetadata"] == pod(nowhere)[0]


def test_google_is_told_that_recorded_series_are_gauges() -> None:
    metadata, features = pod(spec(**GOOGLE))
    assert "annotations" not in metadata
    assert features == ["auto-reload-config", "type-and-unit-labels"]


def test_an_address_that_the_same_program_makes_comes_into_the_configuration(deploy: Any) -> None:
    def program() -> None:
        url = pulumi.Output.from_input(AMAZON["url"])
        args = {**BASE, "remote_write": {"url": url, "aws_region": "eu-west-1"}}
        MonitoringStack("made", args)  # type: ignore[arg-type]
        MonitoringStack("known", {**BASE, "remote_write": AMAZON})  # type: ignore[typeddict-item]

    deployed = deploy(program)
    assert deployed.inputs("made-config-map") == deployed.inputs("known-config-map")


def test_the_operator_is_told_an_address_that_the_same_program_makes(deploy: Any) -> None:
    def program() -> None:
        remote = {"url": pulumi.Output.from_input(AMAZON["url"]), "aws_region": "eu-west-1"}
        args = {**BASE, "ground": "kubePrometheusStack", "remote_write": remote}
        MonitoringStack("chart", args)  # type: ignore[arg-type]

    values = deploy(program).inputs("chart-release")["values"]["prometheus"]["prometheusSpec"]
    (entry,) = values["remoteWrite"]
    assert (entry["url"], entry["sigv4"]) == (AMAZON["url"], {"region": "eu-west-1"})


def test_what_is_sent_is_every_recorded_series_and_no_other() -> None:
    plain = MonitoringSpec("m", "i", ScrapeSpec(("models",), "gateway"))
    recorded = {rule["record"] for group in rules_of(plain)["groups"] for rule in group["rules"] if "record" in rule}
    assert [name for name in recorded if not re.fullmatch(RECORDED, name)] == []
    assert not re.fullmatch(RECORDED, "modelway_requests_total")


@pytest.mark.parametrize("remote", [AMAZON, GOOGLE], ids=["amazon", "google"])
def test_promtool_accepts_the_configuration(remote: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config_of(spec(**remote))))
    promtool = ensure(["promtool"], Progress())["promtool"].path
    command = [promtool, "check", "config", "--syntax-only", "prometheus.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def addresses(found: MonitoringSpec) -> set[tuple[str, int]]:
    (policy,) = [each for each in monitoring_manifests(found) if each["kind"] == "NetworkPolicy"]
    return {
        (block["ipBlock"]["cidr"], port["port"])
        for rule in policy["spec"]["egress"]
        for block in rule["to"]
        if "ipBlock" in block
        for port in rule["ports"]
    }


def test_the_pod_reaches_the_cloud_and_the_identity_of_its_node() -> None:
    nowhere = addresses(monitoring_spec("monitoring", BASE))  # type: ignore[arg-type]
    assert addresses(spec(**AMAZON)) - nowhere == {("169.254.170.23/32", 80)}
    assert addresses(spec(**GOOGLE)) - nowhere == {("169.254.169.252/32", 988), ("169.254.169.254/32", 80)}
    known = MonitoringSpec("m", "i", ScrapeSpec(("models",), "gateway"), api_server_cidrs=("192.0.2.1/32",))
    sending = MonitoringSpec(**{**known.__dict__, "remote_write": RemoteWrite(**AMAZON)})
    assert addresses(sending) - addresses(known) == {("0.0.0.0/0", 443), ("169.254.170.23/32", 80)}


@pytest.mark.parametrize(
    ("remote", "sentence"),
    [
        (
            {**AMAZON, "url": "http://x"},
            "remote_write.url: no usable URL: got 'http://x', allowed https://HOST/…; correct it.",
        ),
        (
            {"url": "https://x"},
            "remote_write: not one cloud: got none, allowed aws_region or google_location; set exactly one.",
        ),
        (
            {**AMAZON, "google_location": "europe-west4"},
            "remote_write: not one cloud: got aws_region and google_location, allowed aws_region or google_location; "
            "set exactly one.",
        ),
        (
            {**AMAZON, "aws_region": "europe-west4"},
            "remote_write.aws_region: unknown region: got 'europe-west4', allowed a region of that cloud; correct it.",
        ),
        (
            {**AMAZON, "cluster": "a b"},
            "remote_write.cluster: no name of a cluster: got 'a b', allowed letters, digits, '-' and '_', at most 100; "
            "correct it.",
        ),
    ],
)
def test_what_cannot_be_is_refused(remote: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match="remote_write") as caught:
        spec(**remote)
    assert str(caught.value) == f'MonitoringStack("monitoring").{sentence}'


def test_the_operator_does_not_sign_for_google() -> None:
    with pytest.raises(ValueError, match="operator") as caught:
        monitoring_spec("monitoring", {**BASE, "ground": "kubePrometheusStack", "remote_write": GOOGLE})  # type: ignore[typeddict-item]
    assert str(caught.value) == (
        'MonitoringStack("monitoring").remote_write.google_location: the operator cannot sign for Google Cloud: '
        "got ground kubePrometheusStack, allowed with ground plain; change the ground."
    )
