"""Helm charts out of the Go modules that carry them: packaged for a release, rendered for the CRDs.

Envoy Gateway's and cert-manager's. Where registries can be reached, their own are the same.
"""

import json
import shutil
import string
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.paths import cache_dir
from tools.problem import Problem, ProblemError
from tools.progress import Progress
from tools.toolchain import catalog, gobuild, store, versions
from tools.toolchain.resolve import ensure


@dataclass(frozen=True)
class Source:
    """Where a chart lies in a Go module, and its version."""

    module: str
    folder: str
    version: str
    graph: str
    """Module graph whose checksums hold for the module."""


_GATEWAY = ("github.com/envoyproxy/gateway", f"v{versions.ENVOY_GATEWAY}", "kubernetes")
_CERT_MANAGER = ("github.com/cert-manager/cert-manager", f"v{versions.CERT_MANAGER}", "cert-manager")
CHARTS = {
    name: Source(module, folder, version, graph)
    for name, folder, (module, version, graph) in (
        ("gateway-helm", "charts/gateway-helm", _GATEWAY),
        ("gateway-crds-helm", "charts/gateway-crds-helm", _GATEWAY),
        ("cert-manager", "deploy/charts/cert-manager", _CERT_MANAGER),
    )
}
KEDA = Source("github.com/kedacore/keda/v2", "config/crd/bases", f"v{versions.KEDA}", "keda")
OPERATOR = Source(
    "github.com/prometheus-operator/prometheus-operator",
    "example/prometheus-operator-crd",
    f"v{versions.PROMETHEUS_OPERATOR}",
    "prometheus-operator",
)
_NOT_NEEDED = ("prometheusagents", "thanosrulers")
"""Kinds of the operator that nothing here has; it goes without."""
_VALUES = {
    "GatewayImage": f"docker.io/envoyproxy/gateway:v{versions.ENVOY_GATEWAY}",
    "GatewayImagePullPolicy": "IfNotPresent",
}
"""What Envoy Gateway's own release fills into `values.tmpl.yaml`."""


def chart_path(name: str) -> Path:
    """Where the packaged chart lies in the cache."""
    return cache_dir() / "charts" / f"{name}-{CHARTS[name].version}.tgz"


def chart(name: str, progress: Progress) -> Path:
    """The packaged chart `NAME-vVERSION.tgz` in the cache, one of `CHARTS`.

    Raises ProblemError when Go or its module proxy cannot be had.
    """
    if name not in CHARTS:
        raise ProblemError([_problem(f"chart {name!r}", "there is no such chart", repr(name), " or ".join(CHARTS))])
    target, version = chart_path(name), CHARTS[name].version
    if target.exists():
        return target
    helm = ensure(["helm"], progress)["helm"].path
    with store.locked("charts", progress), store.staging("charts", target.parent) as folder:
        if not target.exists():
            with progress.step(f"packaging the chart {name} {version}"):
                source = _prepare(name, folder)
                _helm(helm, "package", source, f"--version={version}", f"--app-version={version}", "-d", folder)
                (folder / target.name).replace(target)
    return target


def crd_manifests(progress: Progress) -> list[dict[str, Any]]:
    """Envoy Gateway's CRDs and the Gateway API's standard channel with its upgrade guard, as Helm renders them."""
    settings = "crds.gatewayAPI.enabled=true,crds.gatewayAPI.channel=standard,crds.envoyGateway.enabled=true"
    return _rendered("gateway-crds-helm", settings, progress)


def certificate_crd_manifests(progress: Progress) -> list[dict[str, Any]]:
    """cert-manager's CRDs, as Helm renders them."""
    rendered = _rendered("cert-manager", "crds.enabled=true,crds.keep=false,creator=modelway", progress)
    return [item for item in rendered if item["kind"] == "CustomResourceDefinition"]


def keda_crd_manifests(_: Progress) -> list[dict[str, Any]]:
    """KEDA's CRDs, as its Go module carries them; KEDA's chart is in no module."""
    folder = _module_folder(KEDA) / KEDA.folder
    documents = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.yaml")))
    return sorted(documents, key=lambda item: str(item["metadata"]["name"]))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Takes a lone `=`, a value of an enumeration in the operator's CRDs, for text as YAML 1.2 does."""


_Loader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)


def operator_crd_manifests(_: Progress) -> list[dict[str, Any]]:
    """CRDs of the Prometheus Operator, as its Go module carries them; the chart's own are the same."""
    folder = _module_folder(OPERATOR) / OPERATOR.folder
    documents = (_Loader(file.read_text(encoding="utf-8")).get_single_data() for file in folder.glob("*.yaml"))
    needed = (item for item in documents if item["spec"]["names"]["plural"] not in _NOT_NEEDED)
    return sorted(needed, key=lambda item: str(item["metadata"]["name"]))


def _rendered(name: str, settings: str, progress: Progress) -> list[dict[str, Any]]:
    packaged = chart(name, progress)
    helm = ensure(["helm"], progress)["helm"].path
    text = _helm(helm, "template", "crds", packaged, "--set", settings)
    documents = yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return sorted(filter(None, documents), key=lambda item: (item["kind"], item["metadata"]["name"]))


def _prepare(name: str, folder: Path) -> Path:
    """A writable copy of the chart's folder with the values that a release has."""
    source = folder / name
    shutil.copytree(_module_folder(CHARTS[name]) / CHARTS[name].folder, source, copy_function=shutil.copyfile)
    for entry in [source, *source.rglob("*")]:
        if entry.is_dir():
            entry.chmod(0o755)
    template = source / "values.tmpl.yaml"
    if template.exists():
        values = string.Template(template.read_text(encoding="utf-8")).substitute(_VALUES)
        (source / "values.yaml").write_text(values, encoding="utf-8")
        template.unlink()
    return source


def _module_folder(source: Source) -> Path:
    go = gobuild.go_command()
    blocked = gobuild.blocker(catalog.SPECS["envoy-gateway"])
    if go is None or blocked is not None:
        raise ProblemError([blocked] if blocked else [])
    done = subprocess.run(
        [str(go), "mod", "download", "-json", f"{source.module}@{source.version}"],
        cwd=gobuild.MODULES / source.graph,
        env=gobuild.environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    found = json.loads(done.stdout or "{}")
    if done.returncode != 0 or "Dir" not in found:
        got = str(found.get("Error") or done.stderr.strip() or "no answer")
        what = "its Go module cannot be downloaded"
        raise ProblemError([_problem(source.module, what, got, f"version {source.version}")])
    return Path(found["Dir"])


def _helm(helm: Path, *arguments: str | Path) -> str:
    command = [str(helm), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise ProblemError([_problem(f"helm {arguments[0]}", "it failed on the chart", said, "a chart that renders")])
    return done.stdout


def _problem(where: str, what: str, got: str, allowed: str) -> Problem:
    fix = "repair what the message names and run the command again"
    return Problem(where=where, what=what, got=got, allowed=allowed, fix=fix)
