"""Envoy Gateway's Helm charts, which its Go module carries: packaged for the release, rendered for the CRDs."""

import json
import shutil
import string
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tools.paths import cache_dir
from tools.problem import Problem, ProblemError
from tools.progress import Progress
from tools.toolchain import catalog, gobuild, store, versions
from tools.toolchain.resolve import ensure

_MODULE = "github.com/envoyproxy/gateway"
_VERSION = f"v{versions.ENVOY_GATEWAY}"
_VALUES = {
    "GatewayImage": f"docker.io/envoyproxy/gateway:{_VERSION}",
    "GatewayImagePullPolicy": "IfNotPresent",
}
"""What Envoy Gateway's own release fills into `values.tmpl.yaml`."""

CHARTS = ("gateway-helm", "gateway-crds-helm")


def chart(name: str, progress: Progress) -> Path:
    """The packaged chart `NAME-vVERSION.tgz` in the cache, one of `CHARTS`.

    Where registries can be reached, `oci://docker.io/envoyproxy/NAME` is the same chart.
    Raises ProblemError when Go or its module proxy cannot be had.
    """
    if name not in CHARTS:
        raise ProblemError([_problem(f"chart {name!r}", "there is no such chart", repr(name), " or ".join(CHARTS))])
    target = cache_dir() / "charts" / f"{name}-{_VERSION}.tgz"
    if target.exists():
        return target
    helm = ensure(["helm"], progress)["helm"].path
    with store.locked("charts", progress), store.staging("charts", target.parent) as folder:
        if not target.exists():
            with progress.step(f"packaging the chart {name} {_VERSION}"):
                source = _prepare(name, folder)
                _helm(helm, "package", source, f"--version={_VERSION}", f"--app-version={_VERSION}", "-d", folder)
                (folder / target.name).replace(target)
    return target


def crd_manifests(progress: Progress) -> list[dict[str, Any]]:
    """Envoy Gateway's CRDs and the Gateway API's standard channel with its upgrade guard, as Helm renders them."""
    packaged = chart("gateway-crds-helm", progress)
    helm = ensure(["helm"], progress)["helm"].path
    settings = "crds.gatewayAPI.enabled=true,crds.gatewayAPI.channel=standard,crds.envoyGateway.enabled=true"
    text = _helm(helm, "template", "crds", packaged, "--set", settings)
    documents = yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return sorted(filter(None, documents), key=lambda item: (item["kind"], item["metadata"]["name"]))


def _prepare(name: str, folder: Path) -> Path:
    """A writable copy of the chart's folder with the values that a release has."""
    source = folder / name
    shutil.copytree(_module_folder() / "charts" / name, source, copy_function=shutil.copyfile)
    for entry in [source, *source.rglob("*")]:
        if entry.is_dir():
            entry.chmod(0o755)
    template = source / "values.tmpl.yaml"
    values = string.Template(template.read_text(encoding="utf-8")).substitute(_VALUES)
    (source / "values.yaml").write_text(values, encoding="utf-8")
    template.unlink()
    return source


def _module_folder() -> Path:
    go = gobuild.go_command()
    blocked = gobuild.blocker(catalog.SPECS["envoy-gateway"])
    if go is None or blocked is not None:
        raise ProblemError([blocked] if blocked else [])
    done = subprocess.run(
        [str(go), "mod", "download", "-json", f"{_MODULE}@{_VERSION}"],
        cwd=gobuild.MODULES / "kubernetes",
        env=gobuild.environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    found = json.loads(done.stdout or "{}")
    if done.returncode != 0 or "Dir" not in found:
        got = str(found.get("Error") or done.stderr.strip() or "no answer")
        raise ProblemError([_problem(_MODULE, "its Go module cannot be downloaded", got, f"version {_VERSION}")])
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
