"""Grafana as the components write it and as a stack asks for it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from modelway.monitoring.dashboards import NAMES
from modelway.monitoring.grafana import IMAGE, GrafanaSpec, grafana_manifests, grafana_settings
from modelway.monitoring.stack import MonitoringStack, monitoring_spec

from infra.settings import load, load_file
from tests.unit.k8s_objects import GRAFANAS
from tools.problem import ProblemError

Deploy = Callable[[Callable[[], object]], Any]
PASSWORD = "correct horse battery"
MODEL = {"name": "iris", "versions": [{"name": "v1", "image": f"iris@sha256:{'a' * 64}"}]}
WHERE = "modelway:monitoring.grafana"


def settings(external_url: str = "") -> dict[str, str]:
    return grafana_settings(replace(GRAFANAS["grafana"], external_url=external_url))


def test_nobody_gets_in_without_a_password_and_nothing_is_asked_of_the_internet() -> None:
    assert settings() == {
        "SECURITY_ADMIN_USER": "admin",
        "SECURITY_ADMIN_PASSWORD__FILE": "/etc/grafana/secrets/admin-password",
        "SECURITY_SECRET_KEY__FILE": "/etc/grafana/secrets/session-key",
        "SECURITY_COOKIE_SECURE": "false",
        "SECURITY_COOKIE_SAMESITE": "strict",
        "SECURITY_DISABLE_GRAVATAR": "true",
        "AUTH_ANONYMOUS_ENABLED": "false",
        "USERS_ALLOW_SIGN_UP": "false",
        "SERVER_ROOT_URL": "http://grafana.modelway-monitoring.svc:3000",
        "SERVER_SERVE_FROM_SUB_PATH": "false",
        "ANALYTICS_REPORTING_ENABLED": "false",
        "ANALYTICS_CHECK_FOR_UPDATES": "false",
        "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "NEWS_NEWS_FEED_ENABLED": "false",
        "PLUGINS_PREINSTALL_DISABLED": "true",
        "PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
        "SNAPSHOTS_EXTERNAL_ENABLED": "false",
        "PATHS_PROVISIONING": "/etc/grafana/provisioning",
        "LOG_MODE": "console",
        "DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": "/var/lib/modelway/dashboards/fleet.json",
    }


def test_an_external_address_is_what_grafana_believes_it_has() -> None:
    found, plain = settings("https://grafana.example/modelway/"), settings()
    assert {name: value for name, value in found.items() if plain[name] != value} == {
        "SERVER_ROOT_URL": "https://grafana.example/modelway/",
        "SECURITY_COOKIE_SECURE": "true",
        "SERVER_SERVE_FROM_SUB_PATH": "true",
    }


def config(spec: GrafanaSpec) -> dict[str, Any]:
    (found,) = [manifest for manifest in grafana_manifests(spec) if manifest["kind"] == "ConfigMap"]
    return found


def test_dashboards_and_their_source_are_provisioned() -> None:
    data = config(GRAFANAS["grafana"])["data"]
    (source,) = yaml.safe_load(data["datasources.yaml"])["datasources"]
    (provider,) = yaml.safe_load(data["dashboards.yaml"])["providers"]
    assert (source["url"], source["type"]) == ("http://prometheus.modelway-monitoring.svc:9090", "prometheus")
    assert provider["options"] == {"path": "/var/lib/modelway/dashboards"}
    assert set(data) == {"datasources.yaml", "dashboards.yaml", *(f"{name}.json" for name in NAMES)}
    # A ConfigMap holds 1 MiB.
    assert sum(map(len, data.values())) < 2**18


def test_changed_dashboards_roll_the_pod() -> None:
    plain, linked = (config(GRAFANAS[name])["metadata"]["name"] for name in ("grafana", "grafana-open"))
    assert plain != linked


def args(**grafana: Any) -> Any:
    return {
        "image": "prometheus",
        "models_namespaces": ["models"],
        "grafana": {"admin_password": PASSWORD, **grafana},
    }


SECRET = "4dabf18193072939515e22adb298388d"
"""What Pulumi marks a secret with."""


def test_password_and_session_key_are_secrets_and_a_changed_password_rolls_the_pod(deploy: Deploy) -> None:
    def deployed(password: str) -> tuple[Any, Any]:
        found = deploy(lambda: MonitoringStack(password[:2], args(admin_password=password)))
        secret = found.inputs(f"{password[:2]}-grafana-secret")["stringData"]
        template = found.inputs(f"{password[:2]}-grafana-deployment")["spec"]["template"]
        return secret, template["metadata"]["annotations"]["modelway.dev/password-mark"]

    secret, mark = deployed(PASSWORD)
    other, changed = deployed(f"1{PASSWORD}")
    assert SECRET in str(secret)
    assert PASSWORD not in mark
    assert mark != changed
    assert secret != other


def test_the_stack_says_where_grafana_is(deploy: Deploy) -> None:
    urls: list[str] = []

    def program() -> None:
        for name, more in {"a": {}, "b": {"external_url": "https://grafana.example"}}.items():
            MonitoringStack(name, {**args(**more), "namespace": name}).grafana_url.apply(urls.append)
        plain = {key: value for key, value in args().items() if key != "grafana"}
        MonitoringStack("c", {**plain, "namespace": "c"}).grafana_url.apply(urls.append)

    deploy(program)
    assert sorted(urls) == ["", "http://grafana.a.svc:3000", "https://grafana.example"]


def test_grafana_may_ask_prometheus() -> None:
    assert monitoring_spec("m", args()).readers_namespaces == ("modelway-monitoring",)


@pytest.mark.parametrize(
    ("grafana", "sentence"),
    [
        (
            {"admin_password": "admin"},
            "grafana.admin_password: too short: got 5 characters, allowed 12 or more; take a longer one.",
        ),
        (
            {"external_url": "grafana.example"},
            "grafana.external_url: no usable URL: got 'grafana.example', allowed http(s)://HOST/… without user, query "
            "and fragment; correct it.",
        ),
        (
            {"clients_namespaces": ["Ingress"]},
            "grafana.clients_namespaces: no namespace: got 'Ingress', allowed names of namespaces; correct it.",
        ),
    ],
)
def test_what_no_grafana_can_be_is_refused(grafana: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^MonitoringStack") as caught:
        monitoring_spec("m", args(**grafana))
    assert str(caught.value) == f'MonitoringStack("m").{sentence}'


def stack(provider: str = "kind", enabled: bool = True, **grafana: Any) -> dict[str, Any]:
    return {
        "modelway:cluster": {"provider": provider},
        "modelway:models": [MODEL],
        "modelway:monitoring": {"enabled": enabled, "grafana": {"adminPassword": PASSWORD, **grafana}},
    }


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            stack(enabled=False),
            f"{WHERE}: nothing to show: got monitoring off, allowed with monitoring; remove grafana.",
        ),
        (
            stack("node"),
            f"{WHERE}.image: the one-node Kubernetes has no image of Grafana: got nothing, allowed an image that it can "
            "pull; set image, or remove grafana.",
        ),
        (
            stack(adminPassword="admin"),
            f"{WHERE}.adminPassword: too short: got 5 characters, allowed 12 or more; take a longer one.",
        ),
        (
            stack(externalUrl="x"),
            f"{WHERE}.externalUrl: no usable URL: got 'x', allowed http(s)://HOST/… without user, query and fragment; "
            "correct it.",
        ),
    ],
)
def test_what_no_stack_can_have_is_refused(raw: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ProblemError) as caught:
        load(raw, "test")
    assert str(caught.value) == sentence


def test_a_password_in_plain_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(yaml.safe_dump({"config": stack()}))
    with pytest.raises(ProblemError) as caught:
        load_file(file, "test")
    assert str(caught.value) == (
        f"{WHERE}.adminPassword: a secret in plain text: got text, allowed an encrypted value; "
        "run `pulumi config set --secret --path 'modelway:monitoring.grafana.adminPassword'`."
    )


def test_an_encrypted_password_is_taken_and_the_official_image_is_by_digest(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(yaml.safe_dump({"config": stack(adminPassword={"secure": "v1:x"})}))
    found = load_file(file, "test").monitoring.grafana
    assert found is not None
    assert found.image is None
    assert "@sha256:" in IMAGE
