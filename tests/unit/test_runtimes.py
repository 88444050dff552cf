"""What a version's runtime makes of its pods, and which fields it refuses."""

import base64
from pathlib import Path
from typing import Any

import pytest
from modelway.serving.model_service import new_feedback_key
from modelway.serving.objects import ServerSpec, server_manifests
from modelway.serving.runtime_checks import Misfit, model_misfits, version_misfits
from modelway.serving.runtimes import RUNTIMES, Options, runtime_of
from modelway_server.prediction_id import read_keys
from modelway_server.settings import load as load_settings

IMAGE = "registry.example/x@sha256:" + "a" * 64


def objects(options: Options) -> dict[str, dict[str, Any]]:
    spec = ServerSpec("iris", "v1", "models", IMAGE, "gateway", "monitoring", runtime=runtime_of("iris", "v1", options))
    return {manifest["kind"]: manifest["spec"] for manifest in server_manifests(spec) if "spec" in manifest}


def server(options: Options) -> dict[str, Any]:
    (container,) = objects(options)["Deployment"]["template"]["spec"]["containers"]
    return dict(container)


def probed(container: dict[str, Any]) -> list[tuple[str, int]]:
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = (container[name]["httpGet"] for name in ("readinessProbe", "livenessProbe"))
    return [(probe["path"], ports[probe["port"]]) for probe in probes]


@pytest.mark.parametrize(
    ("runtime", "probes", "metrics"),
    [
        ("modelway", [("/readyz", 9090), ("/healthz", 9090)], ("9090", "/metrics")),
        ("container", [("/readyz", 9090), ("/healthz", 9090)], ("9090", "/metrics")),
        ("mlserver", [("/v2/health/ready", 8080), ("/v2/health/live", 8080)], ("9090", "/metrics")),
        ("triton", [("/v2/health/ready", 8080), ("/v2/health/live", 8080)], ("9090", "/metrics")),
        ("vllm", [("/health", 8080), ("/health", 8080)], ("8080", "/metrics")),
    ],
)
def test_probes_metrics_and_policy_follow_the_runtime(
    runtime: str, probes: list[tuple[str, int]], metrics: tuple[str, str]
) -> None:
    found = objects(Options(runtime))
    pod = found["Deployment"]["template"]
    assert probed(pod["spec"]["containers"][0]) == probes
    notes = pod["metadata"]["annotations"]
    assert (notes["prometheus.io/port"], notes["prometheus.io/path"]) == metrics
    assert [rule["ports"][0]["port"] for rule in found["NetworkPolicy"]["ingress"]] == [8080, int(metrics[0])]
    assert found["NetworkPolicy"]["egress"] == []


