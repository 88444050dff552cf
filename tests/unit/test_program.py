"""The whole program over mocks: what a stack file becomes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from modelway import MonitoringStack
from modelway._common import CUSTOM_KINDS, classes

from infra import program
from tools.plugins.kubernetes.kinds import RELEASE, TYPES

PROJECT = Path(__file__).resolve().parents[2]
Deploy = Callable[[Callable[[], object]], Any]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder as a running node leaves it, and a lock file with the example's images."""
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("MODELWAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MODELWAY_IMAGES_LOCK", str(tmp_path / "lock.json"))
    names = ("envoyproxy/gateway:v1.9.1", "envoyproxy/envoy:v1.40.0", "prom/prometheus:v3.13.1")
    digest = "sha256:" + "b" * 64
    (tmp_path / "node").mkdir()
    (tmp_path / "node/kubeconfig").write_text("planted-kubeconfig")
    images = {name: f"127.0.0.1:5000/{name.split(':')[0]}@{digest}" for name in names}
    (tmp_path / "node/images.json").write_text(json.dumps(images))
    lock = {f"breast-cancer:{version}": f"127.0.0.1:5000/breast-cancer@{digest}" for version in ("v1", "v2")}
    (tmp_path / "lock.json").write_text(json.dumps(lock))
    return tmp_path


def config_of(stack: str) -> dict[str, str]:
    document = yaml.safe_load((PROJECT / f"stacks/Pulumi.{stack}.yaml").read_text())
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in document["config"].items()}


def run(**changes: Any) -> Callable[[], None]:
    def wrapped() -> None:
        pulumi.runtime.set_all_config(
            {**config_of("node"), **{f"modelway:{key}": json.dumps(value) for key, value in changes.items()}}
        )
        program.main()

    return wrapped


