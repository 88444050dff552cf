"""Stack config: what is refused, and with which sentence."""

from pathlib import Path
from typing import Any

import pytest
from modelway import ContainerArgs
from modelway.serving.runtime_checks import CONTAINER_FIELDS
from modelway.serving.runtimes import RUNTIMES

from infra.config_schema import ContainerSettings, RuntimeName
from infra.settings import load, load_file, read_lock, resolve_image
from tools.problem import ProblemError

DIGEST = "registry.example/iris@sha256:" + "a" * 64
PROJECT = Path(__file__).resolve().parents[2]


def config(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "cluster": {"provider": "node"},
        "models": [{"name": "iris", "versions": [{"name": "v1", "image": DIGEST}]}],
    }
    return {f"modelway:{key}": value for key, value in {**base, **changes}.items() if value is not None}


def versions(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "iris", "versions": [{"image": DIGEST, **entry} for entry in entries]}]


def sentences(raw: dict[str, Any], stack: str = "test") -> list[str]:
    with pytest.raises(ProblemError) as caught:
        load(raw, stack)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "stack", sorted(path.name.split(".")[1] for path in (PROJECT / "stacks").glob("Pulumi.*.yaml"))
)
def test_every_stack_file_is_valid(stack: str) -> None:
    assert load_file(PROJECT / f"stacks/Pulumi.{stack}.yaml", stack).models


def test_keys_of_other_namespaces_are_left_alone() -> None:
    assert load({**config(), "aws:region": "eu-central-1"}, "test").models[0].name == "iris"


