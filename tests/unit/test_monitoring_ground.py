"""`MonitoringStack` on the ground of kube-prometheus-stack: what it registers, what the chart is told, what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from modelway import MonitoringStack
from modelway.monitoring.chart import image_values
from modelway.monitoring.operator import crd_manifests

from infra.monitoring_ground import chart_args
from infra.settings import load
from tools.problem import ProblemError

Deploy = Callable[[Callable[[], object]], Any]
SUM = "a" * 64
IMAGE = f"registry.example:5000/prom/prometheus@sha256:{SUM}"
PLAIN: dict[str, Any] = {"image": IMAGE, "models_namespaces": ["modelway-models"], "retention_hours": 240}
CHART: dict[str, Any] = {**PLAIN, "ground": "kubePrometheusStack"}
JOBS = ("model-servers", "gateway", "rollout-judges", "containers", "prometheus")
CONFIG: dict[str, Any] = {
    "modelway:cluster": {"provider": "existing", "kubeconfig": "k"},
    "modelway:gateway": {"address": "models.example"},
    "modelway:models": [{"name": "iris", "versions": [{"name": "v1", "image": f"r/iris@sha256:{SUM}", "weight": 100}]}],
}


def stack(args: dict[str, Any]) -> Callable[[], object]:
    return lambda: MonitoringStack("monitoring", args)  # type: ignore[arg-type]


def test_both_grounds_share_rights_policy_service_and_outputs(deploy: Deploy) -> None:
    seen: dict[tuple[str, str], str] = {}

    def program() -> None:
        for name, args in (("plain", PLAIN), ("chart", CHART)):
            made = MonitoringStack(name, args)  # type: ignore[arg-type]
            for output in ("prometheus_url", "alertmanager_url", "namespace"):
                getattr(made, output).apply(lambda value, key=(name, output): seen.update({key: value}))

    deployed = deploy(program)
    for name in ("plain", "chart"):
        assert seen[name, "prometheus_url"] == "http://prometheus.modelway-monitoring.svc:9090"
        assert (seen[name, "alertmanager_url"], seen[name, "namespace"]) == ("", "modelway-monitoring")
    roles = [
        f"{kind}-{place}" for kind in ("role", "role-binding") for place in ("modelway-models", "modelway-gateway")
    ]
    for kind in ("service-account", "cluster-role", "cluster-role-binding", "network-policy", "service", *roles):
        assert deployed.inputs(f"chart-{kind}") == deployed.inputs(f"plain-{kind}"), kind
    names = {resource.name for resource in deployed.resources}
    assert {"plain-deployment", "plain-config-map"} <= names
    assert not {"chart-deployment", "chart-config-map"} & names


def test_the_chart_comes_after_its_definitions_and_with_every_job_and_rule(deploy: Deploy) -> None:
    deployed = deploy(stack(CHART))
    assert deployed.names("ScrapeConfig") == sorted(f"monitoring-scrape-config-modelway-{job}" for job in JOBS)
    assert deployed.names("PrometheusRule") == ["monitoring-prometheus-rule-modelway"]
    assert deployed.names("CustomResourceDefinition") == sorted(
        f"monitoring-{crd['metadata']['name']}" for crd in crd_manifests()
    )
    release = deployed.inputs("monitoring-release")
    assert {key: value for key, value in release.items() if key not in ("values", "compat")} == {
        "name": "kube-prometheus-stack",
        "namespace": "modelway-monitoring",
        "chart": "oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack",
        "version": "88.5.3",
        "skipCrds": True,
    }


def test_a_cluster_that_has_the_definitions_gets_none(deploy: Deploy) -> None:
    deployed = deploy(stack({**CHART, "kube_prometheus_stack": {"install_crds": False}}))
    assert deployed.names("CustomResourceDefinition") == []


OFF = (
    *("kubernetesServiceMonitors", "kubeApiServer", "kubelet", "kubeControllerManager", "coreDns", "kubeDns"),
    *("kubeEtcd", "kubeScheduler", "kubeProxy", "kubeStateMetrics", "nodeExporter", "windowsMonitoring", "thanosRuler"),
)
USER = {"runAsNonRoot": True, "runAsUser": 65534, "runAsGroup": 65534, "seccompProfile": {"type": "RuntimeDefault"}}


def size(cpu_request: str, memory_request: str, cpu_limit: str, memory_limit: str) -> dict[str, Any]:
    return {
        "requests": {"cpu": cpu_request, "memory": memory_request},
        "limits": {"cpu": cpu_limit, "memory": memory_limit},
    }


def test_the_chart_runs_a_hardened_operator_and_nothing_that_scrapes_beside_ours(deploy: Deploy) -> None:
    own = {"operator_image": f"r.example/operator@sha256:{SUM}", "config_reloader_image": "r.example/x/reloader:1"}
    values = deploy(stack({**CHART, "kube_prometheus_stack": own})).inputs("monitoring-release")["values"]
    assert values.pop("prometheus")["serviceAccount"] == {"create": False, "name": "prometheus"}
    assert values == {
        "fullnameOverride": "kube-prometheus-stack",
        "crds": {"enabled": False},
        "defaultRules": {"create": False},
        "global": {"rbac": {"create": True, "createAggregateClusterRoles": False}},
        **{name: {"enabled": False} for name in OFF},
        "alertmanager": {"enabled": False},
        "grafana": {"enabled": False, "forceDeployDashboards": False, "forceDeployDatasources": False},
        "prometheusOperator": {
            "admissionWebhooks": {"enabled": False, "patch": {"enabled": False}},
            "tls": {"enabled": False},
            "kubeletService": {"enabled": False},
            "kubeletEndpointsEnabled": False,
            "namespaces": {"releaseNamespace": True, "additional": []},
            "serviceMonitor": {"selfMonitor": False},
            "image": {"registry": "r.example", "repository": "operator", "tag": "", "sha": SUM},
            "prometheusConfigReloader": {
                "image": {"registry": "r.example", "repository": "x/reloader", "tag": "1", "sha": ""},
                "resources": size("10m", "32Mi", "100m", "64Mi"),
            },
            "podLabels": {"modelway.dev/part": "prometheus-operator"},
            "resources": size("50m", "128Mi", "500m", "512Mi"),
            "securityContext": {**USER, "fsGroup": 65534},
            "containerSecurityContext": {
                **USER,
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        },
    }


def test_samples_live_on_a_volume_as_long_as_said_and_go_with_the_stack(deploy: Deploy) -> None:
    args = {**CHART, "storage_mb": 8000, "storage_class": "fast"}
    values = deploy(stack(args)).inputs("monitoring-release")["values"]["prometheus"]
    assert (values["service"], values["serviceMonitor"]) == ({"enabled": False}, {"selfMonitor": False})
    spec = values["prometheusSpec"]
    assert (spec["retention"], spec["retentionSize"]) == ("240h", "6400MB")
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8000Mi"}}}
    assert spec["storageSpec"] == {"volumeClaimTemplate": {"spec": {**claim, "storageClassName": "fast"}}}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Delete", "whenScaled": "Delete"}
    for kind in ("rule", "scrapeConfig", "serviceMonitor", "podMonitor", "probe"):
        assert spec[f"{kind}Selector"] == {"matchLabels": {"modelway.dev/monitoring": "true"}}
        namespace = {"kubernetes.io/metadata.name": "modelway-monitoring"}
        assert spec[f"{kind}NamespaceSelector"] == {"matchLabels": namespace}


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        (IMAGE, ("registry.example:5000", "prom/prometheus", "", SUM)),
        ("docker.io/prom/prometheus:v3.13.1", ("docker.io", "prom/prometheus", "v3.13.1", "")),
        (f"prom/prometheus:v3@sha256:{SUM}", ("docker.io", "prom/prometheus", "v3", SUM)),
        ("localhost/x", ("localhost", "x", "", "")),
    ],
)
def test_an_image_is_told_in_the_parts_that_the_chart_takes(image: str, parts: tuple[str, ...]) -> None:
    assert tuple(image_values(image).values()) == parts


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"ground": "helm"},
            "ground: unknown ground: got 'helm', allowed plain or kubePrometheusStack; correct it.",
        ),
        (
            {"kube_prometheus_stack": {"install_crds": False}},
            "kube_prometheus_stack: not used with ground plain: got it, allowed only with ground kubePrometheusStack; "
            "remove it.",
        ),
    ],
)
def test_a_ground_that_cannot_be_is_refused(deploy: Deploy, changes: dict[str, Any], sentence: str) -> None:
    def program() -> None:
        with pytest.raises(ValueError, match="ground") as caught:
            stack({**PLAIN, **changes})()
        assert str(caught.value) == f'MonitoringStack("monitoring").{sentence}'

    deploy(program)


def test_a_stack_may_choose_the_chart_where_it_can_be_had() -> None:
    chosen = {"ground": "kubePrometheusStack", "chart": "oci://mirror.example/kps"}
    images = {"prometheusOperator": {"operator": "o", "configReloader": "r"}}
    settings = load({**CONFIG, "modelway:monitoring": chosen, "modelway:images": images}, "test")
    assert chart_args(settings) == {
        "chart": "oci://mirror.example/kps",
        "operator_image": "o",
        "config_reloader_image": "r",
    }


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        (
            {"modelway:cluster": {"provider": "node"}, "modelway:monitoring": {"ground": "kubePrometheusStack"}},
            [
                "modelway:monitoring.ground: the one-node Kubernetes reaches no charts: got 'kubePrometheusStack', "
                "allowed plain on provider node; remove ground, or change the cluster."
            ],
        ),
        (
            {"modelway:monitoring": {"chart": "x"}},
            [
                "modelway:monitoring.chart: not used without its ground: got it, allowed with monitoring.ground "
                "kubePrometheusStack; remove modelway:monitoring.chart."
            ],
        ),
        (
            {"modelway:cluster": {"provider": "node"}, "modelway:monitoring": {"storageClass": "fast", "chart": "x"}},
            [
                "modelway:monitoring.storageClass: the one-node Kubernetes makes no volumes: got 'fast', allowed none on "
                "provider node; remove storageClass.",
                "modelway:monitoring.chart: not used without its ground: got it, allowed with monitoring.ground "
                "kubePrometheusStack; remove modelway:monitoring.chart.",
            ],
        ),
        (
            {"modelway:monitoring": {"storageClass": "fast", "enabled": False}},
            [
                "modelway:monitoring.storageClass: not used: got monitoring off, allowed with monitoring; "
                "remove storageClass."
            ],
        ),
    ],
)
def test_a_ground_that_the_cluster_cannot_have_is_refused(changes: dict[str, Any], sentences: list[str]) -> None:
    with pytest.raises(ProblemError) as caught:
        load({**CONFIG, **changes}, "test")
    assert [str(problem) for problem in caught.value.problems if "monitoring" in str(problem)] == sentences


def test_production_names_the_images_of_the_operator_by_digest() -> None:
    monitoring = {"ground": "kubePrometheusStack"}
    with pytest.raises(ProblemError) as caught:
        load({**CONFIG, "modelway:environment": "production", "modelway:monitoring": monitoring}, "test")
    found = [str(problem) for problem in caught.value.problems if "prometheusOperator" in str(problem)]
    assert found == [
        f"modelway:images.prometheusOperator.{role}: no digest in a production stack: got None, allowed "
        "REPOSITORY@sha256:<64 hex digits>; set it."
        for role in ("operator", "configReloader")
    ]