def test_a_container_may_have_other_ports_and_paths() -> None:
    own = {"port": 5000, "admin_port": 5001, "ready_path": "/ready", "health_path": "/alive", "metrics_path": "/m"}
    found = objects(Options("container", own))
    pod = found["Deployment"]["template"]
    assert probed(pod["spec"]["containers"][0]) == [("/ready", 5001), ("/alive", 5001)]
    assert pod["metadata"]["annotations"]["prometheus.io/path"] == "/m"
    assert [rule["ports"][0]["port"] for rule in found["NetworkPolicy"]["ingress"]] == [5000, 5001]
    assert found["Service"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"}]


def test_mlserver_writes_only_where_it_may() -> None:
    container = server(Options("mlserver", {"model_path": "/mnt/models"}))
    assert (container["command"], container["args"]) == (["mlserver"], ["start", "/mnt/models"])
    env = {each["name"]: each["value"] for each in container["env"]}
    assert [env[f"MLSERVER_{name}_DIR"] for name in ("METRICS", "ENVIRONMENTS")] == [
        "/tmp/metrics",  # noqa: S108
        "/tmp/environments",  # noqa: S108
    ]


def test_triton_closes_what_is_not_inference_to_everyone_outside_its_pod() -> None:
    container = server(Options("triton", {"args": ["--log-verbose=1"]}, gpus=1))
    assert container["command"] == ["tritonserver"]
    assert container["args"] == [
        "--model-repository=/model",
        "--http-port=8080",
        "--metrics-port=9090",
        "--allow-grpc=false",
        "--http-restricted-api=shared-memory,model-config,model-repository,statistics,trace,logging:"
        "x-modelway-pod=$(POD_UID)",
        "--exit-timeout-secs=30",
        "--log-verbose=1",
    ]
    assert {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}} in container["env"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


@pytest.mark.parametrize(
    ("gpus", "limit", "parallel"),
    [(None, "1", []), (0, None, []), (2, "2", ["--tensor-parallel-size=2"])],
)
def test_vllm_spreads_one_model_over_its_gpus(gpus: int | None, limit: str | None, parallel: list[str]) -> None:
    pod = objects(Options("vllm", {"model_path": "/models/llm"}, gpus))["Deployment"]["template"]["spec"]
    (container,) = pod["containers"]
    options = ["/models/llm", "--port=8080", "--served-model-name=iris", "--shutdown-timeout=300"]
    assert container["command"] + container["args"] == ["vllm", "serve", *options, *parallel]
    assert container["resources"]["limits"].get("nvidia.com/gpu") == limit
    assert ("tolerations" in pod) == (limit is not None)
    assert pod["terminationGracePeriodSeconds"] > 300


def test_folders_and_shared_memory_are_volumes_of_the_pod() -> None:
    pod = objects(Options("vllm", {"writable_paths": ["/lora"]}))["Deployment"]["template"]["spec"]
    volumes = {volume["name"]: volume["emptyDir"] for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {
        "/tmp": {"sizeLimit": "1Gi"},  # noqa: S108
        "/var/cache/modelway": {"sizeLimit": "1Gi"},
        "/lora": {"sizeLimit": "1Gi"},
        "/dev/shm": {"medium": "Memory", "sizeLimit": "2Gi"},  # noqa: S108
    }


def test_a_slow_start_is_waited_for_by_kubernetes_and_by_pulumi() -> None:
    spec = ServerSpec("m", "v1", "n", IMAGE, "g", "p", runtime=runtime_of("m", "v1", Options("vllm")))
    (deployment,) = [each for each in server_manifests(spec) if each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] == 900
    assert deployment["spec"]["progressDeadlineSeconds"] == 1080
    assert deployment["metadata"]["annotations"] == {"pulumi.com/timeoutSeconds": "2160"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_with_nothing_said_is_right(runtime: str) -> None:
    assert version_misfits(Options(runtime)) == []
    assert model_misfits({"v1": Options(runtime)}) == []


def container(**fields: Any) -> Options:
    return Options("container", fields)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options("tritan"), Misfit("runtime", "unknown value", "'tritan'", ", ".join(RUNTIMES), "write 'triton'")),
        (
            Options(gpus=1),
            Misfit(
                "gpus",
                "does not fit the runtime",
                "1",
                "with runtime container, mlserver, triton or vllm",
                "remove gpus",
            ),
        ),
        (Options("vllm", gpus=65), Misfit("gpus", "out of range", "65", "0 to 64", "change it")),
        (
            Options("triton", allow_pickle=True),
            Misfit(
                "allow_pickle",
                "does not fit the runtime",
                "true with runtime triton",
                "with runtime modelway",
                "remove allow_pickle",
            ),
        ),
        (
            Options("vllm", access_log=True),
            Misfit(
                "access_log",
                "does not fit the runtime",
                "true with runtime vllm",
                "with runtime modelway",
                "remove access_log",
            ),
        ),
        (
            Options("mlserver", {"args": ["x"]}),
            Misfit(
                "container.args",
                "does not fit the runtime",
                "args with runtime mlserver",
                "env, keep_alive_seconds, secret_files, startup_seconds, writable_paths, model_path",
                "remove args",
            ),
        ),
        (
            container(port=80),
            Misfit("container.port", "out of range", "80", "1024 to 65535, since lower ones need root", "change it"),
        ),
        (
            container(port=9090),
            Misfit(
                "container.port",
                "is the default of admin_port",
                "9090",
                "another port, or the same port said twice",
                "set admin_port",
            ),
        ),
        (
            container(predict_path="/metrics"),
            Misfit(
                "container.predict_path",
                "is not for users",
                "'/metrics'",
                "a path of its own, since metrics and health are never routed",
                "change it",
            ),
        ),
        (
            container(env={"MODELWAY_MODEL": "x"}),
            Misfit(
                "container.env",
                "set by the runtime",
                "MODELWAY_MODEL",
                "any name but MODELWAY_MODEL, MODELWAY_VERSION",
                "remove it",
            ),
        ),
        (
            container(env={"A": "x"}, secret_files={"A": {"secret": "s", "key": "k"}}),
            Misfit("container.secret_files", "in env as well", "A", "each name once", "remove one of them"),
        ),
        (
            container(user_id=0),
            Misfit("container.user_id", "out of range", "0", "1 to 2147483647, never root", "change it"),
        ),
        (
            container(writable_paths=["/tmp"]),  # noqa: S108
            Misfit(
                "container.writable_paths",
                "not a folder of the server",
                "'/tmp'",
                "an absolute path outside /dev, /etc, /proc, /sys, /var/run, /tmp",
                "correct it",
            ),
        ),
        (
            container(writable_paths=["/a", "/a"]),
            Misfit("container.writable_paths", "writable twice", "'/a'", "each folder once", "remove it"),
        ),
    ],
    ids=lambda value: value.field if isinstance(value, Misfit) else "",
)
def test_a_field_that_does_not_fit_is_named(options: Options, expected: Misfit) -> None:
    assert version_misfits(options) == [expected]


