"""Receivers, routes, own alerts and retention of the stack config: what reaches the components, and what is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from modelway.monitoring.alert_rules import EXPORTED
from modelway.monitoring.alertmanager import alertmanager_manifests
from modelway.monitoring.objects import rules_of
from modelway.monitoring.receivers import secret_files
from modelway.monitoring.stack import MonitoringStack, kept_secret, monitoring_spec

from infra.alerting import needed_mb, storage_mb
from infra.settings import load, load_file
from tools.problem import ProblemError

DIGEST = "registry.example/iris@sha256:" + "a" * 64
MODELS = [{"name": "iris", "versions": [{"name": "v1", "image": DIGEST}], "slo": {}}]
HOOK = {"name": "hook", "webhook": {"url": "http://hook.alerts.svc:8080/"}}
SLACK = {"name": "team", "slack": {"url": "https://hooks.slack.example/services/x"}}
OWN = {"name": "TooBusy", "expression": "modelway_queue_rows > 10", "severity": "ticket", "summary": "It is busy."}
Deploy = Callable[[Callable[[], object]], Any]


def config(**monitoring: Any) -> dict[str, Any]:
    return {
        "modelway:cluster": {"provider": "node"},
        "modelway:models": MODELS,
        "modelway:monitoring": monitoring,
    }


def sentences(**monitoring: Any) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        load(config(**monitoring), "test")
    return str(caught.value).splitlines()


def way(name: str, **settings: Any) -> dict[str, Any]:
    return {"receivers": [{"name": "x", name: settings}]}


MAIL = {"to": ["a@example.com"], "sender": "b@example.com", "smarthost": "smtp.example.com:587"}
SECRET_URL = "allowed https://HOST/… on port 443; correct it."
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a receiver twice": (
        {"receivers": [HOOK, HOOK]},
        "receivers: receiver name used twice: got 'hook', allowed each name once; rename or remove one.",
    ),
    "an unknown receiver": (
        {"receivers": [HOOK], "routes": {"page": {"receivers": ["hok", "hook"]}}},
        "routes.page.receivers: unknown receiver: got 'hok', allowed hook; correct it.",
    ),
    "a receiver that nobody routes to": (
        {"receivers": [HOOK, SLACK], "routes": {"page": {"receivers": ["hook"]}, "ticket": {"receivers": ["hook"]}}},
        "receivers: no route to a receiver: got 'team', allowed at least one; route to it or remove it.",
    ),
    "a route without receivers": (
        {"routes": {"page": {}}},
        "routes.page: nobody to route to: got no receiver, allowed with receivers; add one or remove page.",
    ),
    "a slow page": (
        {"receivers": [HOOK], "routes": {"page": {"groupWaitSeconds": 6}}},
        "routes.page.groupWaitSeconds: out of range: got 6, allowed 0 to 5; change it.",
    ),
    "a hasty ticket": (
        {"receivers": [HOOK], "routes": {"ticket": {"groupWaitSeconds": 5, "repeatHours": 121}}},
        "routes.ticket.groupWaitSeconds: out of range: got 5, allowed 30 to 3600; change it.",
    ),
    "a name that is none": (
        {"receivers": [{**HOOK, "name": "On Call"}]},
        "receivers[0].name: no name of a receiver: got 'On Call', allowed lower-case letters, digits and '-', a letter "
        "first, no '-' last, at most 40 characters; rename it.",
    ),
    "two ways": (
        {"receivers": [{**HOOK, "slack": SLACK["slack"]}]},
        "receivers[0]: needs exactly one way to be told: got webhook, slack, allowed webhook or slack or pagerduty or "
        "email; keep one.",
    ),
    "no way": (
        {"receivers": [{"name": "x"}]},
        "receivers[0]: needs exactly one way to be told: got nothing, allowed webhook or slack or pagerduty or email; "
        "keep one.",
    ),
    "a URL without a host": (
        way("webhook", url="hook:8080"),
        "receivers[0].webhook.url: no usable URL: got 'hook:8080', allowed http or https://HOST/… without user, blanks "
        "and fragment, not this pod itself; correct it.",
    ),
    "a URL of the pod itself": (
        way("webhook", url="http://localhost:8080"),
        "receivers[0].webhook.url: no usable URL: got 'http://localhost:8080', allowed http or https://HOST/… without "
        "user, blanks and fragment, not this pod itself; correct it.",
    ),
    "a webhook without a URL": (
        way("webhook", bearerToken="x"),
        "receivers[0].webhook.url: needs exactly one URL: got nothing, allowed url or secretUrl; keep one.",
    ),
    "a secret that is empty": (
        way("pagerduty", routingKey=""),
        "receivers[0].pagerduty.routingKey: missing: got nothing, allowed a secret; set it as a secret.",
    ),
    "a secret that is left out": (
        way("slack", channel="#x"),
        "receivers[0].slack.url: missing: got nothing, allowed a value; add url.",
    ),
    "a secret URL that is none": (
        way("slack", url="http://hooks.slack.example/x"),
        f"receivers[0].slack.url: no usable URL: got a secret, {SECRET_URL}",
    ),
    "a secret URL of another port": (
        way("webhook", secretUrl="https://hook.example:8443/x"),
        f"receivers[0].webhook.secretUrl: no usable URL: got another port, {SECRET_URL}",
    ),
    "a user without a password": (
        way("email", **MAIL, username="u"),
        "receivers[0].email.password: missing: got nothing, allowed both or neither; add password.",
    ),
    "a mail server without a port": (
        way("email", **{**MAIL, "smarthost": "smtp.example.com"}),
        "receivers[0].email.smarthost: no SMTP server: got 'smtp.example.com', allowed HOST:PORT such as "
        "smtp.example.com:587; correct it.",
    ),
    "nobody gets a mail": (
        way("email", **{**MAIL, "to": []}),
        "receivers[0].email.to: nobody gets it: got nothing, allowed one address or more; add one.",
    ),
    "an address that is none": (
        way("email", **{**MAIL, "sender": "b"}),
        "receivers[0].email.sender: no mail address: got 'b', allowed NAME@HOST; correct it.",
    ),
    "a network that is none": (
        {"receivers": [HOOK], "receiversCidrs": ["hook"]},
        "receiversCidrs: not a network: got 'hook', allowed a network such as 203.0.113.0/24; correct it.",
    ),
    "a network of nobody": (
        {"receiversCidrs": ["192.0.2.0/24"]},
        "receiversCidrs: not used: got no receiver, allowed with receivers; remove receiversCidrs.",
    ),
    "an external URL that is none": (
        {"externalUrls": {"prometheus": "prometheus.example"}},
        "externalUrls.prometheus: no usable URL: got 'prometheus.example', allowed http(s)://HOST/… without user, query "
        "and fragment; correct it.",
    ),
    "an Alertmanager that is not there": (
        {"externalUrls": {"alertmanager": "https://alerts.example"}},
        "externalUrls.alertmanager: no Alertmanager: got no receiver, allowed with receivers; remove it.",
    ),
    "runbooks nowhere": (
        {"runbookBaseUrl": "docs/runbooks"},
        "runbookBaseUrl: no usable URL: got 'docs/runbooks', allowed http(s)://HOST/… without user, query and fragment; "
        "correct it.",
    ),
    "an alert twice": (
        {"alerts": [OWN, OWN]},
        "alerts[1].name: alert name used twice: got 'TooBusy', which stands there twice, allowed each name once; "
        "rename it.",
    ),
    "an alert of ours": (
        {"alerts": [{**OWN, "name": "ModelAvailabilityPage"}]},
        "alerts[0].name: alert name used twice: got 'ModelAvailabilityPage', which Modelway itself has, allowed each "
        "name once; rename it.",
    ),
    "an alert without a name": (
        {"alerts": [{**OWN, "name": "too busy"}]},
        "alerts[0].name: no name of an alert: got 'too busy', allowed a capital letter first, then 2 to 79 letters and "
        "digits; rename it.",
    ),
    "a severity that nobody knows": (
        {"alerts": [{**OWN, "severity": "warning"}]},
        "alerts[0].severity: unknown severity: got 'warning', allowed page, ticket; correct it.",
    ),
    "a metric that nobody exports": (
        {"alerts": [{**OWN, "expression": 'modelway_queue_row{model="modelway_x"} > 10'}]},
        "alerts[0].expression: a metric that nobody exports: got 'modelway_queue_row', allowed modelway_queue_rows, ",
    ),
    "no expression": (
        {"alerts": [{**OWN, "expression": "vector(1) > 0"}]},
        "alerts[0].expression: asks for no metric: got 'vector(1) > 0', allowed an expression over a metric; correct it.",
    ),
    "half an expression": (
        {"alerts": [{**OWN, "expression": "rate(modelway_queue_rows[5m"}]},
        "alerts[0].expression: no PromQL (",
    ),
    "an expression of the wrong kind": (
        {"alerts": [{**OWN, "expression": "rate(modelway_queue_rows) > 1"}]},
        "alerts[0].expression: no PromQL (expected type matrix in call to function 'rate', got vector): got "
        "'rate(modelway_queue_rows) > 1', allowed an expression over a metric; correct it.",
    ),
    "a runbook nowhere": (
        {"alerts": [{**OWN, "runbookUrl": "busy.md"}]},
        "alerts[0].runbookUrl: no usable URL: got 'busy.md', allowed http(s)://HOST/…; correct it.",
    ),
    "forever": (
        {"alerts": [{**OWN, "forSeconds": 86_401}]},
        "alerts[0].forSeconds: out of range: got 86401, allowed 0 to 86400; change it.",
    ),
    "nothing to say": (
        {"alerts": [{**OWN, "summary": " "}]},
        "alerts[0].summary: missing: got nothing, allowed one sentence; say what is wrong.",
    ),
    "receivers without monitoring": (
        {"enabled": False, "receivers": [HOOK]},
        "receivers: not used: got monitoring off, allowed with monitoring; remove receivers.",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(case: tuple[dict[str, Any], str]) -> None:
    monitoring, sentence = case
    assert any(found.startswith(f"modelway:monitoring.{sentence}") for found in sentences(**monitoring)), sentences(
        **monitoring
    )


def test_samples_that_do_not_fit_the_disk_are_refused_with_the_estimate() -> None:
    needed = needed_mb(load(config(), "test"))
    assert sentences(storageMb=needed - 1) == [
        f"modelway:monitoring.retentionHours: more than the volume holds: got 360 h in {needed - 1} MB, allowed about "
        f"{needed} MB for so many pods and hours; lower retentionHours, or raise or remove storageMb."
    ]
    assert storage_mb(load(config(storageMb=needed), "test")) == needed
    assert storage_mb(load(config(), "test")) == max(needed, 2048)
    assert storage_mb(load(config(retentionHours=24), "test")) == 2048


def written(folder: Path, monitoring: dict[str, Any]) -> Path:
    path = folder / "Pulumi.test.yaml"
    path.write_text(yaml.safe_dump({"config": config(**monitoring)}))
    return path


def test_a_secret_in_plain_text_is_refused_and_an_encrypted_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        load_file(written(tmp_path, {"receivers": [SLACK]}), "test")
    assert str(caught.value) == (
        "modelway:monitoring.receivers[0].slack.url: a secret in plain text: got text, allowed an encrypted value; run "
        "`pulumi config set --secret --path 'modelway:monitoring.receivers[0].slack.url'`."
    )
    encrypted = {"name": "team", "slack": {"url": {"secure": "v1:abc"}}}
    load_file(written(tmp_path, {"receivers": [encrypted, HOOK]}), "test")


ARGS: dict[str, Any] = {
    "image": "x",
    "models_namespaces": ["m"],
    "alertmanager_image": "y",
    "receivers": [
        HOOK,
        {"name": "team", "slack": {"url": "https://hooks.slack.example/x", "channel": "#models"}},
        {"name": "pager", "pagerduty": {"routing_key": "key"}},
    ],
    "routes": {"page": {"receivers": ["hook", "pager"], "group_wait_seconds": 2.0}},
    "alerts": [{**OWN, "for_seconds": 30.0}],
    "runbook_base_url": "https://runbooks.example/",
    "external_urls": {"prometheus": "https://prometheus.example/p", "alertmanager": "https://alerts.example"},
    "slos": [{"model": "iris", "version": "v1"}],
}


def test_no_secret_is_in_the_configuration_of_alertmanager() -> None:
    spec = monitoring_spec("monitoring", ARGS)  # type: ignore[arg-type]
    assert spec.alertmanager is not None
    secrets = secret_files(spec.alertmanager.alerting.receivers)
    assert secrets == {"team-url": "https://hooks.slack.example/x", "pager-key": "key"}
    objects = alertmanager_manifests(spec.alertmanager)
    plain = json.dumps([each for each in objects if each["kind"] != "Secret"])
    assert [text for text in ("hooks.slack", '"key"') if text in plain] == []
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--web.external-url=https://alerts.example" in arguments


def test_alerts_of_ones_own_stand_beside_ours_and_all_link_to_the_published_runbooks() -> None:
    groups = rules_of(monitoring_spec("monitoring", ARGS))["groups"]  # type: ignore[arg-type]
    alerts = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    assert alerts["TooBusy"] == {
        "alert": "TooBusy",
        "expr": "modelway_queue_rows > 10",
        "for": "30s",
        "labels": {"severity": "ticket"},
        "annotations": {"summary": "It is busy."},
    }
    page = alerts["ModelAvailabilityPage"]["annotations"]["runbook_url"]
    assert page == "https://runbooks.example/model-availability.md"


def test_alertmanager_stands_beside_prometheus(deploy: Deploy) -> None:
    def program() -> None:
        pulumi.export("url", MonitoringStack("monitoring", ARGS).alertmanager_url)  # type: ignore[arg-type]

    deployed = deploy(program)
    names = {resource.name for resource in deployed.resources if "alertmanager" in resource.name}
    kinds = ("config-map", "deployment", "network-policy", "secret", "service", "service-account")
    assert names == {f"monitoring-alertmanager-{kind}" for kind in kinds}


def test_what_authenticates_is_encrypted_in_the_state(deploy: Deploy) -> None:
    seen: list[bool] = []

    def program() -> None:
        kept = kept_secret({"kind": "Secret", "stringData": {"team-url": "https://hooks.slack.example/x"}})
        pulumi.Output.from_input(kept["stringData"]["team-url"].is_secret()).apply(seen.append)

    deploy(program)
    assert seen == [True]


def test_an_image_is_needed_with_receivers() -> None:
    args = {name: value for name, value in ARGS.items() if name != "alertmanager_image"}
    sentence = 'MonitoringStack("monitoring").alertmanager_image: missing: got nothing, allowed an image; add it.'
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        monitoring_spec("monitoring", args)  # type: ignore[arg-type]


def test_known_series_are_those_that_the_servers_export() -> None:
    """Held by the names in the sources of the two servers: none is forgotten and none is invented."""
    images = Path(__file__).resolve().parents[2] / "images"
    text = "".join(
        path.read_text() for path in [*images.glob("*/modelway_server/*.py"), *images.glob("*/rollout_judge/*.py")]
    )
    named = set(re.findall(r'"(modelway_[a-z_]+)"', text))
    bases = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in EXPORTED}
    judge = {name for name in bases if name.startswith("modelway_rollout_")}
    assert {name.removeprefix("modelway_rollout_") for name in judge} == set(
        re.findall(
            r'self\._(?:gauge|counter)\("([a-z_]+)"', (images / "rollout-judge/rollout_judge/telemetry.py").read_text()
        )
    )
    assert {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in named} - {"modelway_server"} <= bases
