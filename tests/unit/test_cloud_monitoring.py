"""Alerts in the cluster's own cloud, as a stack says them: what the components are told, and what preview refuses."""

from pathlib import Path
from typing import Any, cast

import pulumi
import pytest
import yaml

from infra.cloud_monitoring import amazon_args, google_args, sending_args
from infra.config_cluster import EksSettings, GkeSettings
from infra.config_schema import Settings
from infra.settings import load, load_file
from tests.unit.test_cloud_stacks import raw, sentences
from tools.problem import ProblemError

AWS, GOOGLE = "aws-production", "gcp-production"
WHERE = "modelway:monitoring.cloud"
SLO = {
    "model": "breast-cancer",
    "namespace": "modelway-models",
    "aliases": [],
    "availability_percent": 99.9,
    "may_be_absent": False,
    "latency_percent": 99,
    "latency_below_seconds": 0.1,
}
SLOS = [{**SLO, "version": "v1", "split_position": 0}, {**SLO, "version": "v2", "split_position": 1}]


def with_cloud(stack: str, cloud: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Config of a stack whose cloud watches."""
    return raw(stack, **{**changes, "monitoring": {**changes.get("monitoring", {}), "cloud": cloud}})


def without_slo(stack: str) -> dict[str, Any]:
    config = with_cloud(stack, {})
    (model,) = config["modelway:models"]
    return {**config, "modelway:models": [{key: value for key, value in model.items() if key != "slo"}]}


def settings(stack: str, cloud: dict[str, Any]) -> Settings:
    return load(with_cloud(stack, cloud), stack)


def test_amazon_is_told_the_cluster_the_objectives_and_every_key() -> None:
    cloud = {"pageEmails": ["a@b"], "ticketEmails": ["c@d"], "retentionDays": 30, "containerInsights": False}
    found = settings(AWS, cloud)
    assert amazon_args(found, cast(EksSettings, found.cluster), "running") == {
        "region": "eu-west-1",
        "deployer_role_arn": "arn:aws:iam::111122223333:role/modelway-deployer",
        "cluster_name": "modelway-production",
        "running_cluster": "running",
        "kubernetes_version": "1.35",
        "production": True,
        "slos": SLOS,
        "tags": {},
        "page_emails": ["a@b"],
        "ticket_emails": ["c@d"],
        "retention_days": 30,
        "container_insights": False,
    }
    sending = {"url": "https://x", "aws_region": "eu-west-1", "cluster": "modelway-production"}
    assert sending_args(found, "https://x") == sending


def test_google_is_told_the_cluster_the_objectives_and_every_key() -> None:
    found = settings(GOOGLE, {"pageEmails": ["a@b"], "ticketEmails": ["c@d"]})
    assert google_args(found, cast(GkeSettings, found.cluster), "running") == {
        "project": "models-of-acme",
        "region": "europe-west4",
        "cluster_name": "modelway-production",
        "running_cluster": "running",
        "slos": SLOS,
        "labels": {},
        "page_emails": ["a@b"],
        "ticket_emails": ["c@d"],
    }
    sending = {"url": "https://x", "google_location": "europe-west4", "cluster": "modelway-production"}
    assert sending_args(found, "https://x") == sending


@pytest.mark.parametrize(
    ("stack", "key", "argument"),
    [(AWS, "pageUrl", "page_url"), (GOOGLE, "pagePagerdutyKey", "page_pagerduty_key")],
)
def test_what_pages_elsewhere_stays_a_secret(deploy: Any, stack: str, key: str, argument: str) -> None:
    found = settings(stack, {key: "https://planted-7f3c"})
    assert "planted" not in repr(found)
    seen: list[bool] = []

    def program() -> None:
        cluster: Any = found.cluster
        args: Any = amazon_args(found, cluster, "x") if stack == AWS else google_args(found, cluster, "x")
        assert "planted" not in repr(args)
        pulumi.Output.all(args[argument].is_secret(), args[argument]).apply(
            lambda known: seen.append(known == [True, "https://planted-7f3c"])
        )

    deploy(program)
    assert seen == [True]


CASES: list[tuple[dict[str, Any], list[str]]] = [
    (
        with_cloud(GOOGLE, {}, monitoring={"enabled": False}),
        [f"{WHERE}: not used: got monitoring off, allowed with monitoring; remove cloud."],
    ),
    (
        with_cloud(AWS, {"pagePagerdutyKey": "x"}),
        [
            f"{WHERE}.pagePagerdutyKey: a setting of provider gke: got pagePagerdutyKey with provider eks, allowed only "
            "with gke; remove pagePagerdutyKey."
        ],
    ),
    (
        with_cloud(GOOGLE, {"retentionDays": 30, "pageUrl": "http://x", "pageEmails": ["me"]}),
        [
            f"{WHERE}.pageUrl: a setting of provider eks: got pageUrl with provider gke, allowed only with eks; "
            "remove pageUrl.",
            f"{WHERE}.retentionDays: a setting of provider eks: got retentionDays with provider gke, allowed only with "
            "eks; remove retentionDays.",
            f"{WHERE}.pageEmails: no address: got 'me', allowed NAME@HOST; correct it.",
        ],
    ),
    (
        with_cloud(AWS, {"pageUrl": "http://x", "retentionDays": 2000, "ticketEmails": ["a@b", "a@b"]}),
        [
            f"{WHERE}.retentionDays: out of range: got 2000, allowed 1 to 1095; change it.",
            f"{WHERE}.ticketEmails: named twice: got 'a@b', allowed each once; remove one.",
            f"{WHERE}.pageUrl: no URL that pages may go to: got another scheme, allowed https://…; correct it.",
        ],
    ),
    (
        with_cloud(AWS, {"emails": []}),
        [
            f"{WHERE}.emails: unknown key: got 'emails', allowed pageEmails, ticketEmails, pageUrl, pagePagerdutyKey, "
            "retentionDays, containerInsights; write 'pageEmails'."
        ],
    ),
    (
        without_slo(AWS),
        [
            f"{WHERE}: nothing to watch: got no model with slo, allowed slo of one model or more; "
            "set slo of a model, or remove cloud."
        ],
    ),
    (
        with_cloud(
            "gcp-staging",
            {},
            monitoring={"ground": "kubePrometheusStack"},
        ),
        [
            f"{WHERE}: the operator cannot sign for Google Cloud: got monitoring.ground kubePrometheusStack, allowed "
            "with ground plain; change the ground, or remove cloud."
        ],
    ),
    (
        {**raw("gcp-staging", monitoring={"cloud": {}}), "modelway:cluster": {"provider": "kind"}},
        [f"{WHERE}: no cloud whose cluster the stack makes: got provider kind, allowed eks or gke; remove cloud."],
    ),
]


@pytest.mark.parametrize(("config", "expected"), CASES)
def test_what_cannot_be_is_refused(config: dict[str, Any], expected: list[str]) -> None:
    assert [sentence for sentence in sentences(config) if sentence.startswith(WHERE)] == expected


@pytest.mark.parametrize(("stack", "key"), [(AWS, "pageUrl"), (GOOGLE, "pagePagerdutyKey")])
def test_a_secret_in_plain_text_is_refused_and_an_encrypted_one_is_not(tmp_path: Path, stack: str, key: str) -> None:
    file = tmp_path / f"Pulumi.{stack}.yaml"

    def written(value: Any) -> Path:
        file.write_text(yaml.safe_dump({"config": with_cloud(stack, {key: value})}))
        return file

    assert load_file(written({"secure": "v1:x"}), stack).monitoring.cloud
    with pytest.raises(ProblemError) as caught:
        load_file(written("https://x"), stack)
    path = f"{WHERE}.{key}"
    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}: a secret in plain text: got text, allowed an encrypted value; "
        f"run `pulumi config set --secret --path '{path}'`."
    ]
