"""What a Prometheus that sends on to a cloud must have beside the others, property by property."""

from typing import Any

import yaml

from tests.unit.k8s_checks import Objects

KEEP = {"source_labels": ["__name__"], "regex": ".+:.+", "action": "keep"}
CLUSTER = {"target_label": "cluster", "replacement": "models"}
SENT: dict[str, list[dict[str, Any]]] = {
    "monitoring-amazon": [
        {
            "url": "https://aps.example/api/v1/remote_write",
            "sigv4": {"region": "eu-west-1"},
            "write_relabel_configs": [KEEP, CLUSTER],
        }
    ],
    "monitoring-google": [
        {
            "url": "https://google.example/write",
            "google_iam": {},
            "protobuf_message": "io.prometheus.write.v2.Request",
            "queue_config": {"max_samples_per_send": 200},
            "write_relabel_configs": [
                KEEP,
                CLUSTER,
                {"target_label": "location", "replacement": "europe-west4"},
                {"target_label": "__type__", "replacement": "gauge"},
            ],
        }
    ],
}
FEATURES = {"monitoring-google": ["auto-reload-config", "type-and-unit-labels"]}


def sending(objects: Objects) -> None:
    """Recorded series only, signed by the pod's identity in the cloud, which a new pod gets."""
    if not objects.name.startswith("monitoring"):
        return
    text = objects.named("ConfigMap", "prometheus")["data"]["prometheus.yml"]
    assert yaml.safe_load(text).get("remote_write") == SENT.get(objects.name)
    template = objects.named("Deployment", "prometheus")["spec"]["template"]
    own = {"modelway.dev/identity": "eks-pod-identity"} if objects.name == "monitoring-amazon" else None
    assert template["metadata"].get("annotations") == own
    flag = "--enable-feature="
    (container,) = template["spec"]["containers"]
    found = [each.removeprefix(flag) for each in container["args"] if each.startswith(flag)]
    assert found == FEATURES.get(objects.name, ["auto-reload-config"])


CHECKS = (sending,)
