"""What may be said about a model that pods fetch, and what becomes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from modelway.serving.fetch import Fetch, fetch_egress, fetch_of
from modelway.serving.fetch_checks import fetch_misfits
from modelway.serving.misfit import Misfit
from modelway.serving.model_service import _subjects, policy_manifests, route_spec
from modelway.serving.runtime_checks import version_misfits
from modelway.serving.runtimes import Options, runtime_of

from infra import fetching
from infra.evaluation import report_problems
from infra.fetching import deployed_digest, fetch_args
from infra.settings import load
from tools.problem import ProblemError

SUM = "5e" * 32
IMAGE = "registry.example/server@sha256:" + "a" * 64
S3 = {"source": "s3://bucket/iris", "sha256": SUM}
SECRET = {"secret": "store", "key": "file"}


@pytest.mark.parametrize(
    "fetch",
    [
        S3,
        {**S3, "region": "eu-central-1", "size_limit_mib": 1},
        {**S3, "endpoint": "https://store.example:9000", "credentials": SECRET},
        {**S3, "identity_annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/r"}},
        {"source": "gs://bucket/a/b", "sha256": SUM, "credentials": SECRET},
        {"source": "https://models.example/a", "sha256": SUM, "egress_cidrs": ["203.0.113.0/24", "2001:db8::/32"]},
        {"source": "file:///a/b", "sha256": SUM, "volume_claim": "models"},
    ],
)
def test_every_kind_of_source_is_accepted(fetch: dict[str, Any]) -> None:
    assert list(fetch_misfits(fetch, "modelway")) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"source": "s3://bucket/iris/"},
            Misfit(
                "fetch.source",
                "is no place of a model",
                "'s3://bucket/iris/'",
                "a folder at s3://, gs://, https://, http:// or file:/// without a '/' at its end",
                "correct it",
            ),
        ),
        (
            {"sha256": "5E" * 32},
            Misfit(
                "fetch.sha256",
                "no sha256",
                repr("5E" * 32),
                "64 hex digits",
                "write the sha256 of the artifact's manifest.json",
            ),
        ),
        (
            {"volume_claim": "models"},
            Misfit(
                "fetch.volume_claim", "does not fit the source", "with s3://", "with file://", "remove volume_claim"
            ),
        ),
        (
            {"source": "gs://bucket/iris", "region": "x"},
            Misfit("fetch.region", "does not fit the source", "with gs://", "with s3://", "remove region"),
        ),
        (
            {"source": "file:///iris"},
            Misfit(
                "fetch.volume_claim",
                "missing for file://",
                "nothing",
                "the name of a PersistentVolumeClaim",
                "name the claim that holds the model",
            ),
        ),
        (
            {"endpoint": "https://store.example"},
            Misfit(
                "fetch.credentials",
                "missing for an endpoint",
                "nothing",
                "a Secret and its key",
                "name a Secret with an AWS credentials file",
            ),
        ),
        (
            {"credentials": SECRET, "identity_annotations": {"a": "b"}},
            Misfit(
                "fetch.credentials",
                "set together with identity_annotations",
                "both",
                "one of the two",
                "remove one of them",
            ),
        ),
        ({"size_limit_mib": 0}, Misfit("fetch.size_limit_mib", "out of range", "0", "1 to 1048576", "change it")),
        (
            {"credentials": SECRET, "endpoint": "store.example"},
            Misfit(
                "fetch.endpoint",
                "not a usable value",
                "'store.example'",
                "http(s)://HOST or http(s)://HOST:PORT",
                "correct it",
            ),
        ),
        (
            {"credentials": {"secret": "Store", "key": "file"}},
            Misfit(
                "fetch.credentials",
                "not a reference",
                "'Store', 'file'",
                "the name of a Secret and one of its keys",
                "correct it",
            ),
        ),
        (
            {"egress_cidrs": ["10.0.0.1/8"]},
            Misfit(
                "fetch.egress_cidrs", "not a network", "'10.0.0.1/8'", "a network such as 203.0.113.0/24", "correct it"
            ),
        ),
    ],
    ids=lambda value: value.what if isinstance(value, Misfit) else "",
)
def test_what_does_not_fit_is_named(change: dict[str, Any], expected: Misfit) -> None:
    assert list(fetch_misfits({**S3, **change}, "modelway")) == [expected]


def test_other_servers_have_their_model_in_the_image() -> None:
    assert version_misfits(Options("triton", fetch=S3)) == [
        Misfit(
            "fetch",
            "does not fit the runtime",
            "with runtime triton",
            "with runtime modelway",
            "build the model into the image",
        )
    ]


def test_an_ipv6_address_is_one_address() -> None:
    (rule,) = fetch_egress(Fetch("http://[2001:db8::9]:8080/iris", SUM))
    assert rule == {
        "to": [{"ipBlock": {"cidr": "2001:db8::9/128"}}],
        "ports": [{"protocol": "TCP", "port": 8080}],
    }


def test_fields_that_are_not_set_are_left_to_their_defaults() -> None:
    assert fetch_of({**S3, "region": None, "size_limit_mib": 3.0}) == Fetch("s3://bucket/iris", SUM, 3)


def config(version: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "modelway:cluster": {"provider": "node"},
        "modelway:models": [{"name": "iris", "versions": [{"name": "v1", **version}]}],
        "modelway:images": {"modelServer": IMAGE},
        **{f"modelway:{key}": value for key, value in more.items()},
    }


def sentences(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        load(raw, "node")
    return [str(problem) for problem in caught.value.problems]


def version_of(raw: dict[str, Any]) -> Any:
    return load(raw, "node").models[0].versions[0]


def test_a_model_is_served_by_the_stacks_image_of_the_server() -> None:
    version = version_of(config({"model": "s3://bucket/iris", "sha256": SUM, "fetch": {"region": "eu-west-1"}}))
    assert version.image == IMAGE
    assert fetch_args(version) == {"source": "s3://bucket/iris", "sha256": SUM, "region": "eu-west-1"}
    other = IMAGE.replace("server", "xgboost")
    assert version_of(config({"model": "s3://bucket/iris", "sha256": SUM, "serverImage": other})).image == other
    assert fetch_args(version_of(config({"image": IMAGE}))) is None


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (
            {},
            "modelway:models iris.v1.image: missing: got neither image nor model, allowed one of the two; "
            "add image, or model with sha256.",
        ),
        (
            {"image": IMAGE, "model": "s3://bucket/iris", "sha256": SUM},
            f"modelway:models iris.v1.image: set together with model: got '{IMAGE}', allowed one of the two; "
            "remove image; the server's own is serverImage.",
        ),
        (
            {"image": IMAGE, "sha256": SUM},
            "modelway:models iris.v1.sha256: set without model: got sha256, allowed with model; "
            "remove sha256, or name a model.",
        ),
        (
            {"model": "s3://bucket/iris"},
            "modelway:models iris.v1.sha256: missing for a model: got nothing, allowed 64 hex digits; "
            "add the sha256 of the artifact's manifest.json.",
        ),
        (
            {"model": "ftp://bucket/iris", "sha256": SUM},
            "modelway:models iris.v1.model: is no place of a model: got 'ftp://bucket/iris', allowed a folder at s3://, "
            "gs://, https://, http:// or file:/// without a '/' at its end; correct it.",
        ),
        (
            {"model": "file:///iris", "sha256": SUM},
            "modelway:models iris.v1.fetch.volumeClaim: missing for file://: got nothing, allowed the name of a "
            "PersistentVolumeClaim; name the claim that holds the model.",
        ),
        (
            {"model": "models:/iris@champion"},
            "modelway:models iris.v1.model: is not in the models lock: got 'models:/iris@champion', allowed an alias or "
            "version that models.node.lock.json pins; run `modelway models lock node`.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_source_is_refused_with_one_sentence(version: dict[str, Any], sentence: str) -> None:
    assert sentences(config(version)) == [sentence]


def test_a_model_needs_an_image_of_the_server() -> None:
    assert sentences(config({"model": "s3://bucket/iris", "sha256": SUM}, images={})) == [
        "modelway:images.modelServer: missing for a model: got nothing for modelway:models iris.v1, allowed an image; "
        "name an image of the server for the model's format; every packaged one is."
    ]


def test_a_registered_model_is_what_the_lock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = {"version": "3", "sha256": SUM, "source": "s3://bucket/1/m-1", "bytes": 5 * 2**20, "registry": "mlflow"}
    file = tmp_path / "models.node.lock.json"
    file.write_text(json.dumps({"format": 1, "models": {"models:/iris@champion": locked}}))
    monkeypatch.setattr(fetching, "stack_lock", lambda _: file)
    version = version_of(config({"model": "models:/iris@champion", "fetch": {"region": "eu-west-1"}}))
    assert fetch_args(version) == {
        "source": "s3://bucket/1/m-1",
        "sha256": SUM,
        "size_limit_mib": 7,
        "region": "eu-west-1",
    }
    (reason,) = sentences(config({"model": "models:/iris@champion", "sha256": "0" * 64}))
    assert reason.startswith("modelway:models iris.v1.model: differs from the models lock: got sha256 0000")


def test_the_report_of_a_fetched_model_is_on_the_model_and_not_on_the_server() -> None:
    version = version_of(config({"model": "s3://bucket/iris", "sha256": SUM}))
    assert deployed_digest(version, IMAGE) == SUM
    assert deployed_digest(version_of(config({"image": IMAGE})), IMAGE) == "a" * 64
    assert report_problems(load(config({"image": IMAGE}), "node"), {}) == []


def idle(*keep_alive: int) -> str | None:
    """The gateway's idle timeout for a model whose servers keep connections for so long."""
    versions: Any = [
        {
            "name": f"v{index}",
            "image": IMAGE,
            "weight": 0 if index else 100,
            "runtime": "container",
            "container": {"keep_alive_seconds": seconds},
        }
        for index, seconds in enumerate(keep_alive)
    ]
    spec = route_spec("iris", {"versions": versions, "namespace": "n", "gateway_url": "http://gateway"})
    policy = policy_manifests(spec).get("traffic-policy")
    return None if policy is None else policy["spec"]["timeout"]["http"]["connectionIdleTimeout"]


