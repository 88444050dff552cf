"""What `ModelService` and `ModelServer` register."""

import base64
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from modelway import ModelServer, ModelService
from modelway.serving import model_service

DIGEST = "registry.example/iris@sha256:" + "a" * 64
Deploy = Callable[[Callable[[], object]], Any]


def service(**changes: Any) -> Callable[[], object]:
    args: dict[str, Any] = {
        "versions": [
            {"name": "v1", "image": DIGEST, "weight": 90},
            {"name": "v2", "image": DIGEST, "weight": 10},
        ],
        "namespace": "modelway-models",
        "gateway_url": "http://127.0.0.1:8080",
    }
    return lambda: ModelService("iris", {**args, **changes})


def test_every_child_hangs_from_its_version_and_the_version_from_the_model(deploy: Deploy) -> None:
    urns = deploy(service()).urns
    prefix = "urn:pulumi:test::modelway::modelway:index:ModelService"
    version = "urn:pulumi:test::modelway::modelway:index:ModelServer"
    expected = [
        "urn:pulumi:test::modelway::pulumi:pulumi:Stack$modelway:index:ModelService::iris",
        f"{prefix}$kubernetes:gateway.networking.k8s.io/v1:HTTPRoute::iris-split-route",
        f"{prefix}$kubernetes:gateway.networking.k8s.io/v1:HTTPRoute::iris-unknown-route",
        f"{prefix}$kubernetes:gateway.envoyproxy.io/v1alpha1:HTTPRouteFilter::iris-unknown-answer",
    ]
    for name in ("iris-v1", "iris-v2"):
        expected += [
            f"{prefix}$kubernetes:gateway.networking.k8s.io/v1:HTTPRoute::{name}-route",
            f"{prefix}$modelway:index:ModelServer::{name}",
            f"{version}$kubernetes:apps/v1:Deployment::{name}-deployment",
            f"{version}$kubernetes:core/v1:Service::{name}-service",
            f"{version}$kubernetes:core/v1:ServiceAccount::{name}-service-account",
            f"{version}$kubernetes:networking.k8s.io/v1:NetworkPolicy::{name}-network-policy",
            f"{version}$kubernetes:policy/v1:PodDisruptionBudget::{name}-disruption-budget",
        ]
    assert urns == sorted(expected)


def test_only_the_split_route_carries_weights(deploy: Deploy) -> None:
    deployed = deploy(service())
    split = deployed.inputs("iris-split-route")["spec"]["rules"]
    assert {tuple((ref["name"], ref["weight"]) for ref in rule["backendRefs"]) for rule in split} == {
        (("iris-v1", 90), ("iris-v2", 10))
    }
    assert split[0]["matches"] == [{"path": {"type": "Exact", "value": "/iris/predict"}}]
    pinned = deployed.inputs("iris-v2-route")["spec"]["rules"]
    assert {ref["name"] for rule in pinned for ref in rule["backendRefs"]} == {"iris-v2"}


def test_a_version_is_reached_by_exact_path_and_by_header(deploy: Deploy) -> None:
    rules = deploy(service()).inputs("iris-v2-route")["spec"]["rules"]
    assert rules[0]["matches"] == [
        {"path": {"type": "Exact", "value": "/iris/v2/predict"}},
        {
            "path": {"type": "Exact", "value": "/iris/predict"},
            "headers": [{"type": "Exact", "name": "x-model-version", "value": "v2"}],
        },
    ]


def test_feedback_makes_one_key_per_model_that_every_version_mounts(deploy: Deploy) -> None:
    deployed = deploy(service(feedback=True, feedback_outcomes=["revenue", "returned"]))
    secret = deployed.inputs("iris-feedback-key")
    assert secret["metadata"]["name"] == "iris-feedback-key"
    assert secret["data"]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    key = base64.b64decode(base64.b64decode(secret["data"]["value"]["keys"]))
    assert len(key) == 32
    for name in ("iris-v1", "iris-v2"):
        pod = deployed.inputs(f"{name}-deployment")["spec"]["template"]["spec"]
        (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "feedback-key"]
        assert volume["secret"]["secretName"] == "iris-feedback-key"
        env = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
        assert env["MODELWAY_FEEDBACK_KEY_FILE"] == "/var/run/secrets/modelway/feedback/keys"
        assert env["MODELWAY_FEEDBACK_OUTCOMES"] == "revenue,returned"
    paths = [
        match["path"]["value"]
        for rule in deployed.inputs("iris-split-route")["spec"]["rules"]
        for match in rule["matches"]
    ]
    assert "/iris/feedback" in paths


