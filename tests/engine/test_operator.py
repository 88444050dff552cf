"""The real Prometheus Operator on a real API server: what it makes of our objects is what the plain ground has."""

import base64
import contextlib
import functools
import gzip
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from modelway.monitoring.alertmanager import AlertmanagerSpec
from modelway.monitoring.chart import (
    OPERATOR_IMAGE,
    RELOADER_IMAGE,
    ChartSpec,
    image_values,
    prometheus_spec,
)
from modelway.monitoring.config import ScrapeSpec
from modelway.monitoring.objects import MonitoringSpec, config_of, monitoring_manifests, rules_of
from modelway.monitoring.operator import crd_manifests, operator_manifests
from modelway.monitoring.receivers import Alerting, Receiver, Route, Webhook
from modelway.monitoring.remote_write import RemoteWrite
from modelway.monitoring.slo import Latency, Slo
from modelway.namespace import namespace_manifest

from tests.engine.apiserver import Api, free_port
from tools.progress import Progress
from tools.toolchain import ensure

pytestmark = pytest.mark.engine

IMAGE = "registry.example/x@sha256:" + "a" * 64
SLOS = (Slo("iris", "v1", "m", 0), Slo("iris", "v2", "m", 1, latency=Latency(99, 0.1)))
ROUTE = Route(("chat",), 5, 60, 4)
ALERTING = Alerting((Receiver("chat", Webhook("http://chat.example/x")),), ROUTE, ROUTE)
SCRAPE = ScrapeSpec(("modelway-models", "more"), "modelway-gateway", kubelet_insecure_tls=True)
SPECS = {
    "objectives": MonitoringSpec(
        "operator-objectives", IMAGE, ScrapeSpec(("modelway-models",), "modelway-gateway"), slos=SLOS
    ),
    "alerting": MonitoringSpec(
        "operator-alerting",
        IMAGE,
        SCRAPE,
        alertmanager=AlertmanagerSpec("operator-alerting", IMAGE, ALERTING),
        external_url="https://prometheus.example/",
        remote_write=RemoteWrite("https://aps.example/api/v1/remote_write", aws_region="eu-west-1"),
    ),
}


def prometheus(name: str, spec: MonitoringSpec) -> dict[str, Any]:
    """The object that the chart makes of `prometheusSpec`: most fields as they are."""
    chart = ChartSpec(image_values(IMAGE), image_values(OPERATOR_IMAGE), image_values(RELOADER_IMAGE))
    values = prometheus_spec(spec, chart)
    values["image"] = IMAGE
    values["storage"] = values.pop("storageSpec")
    values["prometheusExternalLabelName"] = values["replicaExternalLabelName"] = ""
    if values.pop("additionalAlertManagerConfigs"):
        values["additionalAlertManagerConfigs"] = {"name": "alertmanagers", "key": "alertmanagers.yaml"}
    left = {key: value for key, value in values.items() if not key.endswith(("HelmValues", "NameClear"))}
    metadata = {"name": name, "namespace": spec.namespace}
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": metadata, "spec": left}


def alertmanagers(spec: MonitoringSpec) -> dict[str, Any]:
    """The Secret that the chart makes of `additionalAlertManagerConfigs`."""
    content = config_of(spec).get("alerting", {}).get("alertmanagers", [])
    metadata = {"name": "alertmanagers", "namespace": spec.namespace}
    data = {"alertmanagers.yaml": yaml.safe_dump(content)}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def accounts(spec: MonitoringSpec) -> list[dict[str, Any]]:
    """The ServiceAccount of the pods."""
    return [manifest for manifest in monitoring_manifests(spec) if manifest["kind"] == "ServiceAccount"]