def test_the_gateway_forgets_connections_before_the_hastiest_server_ends_them() -> None:
    assert idle(75, 100) is None
    assert idle(75, 5) == "2s"
    assert idle(3) == "1s"
    assert idle(60) == "24s"
    assert runtime_of("m", "v", Options("mlserver")).keep_alive_seconds == 5
    assert runtime_of("m", "v", Options()).keep_alive_seconds == 75


@pytest.mark.parametrize("seconds", [2, 3601])
def test_a_keep_alive_that_leaves_no_time_is_refused(seconds: int) -> None:
    assert version_misfits(Options("container", {"keep_alive_seconds": seconds})) == [
        Misfit("container.keep_alive_seconds", "out of range", f"{seconds}", "3 to 3600", "change it")
    ]


def test_vllm_is_told_its_keep_alive_by_the_preset() -> None:
    (found,) = version_misfits(Options("vllm", {"keep_alive_seconds": 10}))
    assert found.what == "does not fit the runtime"


def test_an_experiment_tells_the_servers_whom_to_count() -> None:
    env = runtime_of("m", "v", Options(subjects={"header": "x-user-id", "slow_seconds": 0.25})).env
    assert {name: value for name, value in env.items() if "S" in name.split("_")[1][:1]} == {
        "MODELWAY_SUBJECTS": "true",
        "MODELWAY_SUBJECT_HEADER": "x-user-id",
        "MODELWAY_SLOW_SECONDS": "0.25",
    }
    assert runtime_of("m", "v", Options(subjects={"cookie": "uid"})).env["MODELWAY_SUBJECT_COOKIE"] == "uid"
    assert "MODELWAY_SUBJECTS" not in runtime_of("m", "v", Options()).env
    assert runtime_of("m", "v", Options(shadow=True)).env["MODELWAY_SHADOW"] == "true"


