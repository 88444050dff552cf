"""What a stack in a cloud needs of this machine: one sentence for each thing that is missing, and a kubeconfig."""

from pathlib import Path
from typing import Any

import pytest

from infra import machine, machine_cloud
from infra.config_cluster import Provider
from infra.config_schema import Settings
from infra.settings import load, load_file
from tools.paths import PROJECT

NAMED = {
    "modelway:gateway": {"address": "models.example.com"},
    "modelway:models": [{"name": "m", "versions": [{"name": "v1", "image": "r.example/m@sha256:" + "a" * 64}]}],
}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Command lines of the clouds that write their arguments as the kubeconfig."""
    for name in ("aws", "gcloud", "gke-gcloud-auth-plugin"):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'#!/bin/sh\necho {name} "$@" > "$KUBECONFIG"\n')
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "bin"


def settings(stack: str | dict[str, Any]) -> Settings:
    if isinstance(stack, dict):
        return load({**NAMED, "modelway:cluster": {"provider": "existing", **stack}}, "named")
    return load_file(PROJECT / f"stacks/Pulumi.{stack}.yaml", stack)


@pytest.mark.parametrize(
    ("stack", "command"),
    [
        ("aws-staging", "aws eks update-kubeconfig --name modelway-staging --region eu-west-1"),
        (
            "gcp-production",
            "gcloud container clusters get-credentials modelway-production --location europe-west4 "
            "--project models-of-acme --dns-endpoint",
        ),
        ({"eks": "shop", "region": "eu-west-1"}, "aws eks update-kubeconfig --name shop --region eu-west-1"),
        (
            {"gke": "shop", "region": "europe-west4", "project": "models-of-acme"},
            "gcloud container clusters get-credentials shop --location europe-west4 --project models-of-acme",
        ),
    ],
)
@pytest.mark.usefixtures("programs")
def test_the_clouds_own_command_line_writes_the_kubeconfig_once(stack: str | dict[str, Any], command: str) -> None:
    asked = settings(stack)
    file = machine_cloud.kubeconfig(asked)
    assert file.read_text().strip() == command
    file.write_text("kept")
    assert machine.kubectl_arguments(asked) == [f"--kubeconfig={file}"]
    assert file.read_text() == "kept"


@pytest.mark.parametrize("cloud", [Provider.EKS, Provider.GKE])
def test_missing_credentials_and_programs_are_told_together(
    programs: Path, monkeypatch: pytest.MonkeyPatch, cloud: Provider
) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    name = machine_cloud.PLUGINS[cloud][0]
    (programs / name).unlink()
    wheres = [problem.where for problem in machine_cloud.cloud_problems(cloud)]
    assert wheres == ["AWS" if cloud is Provider.EKS else "Google Cloud", name]


def test_a_cluster_that_is_not_there_leaves_no_kubeconfig(programs: Path) -> None:
    (programs / "aws").write_text("#!/bin/sh\nexit 254\n")
    assert not machine_cloud.kubeconfig(settings("aws-staging")).exists()
    assert machine_cloud.cloud_of(settings("aws-staging")) is Provider.EKS
    assert machine_cloud.cloud_of(settings("node")) is None
