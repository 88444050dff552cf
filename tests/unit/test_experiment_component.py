"""What a model with an experiment registers, and what `Experiment` refuses."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from modelway import Experiment, ModelService

Deploy = Callable[[Callable[[], object]], Any]
DIGEST = "registry.example/iris@sha256:" + "a" * 64
JUDGE = "registry.example/rollout-judge@sha256:" + "c" * 64
RULES: dict[str, Any] = {"candidate": "v2", "metrics": [{"kind": "latency", "threshold_seconds": 0.2}]}


def service(**changes: Any) -> Callable[[], object]:
    """A model under an experiment."""
    args: dict[str, Any] = {
        "versions": [
            {"name": "v1", "image": DIGEST, "weight": 100},
            {"name": "v2", "image": DIGEST, "weight": 0},
            {"name": "v3", "image": DIGEST, "shadow": True},
        ],
        "namespace": "modelway-models",
        "gateway_url": "http://127.0.0.1:8080",
        "sticky": {"header": "x-user-id"},
        "experiment": RULES,
        "judge_image": JUDGE,
        **changes,
    }
    given = {name: value for name, value in args.items() if value is not None}
    return lambda: ModelService("iris", given)


def experiment(**changes: Any) -> Callable[[], object]:
    """An experiment by itself."""
    args: dict[str, Any] = {
        "model": "iris",
        "namespace": "models",
        "rules": {**RULES, "champion": "v1"},
        "judge_image": JUDGE,
        "route": "{}",
        "fingerprint": "a",
        **changes,
    }
    return lambda: Experiment("iris", args)


def test_the_judge_gets_the_whole_route_and_the_plan_of_the_model(deploy: Deploy) -> None:
    deployed = deploy(service())
    data = deployed.inputs("iris-experiment")["data"]
    plan, route = json.loads(data["plan.json"]), json.loads(data["route.json"])
    assert (plan["champion"], plan["candidate"], plan["sticky"]) == ("v1", "v2", True)
    registered = deployed.inputs("iris-split-route")
    assert route["spec"] == registered["spec"]
    assert [backend["name"] for backend in route["spec"]["rules"][0]["backendRefs"]] == ["iris-v1", "iris-v2"]
    assert registered["metadata"]["annotations"] == {"modelway.dev/experiment": "iris-experiment"}
    template = deployed.inputs("iris-judge-deployment")["spec"]["template"]
    assert len(template["metadata"]["annotations"]["modelway.dev/content"]) == 16
    environment = {each["name"]: each["value"] for each in template["spec"]["containers"][0]["env"]}
    assert environment == {
        "MODELWAY_NAMESPACE": "modelway-models",
        "MODELWAY_EXPERIMENT": "iris-experiment",
        "MODELWAY_PROMETHEUS_URL": "http://prometheus.modelway-monitoring.svc:9090",
        "MODELWAY_GATEWAY_NAMESPACE": "modelway-gateway",
    }


def test_servers_of_the_split_count_users_and_shadows_do_not(deploy: Deploy) -> None:
    deployed = deploy(service())
    counting = {}
    for version in ("v1", "v2", "v3"):
        pod = deployed.inputs(f"iris-{version}-deployment")["spec"]["template"]["spec"]
        named = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
        counting[version] = {key: value for key, value in named.items() if "SUBJECT" in key or "SLOW" in key}
    counts = {
        "MODELWAY_SUBJECTS": "true",
        "MODELWAY_SUBJECT_HEADER": "x-user-id",
        "MODELWAY_SLOW_SECONDS": "0.2",
    }
    assert counting == {"v1": counts, "v2": counts, "v3": {}}


def test_a_model_without_an_experiment_may_take_its_weights_back(deploy: Deploy) -> None:
    deployed = deploy(service(experiment=None, judge_image=None))
    assert deployed.inputs("iris-split-route")["metadata"]["annotations"] == {"pulumi.com/patchForce": "true"}
    assert deployed.names("Lease") == []


def test_more_pods_or_another_weight_of_a_third_version_are_no_other_experiment(deploy: Deploy) -> None:
    versions = [
        {"name": "v1", "image": DIGEST, "weight": 100, "replicas": 4},
        {"name": "v2", "image": DIGEST, "weight": 0, "autoscaling": {"min_replicas": 2, "max_replicas": 3}},
    ]
    ids = []
    for changes in ({}, {"versions": versions}):
        deployed = deploy(service(**changes))
        (*_, found) = [each for each in deployed.resources if each.name == "iris-experiment"]
        ids.append(json.loads(found.inputs["data"]["plan.json"])["experiment"])
    assert ids[0] == ids[1]


REFUSED: list[tuple[Callable[[], object], str]] = [
    (
        service(judge_image=None),
        'ModelService("iris").judge_image: missing for an experiment: got nothing, allowed REPOSITORY@sha256:DIGEST; '
        "set judge_image to the image of the judge by digest.",
    ),
    (
        service(experiment=None),
        "ModelService(\"iris\").judge_image: set without experiment: got 'judge_image', allowed with experiment; remove "
        "it, or add an experiment.",
    ),
    (
        service(experiment={**RULES, "candidate": "v9"}),
        "ModelService(\"iris\").experiment.candidate: names no version: got 'v9', allowed v1, v2; name one of these.",
    ),
    (
        experiment(judge_image="judge:1"),
        "Experiment(\"iris\").judge_image: no digest: got 'judge:1', allowed REPOSITORY@sha256:<64 hex digits>; write "
        "the digest that the push printed.",
    ),
    (
        experiment(rules=RULES),
        'Experiment("iris").rules.champion: missing: got nothing, allowed the name of a version; set champion.',
    ),
    (
        experiment(model="Iris"),
        "Experiment(\"iris\").model: not a DNS label: got 'Iris', allowed lower-case letters, digits and '-', a letter "
        "first, no '-' last, at most 63 characters; rename it.",
    ),
    (
        experiment(rules={**RULES, "champion": "v1", "alpha": 2.0}),
        'Experiment("iris").rules.alpha: out of range: got 2, allowed more than 0 and at most 0.2; change it.',
    ),
    (
        experiment(rules={**RULES, "champion": "v1", "candidate": "v1"}),
        "Experiment(\"iris\").rules.candidate: is the champion itself: got 'v1', allowed another version; name another "
        "candidate.",
    ),
]


@pytest.mark.parametrize(("program", "sentence"), REFUSED, ids=[sentence.split(": got")[0] for _, sentence in REFUSED])
def test_what_cannot_be_judged_is_refused_in_one_sentence(
    deploy: Deploy, program: Callable[[], object], sentence: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        deploy(program)
    assert str(caught.value) == sentence