CASES: list[tuple[dict[str, Any], str]] = [
    (
        config(model=[]),
        "modelway:model: unknown key: got 'model', allowed environment, cluster, gateway, monitoring, logs, traces, "
        "registry, evaluation, modelRegistry, autoscaling, images, cost, policies, models; write 'models'.",
    ),
    (config(models=None), "modelway:models: missing: got nothing, allowed a value; add models."),
    (
        config(environment="prd"),
        "modelway:environment: unknown value: got 'prd', allowed development, staging, production; remove or correct it.",
    ),
    (
        config(cluster={"provider": "kindd"}),
        "modelway:cluster.provider: unknown value: got 'kindd', allowed node, kind, existing, eks, gke; write 'kind'.",
    ),
    (
        config(cluster={"provider": "existing"}),
        "modelway:cluster.kubeconfig: missing: got nothing, allowed the path of a kubeconfig, or eks or gke with the name of a cluster; set kubeconfig.",
    ),
    (
        config(cluster={"provider": "node", "context": "x"}),
        "modelway:cluster.context: not used with provider node: got 'x', allowed only with provider existing; "
        "remove context.",
    ),
    (
        config(models=versions({"name": "v1", "weight": 90}, {"name": "v2", "weight": 20})),
        "modelway:models iris.versions weight: weights do not sum to 100: got 90 + 20 = 110, allowed whole numbers with "
        "the sum 100; change the weights.",
    ),
    (
        config(models=versions({"name": "v1", "weight": 50}, {"name": "v1", "weight": 50})),
        "modelway:models iris.versions: version name used twice: got 'v1', allowed each name once; rename or remove one "
        "version.",
    ),
    (
        config(models=versions({"name": "v1"}) * 2),
        "modelway:models: model name used twice: got 'iris', allowed each name once; rename or remove one model.",
    ),
    (
        config(models=versions({"name": "predict"})),
        "modelway:models[0].versions[0].name: reserved name: got 'predict', allowed any DNS label but docs, "
        "experiment, feedback, judge, models, predict, split, unknown; rename it.",
    ),
    (
        config(models=versions({"name": "V_1"})),
        "modelway:models[0].versions[0].name: no DNS label: got 'V_1', allowed lower-case letters, digits and '-', a "
        "letter first, no '-' last, at most 63 characters; rename it.",
    ),
    (
        config(models=versions({"name": "v1", "weight": "100"})),
        "modelway:models[0].versions[0].weight: wrong type: got '100' (str), allowed a whole number; correct it.",
    ),
    (
        config(models=versions({"name": "v1", "weight": 101})),
        "modelway:models[0].versions[0].weight: not allowed: got 101, allowed 100 or less; correct it.",
    ),
    (
        config(models=versions({"name": "v1", "wieght": 100})),
        "modelway:models[0].versions[0].wieght: unknown key: got 'wieght', allowed name, image, model, sha256, "
        "serverImage, fetch, weight, shadow, replicas, "
        "autoscaling, resources, runtime, container, gpus, allowPickle; write 'weight'.",
    ),
    (
        config(models=versions({"name": "v1", "replicas": 0})),
        "modelway:models[0].versions[0].replicas: not allowed: got 0, allowed 1 or more; correct it.",
    ),
    (
        config(models=versions({"name": "v1", "resources": {"memoryLimit": "1g"}})),
        "modelway:models[0].versions[0].resources.memoryLimit: no Kubernetes quantity: got '1g', allowed a number with "
        "m, Ki, Mi, Gi or Ti such as 500m or 512Mi; correct it.",
    ),
    (
        config(models=versions({"name": "v1", "replicas": 2, "autoscaling": {"minReplicas": 1, "maxReplicas": 3}})),
        "modelway:models iris.v1.replicas: set together with autoscaling: got 2, allowed one of the two; remove "
        "replicas, the autoscaler owns it.",
    ),
    (
        config(models=versions({"name": "v1", "autoscaling": {"minReplicas": 4, "maxReplicas": 3}})),
        "modelway:models iris.v1.autoscaling: minReplicas above maxReplicas: got 4 > 3, allowed minReplicas <= "
        "maxReplicas; swap them.",
    ),
    (
        config(models=[{"name": "iris", "versions": [], "pathPrefix": "/iris"}]),
        "modelway:models[0].versions: not allowed: got a list of 0, allowed 1 or more entries; correct it.",
    ),
    (
        config(models=[{**versions({"name": "v1"})[0], "pathPrefix": "/"}]),
        "modelway:models iris.pathPrefix: takes every model's paths: got '/', allowed '/' only together with host; "
        "set host.",
    ),
    (
        config(
            models=[versions({"name": "v1"})[0], {**versions({"name": "v1"})[0], "name": "b", "pathPrefix": "/iris"}]
        ),
        "modelway:models b: same host and path as another model: got */iris of iris, allowed a host and path of its own; "
        "set pathPrefix or host.",
    ),
    (
        config(models=versions({"name": "v1", "runtime": "trition"})),
        "modelway:models[0].versions[0].runtime: unknown value: got 'trition', allowed modelway, container, mlserver, "
        "triton, vllm; write 'triton'.",
    ),
    (
        config(models=versions({"name": "v1", "runtime": "vllm", "container": {"adminPort": 9091}})),
        "modelway:models iris.v1.container.adminPort: does not fit the runtime: got adminPort with runtime vllm, allowed "
        "args, env, secretFiles, startupSeconds, writablePaths, modelPath; remove adminPort.",
    ),
    (
        config(models=versions({"name": "v1", "runtime": "container", "container": {"env": {"WORKERS": 2}}})),
        "modelway:models[0].versions[0].container.env.WORKERS: wrong type: got 2 (int), allowed text; correct it.",
    ),
    (
        config(
            models=versions(
                {"name": "v1", "runtime": "container", "container": {"secretFiles": {"T": {"secret": "s", "kye": "k"}}}}
            )
        ),
        "modelway:models[0].versions[0].container.secretFiles.T.kye: unknown key: got 'kye', allowed secret, key; "
        "write 'key'.",
    ),
    (
        config(models=[{**versions({"name": "v1"})[0], "feedbackOutcomes": ["revenue"]}]),
        "modelway:models iris.feedbackOutcomes: set without feedback: got revenue, allowed with feedback; set feedback.",
    ),
    (
        config(
            models=[
                {"name": name, "versions": [{"name": v, "image": DIGEST}]} for name, v in (("a", "b-c"), ("a-b", "c"))
            ]
        ),
        "modelway:models a-b: two objects of one name: got a-b-c of a and of a-b, allowed different MODEL-VERSION; "
        "rename one model or version.",
    ),
    (
        config(registry={"username": "me"}),
        "modelway:registry.password: missing: got nothing, allowed url, username and password; set password.",
    ),
]


