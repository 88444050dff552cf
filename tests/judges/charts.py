"""Objects of the charts that the components install, with the components' values."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.unit.k8s_objects import chart_values
from tools.progress import Progress
from tools.toolchain import charts, ensure


@cache
def rendered() -> dict[str, tuple[dict[str, Any], ...]]:
    """What each chart makes of the values of `chart_values`, by the same names; without CRDs."""
    chart = {"gateway": "gateway-helm", "cert": "cert-manager"}
    release = {"gateway": "envoy-gateway", "cert": "cert-manager"}
    namespace = {"gateway": "modelway-gateway", "cert": "modelway-cert-manager"}
    found = {}
    for name, values in chart_values().items():
        kind = name.partition("-")[0]
        path = charts.chart(chart[kind], Progress())
        found[name] = _render(path, release[kind], namespace[kind], values)
    return found


def _render(chart: Path, release: str, namespace: str, values: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    helm = ensure(["helm"], Progress())["helm"].path
    command = [str(helm), "template", release, str(chart), "--namespace", namespace, "--skip-crds", "--values", "-"]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=True)
    documents = yaml.load_all(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return tuple(document for document in documents if document)
