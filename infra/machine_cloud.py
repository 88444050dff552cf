"""What a stack in a cloud needs of this machine: credentials, the cloud's command line, and a way to its cluster."""

import os
import shutil
import subprocess
from pathlib import Path

from infra.clouds import cluster_name
from infra.config_cluster import EksSettings, GkeSettings, Provider
from infra.config_schema import Settings
from infra.credentials import credential_problems
from tools.paths import state_dir
from tools.problem import Problem

PLUGINS = {
    Provider.EKS: ("aws", "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"),
    Provider.GKE: (
        "gke-gcloud-auth-plugin",
        "https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl#install_plugin",
    ),
}
"""What a kubeconfig asks for tokens, and how it is installed."""
ANSWER_SECONDS = 60


def cloud_of(settings: Settings) -> Provider | None:
    """The cloud of the stack's cluster, which it makes or finds by name; None elsewhere."""
    if settings.cluster.provider.is_cloud:
        return settings.cluster.provider
    return Provider.EKS if settings.existing.eks else Provider.GKE if settings.existing.gke else None


def cloud_problems(cloud: Provider) -> list[Problem]:
    """Credentials and programs that are missing."""
    program, address = PLUGINS[cloud]
    found = credential_problems(cloud)
    if shutil.which(program) is None:
        what, allowed = "this program is missing", f"{program}, which the kubeconfig asks for tokens"
        found.append(Problem(program, what, "nothing on PATH", allowed, f"install it: {address}"))
    return found


def kubeconfig(settings: Settings) -> Path:
    """Kubeconfig of the stack's cluster, which the cloud's command line writes where it is not there yet.

    There is no file where the cluster is not there, or nobody here may see it.
    """
    name, region, project = _place(settings)
    file = state_dir() / "clusters" / "-".join(part for part in (project, region, name, "kubeconfig") if part)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        command = _command(settings, name, region, project)
        if shutil.which(command[0]):
            subprocess.run(
                command,
                env={**os.environ, "KUBECONFIG": str(file)},
                capture_output=True,
                check=False,
                timeout=ANSWER_SECONDS,
            )
    return file


def _place(settings: Settings) -> tuple[str, str, str]:
    cluster = settings.cluster
    if isinstance(cluster, EksSettings):
        return cluster_name(settings), cluster.region, ""
    if isinstance(cluster, GkeSettings):
        return cluster_name(settings), cluster.region, cluster.project
    return cluster.eks or cluster.gke or "", cluster.region or "", cluster.project or ""


def _command(settings: Settings, name: str, region: str, project: str) -> list[str]:
    if cloud_of(settings) is Provider.EKS:
        return ["aws", "eks", "update-kubeconfig", "--name", name, "--region", region]
    by_name = isinstance(settings.cluster, GkeSettings) and (
        settings.cluster.access is None or bool(settings.cluster.access.dns)
    )
    where = ["--location", region, "--project", project, *(["--dns-endpoint"] if by_name else [])]
    return ["gcloud", "container", "clusters", "get-credentials", name, *where]
