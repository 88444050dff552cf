"""Logs of the stack config: what reaches the component, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
from modelway.logging.collector import IMAGE, collector_spec
from modelway.logging.objects import collector_manifests
from modelway.logging.pipeline import Destination, Pipeline, collector_config

from infra.logs import log_args
from infra.settings import load, load_file
from tools.problem import ProblemError

DIGEST = "registry.example/iris@sha256:" + "a" * 64
LOKI = {"destination": "loki", "url": "https://loki.example:3100"}


def config(logs: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    model = {"name": "iris", "versions": [{"name": "v1", "image": DIGEST}], "access": "public"}
    found = {"modelway:cluster": {"provider": "node"}, "modelway:models": [model], **more}
    return found if logs is None else {**found, "modelway:logs": logs}


def refused(logs: dict[str, Any] | None, **more: Any) -> list[str]:
    """The sentences about a stack with these logs."""
    with pytest.raises(ProblemError) as caught:
        load(config(logs, **more), "test")
    return str(caught.value).splitlines()


@pytest.mark.parametrize("logs", [None, {}])
def test_a_stack_that_sends_its_logs_nowhere_has_no_collector(logs: dict[str, Any] | None) -> None:
    assert log_args(load(config(logs), "test")) is None


def test_every_key_reaches_the_collector() -> None:
    said = {
        **LOKI,
        "tenant": "models",
        "redactedFields": ["ssn"],
        "redactedPatterns": ["[0-9]{16}"],
        "predictionPercent": 12.5,
        "queueMb": 256,
        "identityAnnotations": {"a": "b"},
        "egressCidrs": ["192.0.2.0/24"],
    }
    args = log_args(load(config(said), "test"))
    assert args is not None
    spec = collector_spec("logs", args)  # type: ignore[arg-type]
    assert spec.pipeline == Pipeline(
        Destination("loki", "https://loki.example:3100", "models"),
        ("modelway-models", "modelway-gateway"),
        False,
        ("ssn",),
        ("[0-9]{16}",),
        12.5,
        256,
    )
    assert (spec.image, spec.identity_annotations, spec.egress_cidrs) == (IMAGE, {"a": "b"}, ("192.0.2.0/24",))


def test_the_keys_of_a_cloud_reach_the_collector() -> None:
    said = {"destination": "cloudwatch", "region": "eu-central-1", "logGroup": "/m", "retentionDays": 30}
    args = log_args(load(config(said), "test"))
    assert args is not None
    to = collector_spec("logs", args).pipeline.destination  # type: ignore[arg-type]
    assert to == Destination("cloudwatch", region="eu-central-1", log_group="/m", retention_days=30)


ANYTHING_OF_LOKI = "allowed url, tenant with loki"
W = "modelway:logs"


@pytest.mark.parametrize(
    ("logs", "sentence"),
    [
        ({**LOKI, "url": None}, f"{W}.url: missing: got nothing, allowed the url of loki; set url."),
        (
            {**LOKI, "url": "loki:3100"},
            f"{W}.url: no URL: got 'loki:3100', allowed http(s)://HOST:PORT; correct it.",
        ),
        (
            {**LOKI, "url": "https://loki.example/otlp"},
            f"{W}.url: has the path of an API: got 'https://loki.example/otlp', allowed http(s)://HOST:PORT of loki; "
            "leave the path out.",
        ),
        (
            {**LOKI, "url": "https://me:hidden@loki.example"},
            f"{W}.url: has a password in it: got USER:PASSWORD@, allowed http(s)://HOST:PORT; set the authorization "
            "instead.",
        ),
        (
            {**LOKI, "url": "http://loki.example", "authorization": "secret"},
            f"{W}.url: a secret would travel in the clear: got 'http://loki.example', allowed https, or a Service of "
            "the cluster; use https.",
        ),
        (
            {**LOKI, "retentionDays": 7},
            f"{W}.retentionDays: loki takes none: got 7, {ANYTHING_OF_LOKI}; remove it.",
        ),
        (
            {"destination": "cloudwatch", "region": "eu-central-1", "retentionDays": 8},
            f"{W}.retentionDays: CloudWatch keeps no such time: got 8, allowed 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, "
            "180, 365, 400, 545, 731, 1827, 2192, 2557, 2922, 3288, 3653; choose one.",
        ),
        (
            {"destination": "cloudwatch"},
            f"{W}.region: missing: got nothing, allowed the region of cloudwatch; set region.",
        ),
        (
            {"destination": "cloudLogging", "project": "X"},
            f"{W}.project: not usable: got 'X', allowed a project id of 6 to 30 lower-case letters, digits and '-'; "
            "correct it.",
        ),
        (
            {"destination": "cloudLogging", "authorization": "secret"},
            f"{W}.authorization: cloudLogging takes none: got a header, allowed the cloud's identity; remove it, and "
            "set identityAnnotations.",
        ),
        (
            {**LOKI, "redactedFields": ["request_id"]},
            f"{W}.redactedFields: a line could not be found again: got 'request_id', allowed fields that lines are "
            "not found by; remove request_id.",
        ),
        (
            {**LOKI, "redactedFields": ["social security"]},
            f"{W}.redactedFields: no name of a field: got 'social security', allowed names of letters, digits and "
            "_.@$-; correct it, or use a pattern.",
        ),
        (
            {**LOKI, "redactedPatterns": ["(?=x)y"]},
            f"{W}.redactedPatterns: RE2 has no look-around and no back references: got '(?=x)y', allowed regular "
            "expressions of RE2; correct it.",
        ),
        (
            {**LOKI, "redactedPatterns": ["x*"]},
            f"{W}.redactedPatterns: matches nothing at all, so everything: got 'x*', allowed patterns of at least one "
            "character; correct it.",
        ),
        (
            {**LOKI, "predictionPercent": 0},
            f"{W}.predictionPercent: out of range: got 0, allowed above 0 and at most 100; raise it, or leave the "
            "logs out.",
        ),
        ({**LOKI, "queueMb": 1}, f"{W}.queueMb: out of range: got 1, allowed 64 to 65536; change it."),
    ],
    ids=lambda value: None if isinstance(value, dict) else re.sub(r"^\S+logs\.|:.*", "", value),
)
def test_what_does_not_fit_is_refused_in_one_sentence(logs: dict[str, Any], sentence: str) -> None:
    assert refused(logs) == [sentence]


def test_everything_wrong_is_said_together() -> None:
    assert len(refused({**LOKI, "url": "x", "queueMb": 1, "predictionPercent": 200})) == 3


def test_an_image_of_the_collector_without_logs_is_refused() -> None:
    images = {"modelway:images": {"logCollector": DIGEST}}
    assert refused(None, **images) == [
        f"modelway:images.logCollector: not used: got '{DIGEST}', allowed only with modelway:logs; remove logCollector."
    ]


def test_an_authorization_in_plain_text_is_refused(tmp_path: Path) -> None:
    def stack(authorization: str) -> Path:
        file = tmp_path / "Pulumi.test.yaml"
        file.write_text(
            "config:\n  modelway:cluster: {provider: node}\n"
            f"  modelway:models: [{{name: iris, versions: [{{name: v1, image: '{DIGEST}'}}]}}]\n"
            f"  modelway:logs: {{destination: loki, url: 'https://x.example', authorization: {authorization}}}\n"
        )
        return file

    with pytest.raises(ProblemError) as caught:
        load_file(stack("'Bearer 1234'"), "test")
    assert str(caught.value) == (
        "modelway:logs.authorization: a secret in plain text: got text, allowed an encrypted value; "
        "run `pulumi config set --secret --path 'modelway:logs.authorization'`."
    )
    assert load_file(stack("{secure: abc}"), "test").logs is not None


def test_the_authorization_is_in_the_secret_and_nowhere_else() -> None:
    args: Any = {
        "destination": {"kind": "elasticsearch", "url": "https://es.example:9200"},
        "models_namespaces": ["m"],
        "authorization": "ApiKey hidden",
    }
    objects = collector_manifests(collector_spec("logs", args))
    assert [each["kind"] for each in objects if "hidden" in str(each)] == ["Secret"]


def test_nothing_is_given_up_and_nothing_waits_in_memory_alone() -> None:
    config = collector_config(Pipeline(Destination("loki", "https://x.example"), ("m",)))
    (exporter,) = config["exporters"].values()
    assert (exporter["retry_on_failure"]["max_elapsed_time"], exporter["sending_queue"]["storage"]) == (
        "0s",
        "file_storage",
    )
    assert exporter["sending_queue"]["block_on_overflow"] is True
    assert "batch" not in config["processors"]
    assert config["receivers"]["file_log"]["storage"] == "file_storage"
