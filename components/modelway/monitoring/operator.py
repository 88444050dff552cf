"""The objects by which the Prometheus Operator gets the scrapes and rules of the plain ground, as plain data.

Scrapes and rules come from the content of `prometheus.yml` and `rules.yml`, field by field, so that both grounds have
the same series. Kinds and fields: https://prometheus-operator.dev/docs/api-reference/api/.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from modelway._common import Manifest, labels

OPERATOR_VERSION = "0.93.1"
NAME = "modelway"
SELECTED = {"modelway.dev/monitoring": "true"}
"""Label of what the operator takes into Prometheus; it takes nothing else."""

_ROLES = {"pod": "Pod", "node": "Node"}
_OF_CLASS = ("authorization", "tls_config")
"""What names files of the pod, which only a scrape class may do."""


@cache
def crd_manifests() -> tuple[Manifest, ...]:
    """The operator's CRDs without descriptions, as `make crds` writes them: one object a line."""
    text = resources.files("modelway.monitoring").joinpath("operator_crds.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def operator_manifests(namespace: str, config: Mapping[str, Any], rules: Mapping[str, Any]) -> list[Manifest]:
    """A ScrapeConfig per job of the configuration of Prometheus, and one PrometheusRule with the rules."""
    jobs = (_scrape_config(namespace, job) for job in config["scrape_configs"])
    return [*jobs, _object(namespace, NAME, "v1", "PrometheusRule", rules)]


def scrape_classes(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One class, named after its job, for each job that reads files of the pod: its token, its authority."""
    return [
        {"name": job["job_name"], **{_camel(key): _camels(job[key]) for key in _OF_CLASS if key in job}}
        for job in config["scrape_configs"]
        if any(key in job for key in _OF_CLASS)
    ]


def remote_write(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of `remote_write` as the object Prometheus has it."""
    relabelings = {"writeRelabelConfigs": [_camels(each) for each in entry["write_relabel_configs"]]}
    return {key: value for key, value in entry.items() if key != "write_relabel_configs"} | relabelings


def _object(namespace: str, name: str, version: str, kind: str, spec: Mapping[str, Any]) -> Manifest:
    return {
        "apiVersion": f"monitoring.coreos.com/{version}",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {**labels(NAME, "monitoring"), **SELECTED}},
        "spec": dict(spec),
    }


def _scrape_config(namespace: str, job: Mapping[str, Any]) -> Manifest:
    # The operator names the job in the configuration itself; `jobName` is what the label `job` says.
    spec: dict[str, Any] = {"jobName": job["job_name"]}
    if any(key in job for key in _OF_CLASS):
        spec["scrapeClass"] = job["job_name"]
    for key, value in job.items():
        if key == "kubernetes_sd_configs":
            spec["kubernetesSDConfigs"] = [{**each, "role": _ROLES[each["role"]]} for each in value]
        elif key in ("relabel_configs", "metric_relabel_configs"):
            spec[_camel(key.replace("_configs", "ings"))] = [_camels(each) for each in value]
        elif key not in ("job_name", *_OF_CLASS):
            spec[_camel(key)] = value
    return _object(namespace, f"{NAME}-{job['job_name']}", "v1alpha1", "ScrapeConfig", spec)


def _camels(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_camel(key): value for key, value in fields.items()}


def _camel(name: str) -> str:
    """`relabel_configs` as `relabelConfigs`; the operator has no other spellings among what is used here."""
    if name == "tls_config":
        return "tlsConfig"
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
