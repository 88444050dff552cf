"""What `ModelService` and `ModelServer` register."""

from collections.abc import Callable
from typing import Any

import pytest
from modelway import ModelServer, ModelService

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
        f"{prefix}$kubernetes:gateway.networking.k8s.io/v1:HTTPRoute::iris-route",
        f"{prefix}$kubernetes:gateway.networking.k8s.io/v1:HTTPRoute::iris-split-route",
    ]
    for name in ("iris-v1", "iris-v2"):
        expected += [
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
    (split,) = deployed.inputs("iris-split-route")["spec"]["rules"]
    assert [(ref["name"], ref["weight"]) for ref in split["backendRefs"]] == [("iris-v1", 90), ("iris-v2", 10)]
    assert split["matches"] == [{"path": {"type": "Exact", "value": "/iris/predict"}}]
    pinned = deployed.inputs("iris-route")["spec"]["rules"]
    assert [[ref["name"] for ref in rule["backendRefs"]] for rule in pinned] == [
        ["iris-v1"],
        ["iris-v1"],
        ["iris-v2"],
        ["iris-v2"],
    ]


def test_a_version_is_reached_by_exact_path_and_by_header(deploy: Deploy) -> None:
    rules = deploy(service()).inputs("iris-route")["spec"]["rules"]
    assert [rule["matches"] for rule in rules[2:]] == [
        [{"path": {"type": "Exact", "value": "/iris/v2/predict"}}],
        [
            {
                "path": {"type": "Exact", "value": "/iris/predict"},
                "headers": [{"type": "Exact", "name": "x-model-version", "value": "v2"}],
            }
        ],
    ]


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
            "ModelService(\"iris\").versions name: reserved: got 'predict', allowed any DNS label but docs, feedback, "
            "models, predict; rename the version.",
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