@pytest.mark.parametrize(("raw", "sentence"), CASES, ids=[sentence.split(": got")[0] for _, sentence in CASES])
def test_a_wrong_config_is_refused_with_one_sentence(raw: dict[str, Any], sentence: str) -> None:
    assert sentence in sentences(raw)


EDGE = {
    "address": "models.example",
    "auth": {},
    "tls": {"hosts": ["models.example"], "issuer": "secret", "secret": "tls"},
}


def test_a_production_stack_must_spell_the_digest() -> None:
    raw = config(
        environment="production",
        cluster={"provider": "existing", "kubeconfig": "k"},
        gateway=EDGE,
        evaluation={"required": False},
        images={"gateway": DIGEST, "prometheus": "prom/prometheus:v3"},
        models=[{"name": "iris", "versions": [{"name": "v1", "image": "iris:v1"}]}],
    )
    assert sentences(raw, "prod") == [
        "modelway:models iris.v1.image: no digest in a production stack: got 'iris:v1', allowed REPOSITORY@sha256:"
        "<64 hex digits>; write the digest that `package` printed.",
        "modelway:images.prometheus: no digest in a production stack: got 'prom/prometheus:v3', allowed REPOSITORY@"
        "sha256:<64 hex digits>; set images.prometheus.",
    ]


def test_a_production_stack_opens_no_pickle() -> None:
    version = {"name": "v1", "image": DIGEST, "allowPickle": True}
    raw = config(
        environment="production",
        cluster={"provider": "existing", "kubeconfig": "k"},
        gateway=EDGE,
        evaluation={"required": False},
        images={"gateway": DIGEST, "prometheus": DIGEST},
        models=[{"name": "iris", "versions": [version]}],
    )
    assert sentences(raw, "prod") == [
        "modelway:models iris.v1.allowPickle: opens files that can run any code in a production stack: got true, allowed "
        "ONNX, XGBoost, LightGBM or skops; package the model in one of these and remove allowPickle."
    ]


def test_the_stack_knows_the_runtimes_of_the_components() -> None:
    assert [each.value for each in RuntimeName] == list(RUNTIMES)


def test_the_stack_has_exactly_the_container_fields_of_the_components() -> None:
    known = {name for names in CONTAINER_FIELDS.values() for name in names}
    assert set(ContainerSettings.model_fields) == known == set(ContainerArgs.__annotations__)


def test_problems_of_different_keys_are_reported_together() -> None:
    raw = config(environment="prd", models=versions({"name": "v1", "weight": 90}, {"name": "v1", "weight": 20}))
    assert [sentence.split(": got")[0] for sentence in sentences(raw)] == [
        "modelway:environment: unknown value",
        "modelway:models iris.versions: version name used twice",
        "modelway:models iris.versions weight: weights do not sum to 100",
    ]


def test_a_stack_file_that_is_no_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text("config:\n  modelway:models: [\n")
    with pytest.raises(ProblemError, match=r"Pulumi.x.yaml line 3: not a stack file: got no valid YAML"):
        load_file(file, "x")


def test_an_encrypted_value_is_accepted_without_its_key(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(
        "config:\n  modelway:cluster: {provider: node}\n"
        "  modelway:registry: {url: r.example, username: me, password: {secure: v1:abc}}\n"
        f'  modelway:models: [{{name: iris, versions: [{{name: v1, image: "{DIGEST}"}}]}}]\n'
    )
    settings = load_file(file, "x")
    assert settings.registry.password is not None
    assert "secret" not in repr(settings)


def test_an_image_without_digest_comes_from_the_lock_file(tmp_path: Path) -> None:
    raw = config(models=[{"name": "iris", "versions": [{"name": "v1", "image": "iris:v1"}]}])
    (model,) = load(raw, "test").models
    lock = tmp_path / "lock.json"
    assert read_lock(lock) == {}
    with pytest.raises(
        ProblemError, match=r"modelway:models iris.v1.image: image was never packaged here: got 'iris:v1'"
    ):
        resolve_image(model, model.versions[0], read_lock(lock))
    lock.write_text(f'{{"iris:v1": "{DIGEST}"}}')
    assert resolve_image(model, model.versions[0], read_lock(lock)) == DIGEST