def test_two_runs_draw_different_keys_and_the_first_is_kept(deploy: Deploy) -> None:
    assert model_service.new_feedback_key() != model_service.new_feedback_key()
    seen: list[pulumi.ResourceOptions] = []
    register = model_service.register

    def recorded(name: str, manifest: dict[str, Any], opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
        seen.extend([opts] if name == "iris-feedback-key" else [])
        return register(name, manifest, opts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_service, "register", recorded)
        deploy(service(feedback=True))
    assert [opts.ignore_changes for opts in seen] == [["data"]]


def test_without_feedback_there_is_no_key_and_no_route(deploy: Deploy) -> None:
    deployed = deploy(service())
    assert deployed.names("Secret") == []
    assert "feedback" not in str(deployed.inputs("iris-split-route"))


def test_docs_are_routed_per_version_where_switched_on(deploy: Deploy) -> None:
    deployed = deploy(service(docs=True))
    rules = deployed.inputs("iris-v1-route")["spec"]["rules"]
    docs = {
        rule["matches"][0]["path"]["value"]: rule["filters"][0]["urlRewrite"]["path"]["replaceFullPath"]
        for rule in rules
        if len(rule["matches"]) == 1 and rule["matches"][0]["path"]["type"] == "Exact"
    }
    assert docs == {"/iris/v1/docs": "/docs", "/iris/v1/openapi.json": "/openapi.json"}
    assert "docs" not in str(deployed.inputs("iris-split-route"))


def test_a_container_brings_its_own_port_paths_and_start(deploy: Deploy) -> None:
    container = {"port": 5000.0, "admin_port": 5000.0, "predict_path": "/invocations", "command": ["gunicorn", "app"]}
    deployed = deploy(
        service(versions=[{"name": "v1", "image": DIGEST, "runtime": "container", "container": container}])
    )
    server = deployed.inputs("iris-v1-deployment")["spec"]["template"]["spec"]["containers"][0]
    assert server["command"] == ["gunicorn", "app"]
    assert server["ports"] == [{"name": "http", "containerPort": 5000, "protocol": "TCP"}]
    assert server["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http", "scheme": "HTTP"}
    (rule,) = deployed.inputs("iris-split-route")["spec"]["rules"]
    assert rule["filters"][0]["urlRewrite"]["path"]["replaceFullPath"] == "/invocations"


def test_a_model_without_predict_is_named_by_the_base_of_its_protocol(deploy: Deploy) -> None:
    urls: list[list[str]] = []

    def program() -> None:
        versions = [{"name": "v1", "image": DIGEST, "runtime": "vllm"}]
        ModelService("llm", {"versions": versions, "namespace": "m", "gateway_url": "http://g"}).urls.apply(urls.append)

    deploy(program)
    assert urls == [["http://g/llm/v1", "http://g/llm/v1/v1"]]


def test_a_model_with_a_host_may_answer_at_its_root(deploy: Deploy) -> None:
    urls: list[list[str]] = []

    def program() -> None:
        model = ModelService(
            "iris",
            {
                "versions": [{"name": "v1", "image": DIGEST}],
                "namespace": "modelway-models",
                "gateway_url": "http://127.0.0.1:8080",
                "host": "iris.example",
                "path_prefix": "/",
            },
        )
        model.urls.apply(urls.append)

    route = deploy(program).inputs("iris-split-route")["spec"]
    assert route["hostnames"] == ["iris.example"]
    assert urls == [["http://iris.example:8080/predict", "http://iris.example:8080/v1/predict"]]


def test_a_plain_ingress_takes_the_place_of_every_route(deploy: Deploy) -> None:
    urls: list[list[str]] = []

    def program() -> None:
        model = ModelService(
            "iris",
            {
                "versions": [{"name": "v1", "image": DIGEST}],
                "namespace": "modelway-models",
                "gateway_url": "http://iris.example",
                "host": "iris.example",
                "path_prefix": "/",
                "ingress": {"class_name": "nginx", "namespace": "ingress-nginx"},
            },
        )
        model.urls.apply(urls.append)

    deployed = deploy(program)
    assert deployed.names("HTTPRoute") == deployed.names("HTTPRouteFilter") == []
    spec = deployed.inputs("iris-ingress")["spec"]
    assert spec["ingressClassName"] == "nginx"
    assert [path["path"] for path in spec["rules"][0]["http"]["paths"]] == [
        "/predict",
        "/v2",
        "/v2/health",
        "/v2/models",
    ]
    (clients, _) = deployed.inputs("iris-v1-network-policy")["spec"]["ingress"]
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}
    assert clients["from"] == [{"namespaceSelector": namespace}]
    assert urls == [["http://iris.example/predict"]]