def test_the_versions_of_an_experiment_count_users_by_the_key_of_the_split() -> None:
    versions: Any = [
        {"name": "v1", "image": IMAGE, "weight": 100},
        {"name": "v2", "image": IMAGE, "weight": 0},
    ]
    latency = {"kind": "latency", "threshold_seconds": 0.25}
    args: Any = {
        "versions": versions,
        "namespace": "n",
        "gateway_url": "http://gateway",
        "sticky": {"cookie": "uid"},
        "experiment": {"candidate": "v2", "metrics": [latency]},
        "judge_image": IMAGE,
    }
    assert _subjects(args, route_spec("iris", args)) == {"cookie": "uid", "slow_seconds": 0.25}
    args["experiment"] = {"candidate": "v2", "metrics": [{"kind": "errors"}]}
    assert _subjects(args, route_spec("iris", args)) == {"cookie": "uid", "slow_seconds": 0.1}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (Options("triton", subjects={}), "subjects"),
        (Options(subjects={}, shadow=True), "subjects"),
        (Options(subjects={"header": "a", "cookie": "b"}), "subjects.cookie"),
        (Options(subjects={"slow_seconds": 0.0}), "subjects.slow_seconds"),
    ],
)
def test_subjects_that_do_not_fit_are_named(options: Options, field: str) -> None:
    assert [misfit.field for misfit in version_misfits(options)] == [field]
