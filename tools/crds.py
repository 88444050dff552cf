"""Writes CRDs into the components as package data, as `python -m tools.crds`: the gateway's, cert-manager's, KEDA's and
the Prometheus Operator's.

Descriptions are left out: they are four fifths of the text, and every object is part of the stack's state.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.paths import PROJECT
from tools.progress import Progress
from tools.toolchain.charts import (
    certificate_crd_manifests,
    crd_manifests,
    keda_crd_manifests,
    operator_crd_manifests,
)

FOLDER = PROJECT / "components/modelway/gateway"
TARGETS: Mapping[Path, Callable[[Progress], list[dict[str, Any]]]] = {
    FOLDER / "crds.jsonl": crd_manifests,
    FOLDER / "cert_manager_crds.jsonl": certificate_crd_manifests,
    FOLDER.parent / "scaling/keda_crds.jsonl": keda_crd_manifests,
    FOLDER.parent / "monitoring/operator_crds.jsonl": operator_crd_manifests,
}
"""Files, and what they hold."""


def without_descriptions(value: Any, names: bool = False) -> Any:
    """Drop every schema's `description`; `names` marks a level whose keys are property names, not schema words."""
    if isinstance(value, dict):
        return {
            key: without_descriptions(inner, names=key == "properties" and not names)
            for key, inner in value.items()
            if names or key != "description"
        }
    if isinstance(value, list):
        return [without_descriptions(inner) for inner in value]
    return value


def render(manifests: Iterable[dict[str, Any]]) -> str:
    """One object a line, sorted by kind and name, so that a new chart version shows as changed lines."""
    ordered = sorted(manifests, key=lambda manifest: (manifest["kind"], manifest["metadata"]["name"]))
    return "".join(
        json.dumps(without_descriptions(manifest), sort_keys=True, separators=(",", ":")) + "\n" for manifest in ordered
    )


if __name__ == "__main__":
    for target, manifests in TARGETS.items():
        target.write_text(render(manifests(Progress())), encoding="utf-8")