@contextlib.contextmanager
def operating(api: Api, folder: Path, namespace: str) -> Iterator[None]:
    """The operator, outside of the cluster."""
    binary = ensure(["prometheus-operator"], Progress())["prometheus-operator"].path
    command = [
        binary,
        f"--namespaces={namespace}",
        f"--web.listen-address=127.0.0.1:{free_port()}",
    ]
    with (folder / "operator.log").open("wb") as log:
        environment = {**os.environ, "KUBECONFIG": str(api.folder / "kubeconfig")}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def grounds(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes what `made` gives, each once: pytest would make it again where another worker takes a part of the tests."""
    return functools.cache(lambda name: make(name, api, tmp_path_factory.mktemp("operator")))


@pytest.fixture(params=SPECS)
def made(request: pytest.FixtureRequest, grounds: Callable[[str], Path]) -> Path:
    """A folder with what the operator made: the configuration, the rules, the StatefulSet."""
    return grounds(request.param)


def make(name: str, api: Api, folder: Path) -> Path:
    """Let the operator make it in a namespace of its own."""
    spec = SPECS[name]
    crds = crd_manifests()
    api.kubectl("apply", "--server-side", "-f", "-", stdin="\n".join(map(json.dumps, crds)))
    api.wait_for_types(*(crd["metadata"]["name"] for crd in crds))
    place = [namespace_manifest(spec.namespace, False), *accounts(spec)]
    api.kubectl("create", "-f", "-", stdin="\n".join(map(json.dumps, place)))
    objects = [*operator_manifests(spec.namespace, config_of(spec), rules_of(spec)), alertmanagers(spec)]
    api.kubectl("create", "--validate=strict", "-f", "-", stdin="\n".join(map(json.dumps, objects)))
    api.kubectl("create", "--validate=strict", "-f", "-", stdin=json.dumps(prometheus(name, spec)))
    with operating(api, folder, spec.namespace):
        # It makes the StatefulSet last.
        api.kubectl("wait", "--for=create", "--timeout=60s", "-n", spec.namespace, f"statefulset/prometheus-{name}")
    secret = api.value("secret", f"prometheus-{name}", ".data.prometheus\\.yaml\\.gz", spec.namespace)
    (folder / "config.yml").write_bytes(gzip.decompress(base64.b64decode(secret)))
    rules = json.loads(
        api.kubectl("get", "configmap", f"prometheus-{name}-rulefiles-0", "-n", spec.namespace, "-o", "json")
    )
    (content,) = rules["data"].values()
    (folder / "rules.yml").write_text(content)
    (folder / "pods.json").write_text(api.kubectl("get", "statefulset", "-n", spec.namespace, "-o", "json"))
    (folder / "name").write_text(name)
    return folder


def jobs(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Scrape configurations without what the operator adds to keep its own book."""
    found = []
    for job in config["scrape_configs"]:
        relabelings = job["relabel_configs"]
        assert relabelings.pop(0) == {"source_labels": ["job"], "target_label": "__tmp_prometheus_job_name"}
        named = relabelings.pop(0)
        assert named == {"target_label": "job", "action": "replace", "replacement": named["replacement"]}
        if not relabelings:
            del job["relabel_configs"]
        found.append(bare({**job, "job_name": named["replacement"]}))
    return found


def bare(value: Any) -> Any:
    """Without what Prometheus takes for granted and the operator writes out."""
    if isinstance(value, list):
        return [bare(each) for each in value]
    if not isinstance(value, dict):
        return value
    granted = (("labels", {}), ("type", "Bearer"), ("action", "replace"))
    return {key: bare(each) for key, each in value.items() if (key, each) not in granted}


def test_prometheus_scrapes_what_that_of_the_plain_ground_does(made: Path) -> None:
    config = yaml.safe_load((made / "config.yml").read_text())
    ours = config_of(SPECS[(made / "name").read_text()])
    assert {key: config["global"][key] for key in ours["global"]} == ours["global"]
    by_name = lambda job: job["job_name"]  # noqa: E731
    assert sorted(jobs(config), key=by_name) == sorted(ours["scrape_configs"], key=by_name)


def test_alerts_go_where_those_of_the_plain_ground_go_with_the_same_labels(made: Path) -> None:
    config = yaml.safe_load((made / "config.yml").read_text())
    ours = config_of(SPECS[(made / "name").read_text()])
    assert config["global"].get("external_labels", {}) == {}
    assert config.get("alerting", {}).get("alertmanagers", []) == ours.get("alerting", {}).get("alertmanagers", [])


def test_recorded_series_go_on_where_those_of_the_plain_ground_go(made: Path) -> None:
    config = yaml.safe_load((made / "config.yml").read_text())
    ours = config_of(SPECS[(made / "name").read_text()])
    assert [bare(each) for each in config.get("remote_write", [])] == ours.get("remote_write", [])


def test_the_rules_are_those_of_the_plain_ground(made: Path) -> None:
    assert yaml.safe_load((made / "rules.yml").read_text()) == rules_of(SPECS[(made / "name").read_text()])


@pytest.mark.parametrize(
    "command", [["check", "config", "--syntax-only", "config.yml"], ["check", "rules", "rules.yml"]], ids=lambda c: c[1]
)
def test_promtool_accepts_what_the_operator_makes(made: Path, command: list[str]) -> None:
    promtool = ensure(["promtool"], Progress())["promtool"].path
    done = subprocess.run([promtool, *command], cwd=made, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def test_the_pod_is_admitted_where_pods_are_restricted_and_found_by_the_service(made: Path, api: Api) -> None:
    spec = SPECS[(made / "name").read_text()]
    (stateful_set,) = json.loads((made / "pods.json").read_text())["items"]
    template = stateful_set["spec"]["template"]
    labels = {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "prometheus"}
    assert labels.items() <= template["metadata"]["labels"].items()
    (server,) = [each for each in template["spec"]["containers"] if each["name"] == "prometheus"]
    assert {"name": "http", "containerPort": 9090, "protocol": "TCP"} in server["ports"]
    assert template["spec"]["automountServiceAccountToken"] is False
    # The volume of a claim is what a StatefulSet adds to its pods.
    claims = [each["metadata"]["name"] for each in stateful_set["spec"]["volumeClaimTemplates"]]
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "admitted", "namespace": spec.namespace},
        "spec": {**template["spec"], "volumes": [*template["spec"]["volumes"], *volumes]},
    }
    answer = api.kubectl(
        "create", "-f", "-", "--dry-run=server", "--validate=strict", "--warnings-as-errors", stdin=json.dumps(pod)
    )
    assert answer == "pod/admitted created (server dry run)\n"