def test_the_weight_of_a_version_that_gets_nothing_is_never_0(deploy: Deploy) -> None:
    versions = [{"name": "v1", "image": DIGEST, "weight": 0}, {"name": "v2", "image": DIGEST, "weight": 100}]
    rules = deploy(service(versions=versions)).inputs("iris-split-route")["spec"]["rules"]
    assert {tuple((ref["name"], ref["weight"]) for ref in rule["backendRefs"]) for rule in rules} == {
        (("iris-v2", 1), ("iris-v2", 99))
    }


def test_the_autoscaler_owns_the_number_of_pods(deploy: Deploy) -> None:
    bounds = {"min_replicas": 2, "max_replicas": 5}
    versions = [{"name": "v1", "image": DIGEST, "autoscaling": bounds}]
    deployed = deploy(service(versions=versions))
    assert "replicas" not in deployed.inputs("iris-v1-deployment")["spec"]
    scaler = deployed.inputs("iris-v1-autoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)


def test_a_single_pod_has_no_disruption_budget_that_would_block_a_drain(deploy: Deploy) -> None:
    versions = [{"name": "v1", "image": DIGEST, "replicas": 1}]
    assert deploy(service(versions=versions)).names("PodDisruptionBudget") == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {
                "versions": [
                    {"name": "v1", "image": DIGEST, "weight": 90},
                    {"name": "v2", "image": DIGEST, "weight": 20},
                ]
            },
            'ModelService("iris").versions: weights do not sum to 100: got 90, 20, allowed whole numbers from 0 '
            "with the sum 100; change the weights.",
        ),
        (
            {
                "versions": [
                    {"name": "v1", "image": DIGEST, "weight": 50},
                    {"name": "v1", "image": DIGEST, "weight": 50},
                ]
            },
            'ModelService("iris").versions: name used twice: got v1, allowed each name once; rename one of them.',
        ),
        (
            {"versions": [{"name": "predict", "image": DIGEST}]},
            "ModelService(\"iris\").versions name: reserved: got 'predict', allowed any DNS label but docs, "
            "experiment, feedback, judge, models, predict, split, unknown; rename the version.",
        ),
        (
            {"versions": []},
            'ModelService("iris").versions: wrong number: got 0, allowed 1 to 8; remove versions that are no longer '
            "served.",
        ),
        (
            {"path_prefix": "/"},
            "ModelService(\"iris\").path_prefix: takes every model's paths: got '/', allowed '/' only together with "
            "host; set host.",
        ),
        (
            {"versions": [{"name": "v1", "image": "iris:latest"}]},
            "ModelServer(\"iris-v1\").image: no digest: got 'iris:latest', allowed REPOSITORY@sha256:<64 hex digits>; "
            "write the digest that the push printed.",
        ),
        (
            {"versions": [{"name": "v1", "image": DIGEST, "runtime": "tritan"}]},
            "ModelService(\"iris\").versions v1.runtime: unknown value: got 'tritan', allowed modelway, container, "
            "mlserver, triton, vllm; write 'triton'.",
        ),
        (
            {"versions": [{"name": "v1", "image": DIGEST, "container": {"port": 8000}}]},
            'ModelService("iris").versions v1.container.port: does not fit the runtime: got port with runtime modelway, '
            "allowed none, it is configured by its own image; remove port.",
        ),
        (
            {"versions": [{"name": "v1", "image": DIGEST, "runtime": "triton"}], "feedback": True},
            'ModelService("iris").feedback: not every version has it: got v1, allowed runtime modelway; remove feedback.',
        ),
    ],
)
def test_wrong_input_is_one_sentence(deploy: Deploy, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        deploy(service(**changes))
    assert str(caught.value) == sentence


def test_replicas_and_autoscaling_exclude_each_other(deploy: Deploy) -> None:
    with pytest.raises(ValueError, match="allowed one of the two; remove replicas, the autoscaler owns it"):
        deploy(
            lambda: ModelServer(
                "iris-v1",
                {
                    "model": "iris",
                    "version": "v1",
                    "image": DIGEST,
                    "namespace": "models",
                    "replicas": 2,
                    "autoscaling": {"min_replicas": 1, "max_replicas": 2},
                },
            )
        )