@pytest.mark.parametrize("path", ["predict", "/", "/a/", "/a b", "/a//b", "/a?b", "/é", ""])
def test_only_plain_paths_are_taken(path: str) -> None:
    assert [misfit.field for misfit in version_misfits(container(predict_path=path))] == ["container.predict_path"]


def test_one_port_for_both_may_be_said_outright() -> None:
    assert version_misfits(container(port=8080, admin_port=8080)) == []


def test_versions_that_cannot_take_each_others_requests_are_no_one_model() -> None:
    mixed = {"v1": Options(), "v2": Options("vllm")}
    assert model_misfits(mixed) == [
        Misfit(
            "versions",
            "no path in common",
            "v1 /predict and /v2, v2 /v1",
            "versions that can take each other's requests",
            "make a model of its own of the version that differs",
        )
    ]
    paths = {"v1": Options(), "v2": container(predict_path="/invocations")}
    assert [misfit.what for misfit in model_misfits(paths)] == ["predict_path differs"]
    assert model_misfits({"v1": Options(), "v2": Options("triton")}) == []


@pytest.mark.parametrize("names", [("Revenue",), ("a", "a"), ("",), tuple(f"n{i}" for i in range(21))])
def test_outcomes_are_names_that_can_be_labels(names: tuple[str, ...]) -> None:
    found = model_misfits({"v1": Options(feedback=True, feedback_outcomes=names)})
    assert [misfit.field for misfit in found] == ["feedback_outcomes"]


def test_our_own_server_knows_every_variable_and_reads_the_key(tmp_path: Path) -> None:
    options = Options(allow_pickle=True, access_log=True, feedback=True, feedback_outcomes=("revenue", "returned_7d"))
    settings = load_settings(runtime_of("iris", "v1", options).env)
    assert (settings.model, settings.version, settings.allow_pickle) == ("iris", "v1", True)
    assert (settings.access_log, settings.log_features) == (True, False)
    assert settings.feedback_key_file == Path("/var/run/secrets/modelway/feedback/keys")
    assert settings.feedback_outcomes == "revenue,returned_7d"
    file = tmp_path / "keys"
    file.write_bytes(base64.b64decode(new_feedback_key()))
    assert [len(key) for key in read_keys(file)] == [32]