@pytest.mark.usefixtures("node")
def test_the_node_stack_serves_both_versions_behind_one_gateway(deploy: Deploy) -> None:
    deployed = deploy(run())
    assert deployed.names("Deployment") == [
        "breast-cancer-v1-deployment",
        "breast-cancer-v2-deployment",
        "monitoring-deployment",
    ]
    assert deployed.names("HTTPRoute") == [f"breast-cancer-{which}-route" for which in ("split", "unknown", "v1", "v2")]
    assert deployed.names("Release") == ["gateway-envoy-gateway"]
    assert deployed.names("Namespace") == [
        "gateway-namespace-namespace",
        "models-namespace",
        "monitoring-namespace-namespace",
    ]
    image = deployed.inputs("breast-cancer-v1-deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "127.0.0.1:5000/breast-cancer@sha256:" + "b" * 64


@pytest.mark.usefixtures("node")
def test_the_stand_in_plugin_serves_exactly_the_types_that_are_registered(deploy: Deploy) -> None:
    digest = "registry.example/iris@sha256:" + "a" * 64
    scaled = {"minReplicas": 2, "maxReplicas": 3}
    queued = {**scaled, "metric": "queue", "queuedRowsPerPod": 10}
    of_chart: Any = {"image": digest, "models_namespaces": ["m"], "ground": "kubePrometheusStack"}
    stack = run(
        registry={"url": "registry.example", "username": "me", "password": "planted"},
        gateway={"auth": {}, "tls": {"hosts": ["127.0.0.1"]}},
        models=[
            {
                "name": "plain",
                "versions": [{"name": "v1", "image": digest}],
                "ingress": {"className": "nginx", "namespace": "ingress-nginx"},
                "host": "plain.example",
                "pathPrefix": "/",
            },
            {
                "name": "iris",
                "versions": [
                    {"name": "v1", "image": digest, "autoscaling": scaled, "weight": 100},
                    {"name": "v2", "image": digest, "autoscaling": queued, "weight": 0},
                ],
                "access": "keyed",
                "limits": {"requestsPerSecond": 100},
                "experiment": {"candidate": "v2", "metrics": [{"kind": "errors"}]},
            },
        ],
        images={"rolloutJudge": "registry.example/rollout-judge@sha256:" + "c" * 64},
        logs={"destination": "loki", "url": "https://loki.example"},
    )
    with_volume: Any = {"image": digest, "models_namespaces": ["m"], "storage_class": "fast"}
    deployed = deploy(lambda: (stack(), MonitoringStack("chart", of_chart), MonitoringStack("volume", with_volume)))
    registered = {resource.typ for resource in deployed.resources if resource.typ.startswith("kubernetes:")}
    assert registered == {*TYPES, RELEASE}
    assert len(TYPES) == len({*classes(), *CUSTOM_KINDS})


@pytest.mark.usefixtures("node")
def test_the_kubeconfig_is_registered_as_a_secret(deploy: Deploy) -> None:
    provider = deploy(run()).inputs("cluster-kubernetes")
    assert provider["kubeconfig"]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    assert provider["clusterIdentifier"] == "modelway-node"


@pytest.mark.usefixtures("node")
def test_problems_of_the_config_end_the_program_with_all_their_sentences(deploy: Deploy) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        deploy(run(environment="prd", cluster={"provider": "node", "zone": "a"}))
    assert str(caught.value).splitlines() == [
        "modelway:environment: unknown value: got 'prd', allowed development, staging, production; "
        "remove or correct it.",
        "modelway:cluster.zone: unknown key: got 'zone', allowed provider, kubeconfig, context, identifier, "
        "eks, gke, region, project; "
        "remove or correct it.",
    ]


@pytest.mark.usefixtures("node")
def test_monitoring_can_be_left_out(deploy: Deploy) -> None:
    (model,) = json.loads(config_of("node")["modelway:models"])
    # An objective that nobody measures would be refused.
    del model["slo"]
    assert deploy(run(monitoring={"enabled": False}, models=[model])).names("Deployment") == [
        "breast-cancer-v1-deployment",
        "breast-cancer-v2-deployment",
    ]


@pytest.mark.usefixtures("node")
def test_no_two_resources_share_a_name_and_a_type(deploy: Deploy) -> None:
    names = [(resource.typ, resource.name) for resource in deploy(run()).resources]
    assert [name for name in names if names.count(name) > 1] == []


@pytest.mark.usefixtures("node")
def test_a_foreign_server_is_deployed_as_the_stack_says(deploy: Deploy) -> None:
    digest = "registry.example/iris@sha256:" + "a" * 64
    container = {
        "port": 5000,
        "adminPort": 5001,
        "env": {"LOG_LEVEL": "info"},
        "secretFiles": {"TOKEN_PATH": {"secret": "hub", "key": "token"}},
        "writablePaths": ["/cache"],
    }
    version = {"name": "v1", "image": digest, "runtime": "container", "container": container, "gpus": 2}
    deployed = deploy(run(models=[{"name": "iris", "versions": [{**version, "resources": {"cpuLimit": "3"}}]}]))
    server = deployed.inputs("iris-v1-deployment")["spec"]["template"]["spec"]["containers"][0]
    assert {port["name"]: port["containerPort"] for port in server["ports"]} == {"http": 5000, "admin": 5001}
    assert server["env"] == [
        {"name": "MODELWAY_MODEL", "value": "iris"},
        {"name": "MODELWAY_VERSION", "value": "v1"},
        {"name": "LOG_LEVEL", "value": "info"},
        {"name": "TOKEN_PATH", "value": "/var/run/secrets/modelway/files/TOKEN_PATH"},
    ]
    assert server["resources"]["limits"] == {"cpu": "3", "memory": "512Mi", "nvidia.com/gpu": "2"}
    assert {mount["name"]: mount["mountPath"] for mount in server["volumeMounts"]} == {
        "tmp": "/tmp",  # noqa: S108
        "writable-0": "/cache",
        "secret-files": "/var/run/secrets/modelway/files",
    }


@pytest.mark.usefixtures("node")
def test_feedback_docs_and_pickle_reach_the_server(deploy: Deploy) -> None:
    digest = "registry.example/iris@sha256:" + "a" * 64
    version = {"name": "v1", "image": digest, "allowPickle": True}
    switched = {"feedback": True, "feedbackOutcomes": ["revenue"], "docs": True}
    deployed = deploy(run(models=[{"name": "iris", "versions": [version], **switched}]))
    server = deployed.inputs("iris-v1-deployment")["spec"]["template"]["spec"]["containers"][0]
    names = {each["name"] for each in server["env"]}
    assert {"MODELWAY_ALLOW_PICKLE", "MODELWAY_FEEDBACK_KEY_FILE", "MODELWAY_FEEDBACK_OUTCOMES"} <= names
    assert deployed.names("Secret") == ["iris-feedback-key"]


@pytest.mark.usefixtures("node")
def test_keda_is_deployed_where_prometheus_lets_it_in(deploy: Deploy) -> None:
    digest = "registry.example/iris@sha256:" + "a" * 64
    bounds = {"minReplicas": 1, "maxReplicas": 3}
    sleeps = {"minReplicas": 0, "maxReplicas": 3, "metric": "queue", "queuedRowsPerPod": 10, "idleSeconds": 60}
    versions = [
        {"name": "v1", "image": digest, "weight": 100, "autoscaling": bounds},
        {"name": "v2", "image": digest, "weight": 0, "autoscaling": sleeps},
    ]
    deployed = deploy(run(models=[{"name": "iris", "aliases": {"next": "v2"}, "versions": versions}]))
    assert deployed.names("APIService") == ["keda-apiservice-v1beta1.external.metrics.k8s.io"]
    assert deployed.names("HorizontalPodAutoscaler") == ["iris-v1-autoscaler"]
    (watched,) = deployed.names("ScaledObject")
    assert watched == "iris-v2-scaled-object"
    triggers = deployed.inputs(watched)["spec"]["triggers"]
    assert "(iris-v2|iris-next)" in triggers[1]["metadata"]["query"]
    assert "replicas" not in deployed.inputs("iris-v2-deployment")["spec"]
    assert deployed.inputs("iris-v2-service")["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
    (asked,) = deployed.inputs("monitoring-network-policy")["spec"]["ingress"]
    assert asked["from"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "modelway-keda"}},
            "podSelector": {"matchLabels": {"modelway.dev/reads-prometheus": "true"}},
        }
    ]


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("changes", "collectors"),
    [({}, []), ({"logs": {"destination": "loki", "url": "https://loki.example"}}, ["logs-daemon-set"])],
    ids=["nowhere", "loki"],
)
def test_logs_are_collected_and_written_only_where_the_stack_says_so(
    deploy: Deploy, changes: dict[str, Any], collectors: list[str]
) -> None:
    deployed = deploy(run(**changes))
    container = deployed.inputs("breast-cancer-v1-deployment")["spec"]["template"]["spec"]["containers"][0]
    assert deployed.names("DaemonSet") == collectors
    assert ({"name": "MODELWAY_ACCESS_LOG", "value": "true"} in container["env"]) is bool(collectors)


@pytest.mark.usefixtures("node")
def test_spans_are_sent_where_the_stack_says_so(deploy: Deploy) -> None:
    url = "http://192.0.2.11:4318"
    deployed = deploy(run(traces={"url": url, "samplePercent": 5}))
    container = deployed.inputs("breast-cancer-v1-deployment")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "MODELWAY_TRACES_URL", "value": url} in container["env"]
    (rule,) = deployed.inputs("breast-cancer-v1-network-policy")["spec"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "192.0.2.11/32"}}]
    provider = deployed.inputs("gateway-proxy")["spec"]["telemetry"]["tracing"]["provider"]
    assert (provider["host"], provider["port"]) == ("192.0.2.11", 4317)
    assert rule["to"] == deployed.inputs("gateway-proxy-network-policy")["spec"]["egress"][-1]["to"]
