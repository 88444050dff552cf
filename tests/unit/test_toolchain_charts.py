"""Charts out of Go modules are what their releases publish: versions and images filled in."""

import subprocess
from pathlib import Path

import pytest

from tools.problem import ProblemError
from tools.progress import Progress
from tools.toolchain import Tool, charts, gobuild, versions

FAKE_HELM = """#!/bin/sh
echo "$*" >> "$LOG"
case "$1" in
package) cp -r "$2" "$SEEN"; : > "$6/$(basename "$2")-${3#--version=}.tgz" ;;
template) printf 'kind: B\\nmetadata: {name: y}\\n---\\n---\\nkind: A\\nmetadata: {name: z}\\n---\\nkind: A\\nmetadata: {name: x}\\n' ;;
esac
"""
VERSION = f"v{versions.ENVOY_GATEWAY}"


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module cache as Go leaves it (read-only) and a helm that keeps what it is given; returns where."""
    module = tmp_path / "module"
    for source in charts.CHARTS.values():
        folder = module / source.folder / "templates"
        folder.mkdir(parents=True)
        (folder.parent / "values.tmpl.yaml").write_text("image: ${GatewayImage}\npull: ${GatewayImagePullPolicy}\n")
        (folder.parent / "values.tmpl.yaml").chmod(0o444)
        folder.chmod(0o555)
    helm = tmp_path / "helm"
    helm.write_text(FAKE_HELM)
    helm.chmod(0o755)
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("MODELWAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(charts, "ensure", lambda *_: {"helm": Tool("helm", helm, "3", "PATH")})
    monkeypatch.setattr(charts, "_module_folder", lambda _: module)
    return tmp_path / "seen"


def test_the_packaged_chart_carries_the_version_and_the_image(seen: Path, tmp_path: Path) -> None:
    target = tmp_path / "cache/charts" / f"gateway-helm-{VERSION}.tgz"
    assert charts.chart("gateway-helm", Progress()) == target
    assert target.exists()
    assert (seen / "values.yaml").read_text() == f"image: docker.io/envoyproxy/gateway:{VERSION}\npull: IfNotPresent\n"
    assert sorted(path.name for path in seen.iterdir()) == ["templates", "values.yaml"]
    (call,) = (tmp_path / "log").read_text().splitlines()
    assert f"--version={VERSION} --app-version={VERSION}" in call


def test_a_chart_is_packaged_once(seen: Path, tmp_path: Path) -> None:
    charts.chart("gateway-helm", Progress())
    assert seen.exists()
    charts.chart("gateway-helm", Progress())
    assert len((tmp_path / "log").read_text().splitlines()) == 1
    assert [path.name for path in (tmp_path / "cache/charts").iterdir()] == [f"gateway-helm-{VERSION}.tgz"]


@pytest.mark.usefixtures("seen")
def test_crds_come_from_the_standard_channel_in_a_stable_order(tmp_path: Path) -> None:
    items = [(item["kind"], item["metadata"]["name"]) for item in charts.crd_manifests(Progress())]
    assert items == [("A", "x"), ("A", "z"), ("B", "y")]
    settings = (tmp_path / "log").read_text().splitlines()[-1].split("--set ")[1]
    assert settings == "crds.gatewayAPI.enabled=true,crds.gatewayAPI.channel=standard,crds.envoyGateway.enabled=true"


@pytest.mark.usefixtures("seen")
def test_of_cert_managers_objects_only_the_crds_are_kept(tmp_path: Path) -> None:
    helm = tmp_path / "helm"
    crd = "kind: CustomResourceDefinition\\nmetadata: {name: c}\\n---\\n"
    helm.write_text(FAKE_HELM.replace("printf '", f"printf '{crd}"))
    assert [item["metadata"]["name"] for item in charts.certificate_crd_manifests(Progress())] == ["c"]
    assert (tmp_path / "cache/charts" / f"cert-manager-v{versions.CERT_MANAGER}.tgz").exists()


def test_another_chart_is_refused_by_name() -> None:
    with pytest.raises(ProblemError) as caught:
        charts.chart("gateway", Progress())
    assert str(caught.value) == (
        "chart 'gateway': there is no such chart: got 'gateway', allowed gateway-helm or gateway-crds-helm or cert-manager; "
        "repair what the message names and run the command again."
    )


def test_a_module_that_go_cannot_download_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess([], 1, stdout='{"Error": "no such host"}', stderr="")
    monkeypatch.setattr(gobuild, "go_command", lambda: Path("go"))
    monkeypatch.setattr(gobuild, "blocker", lambda _: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(ProblemError) as caught:
        charts._module_folder(charts.CHARTS["gateway-helm"])
    assert str(caught.value) == (
        "github.com/envoyproxy/gateway: its Go module cannot be downloaded: got no such host, "
        f"allowed version {VERSION}; repair what the message names and run the command again."
    )
