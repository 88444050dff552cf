"""What a stack needs of this machine, per kind of cluster: tools, checks, preparation, and what is left of it."""

import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from infra import machine_cloud
from infra.alerting import tells_of_alerts
from infra.autoscaling import installs_keda
from infra.config_schema import Provider, Settings
from infra.tls import installs_cert_manager
from tools import node, toolchain
from tools.node.layout import Layout
from tools.paths import cache_dir, state_dir
from tools.problem import Problem
from tools.progress import Progress

GIB = 1024**3
NEEDED_DISK_BYTES = 5 * GIB
REGISTRY_CONTAINER = "modelway-registry"
REGISTRY_IMAGE = "docker.io/library/registry:2"


def tool_names(provider: Provider) -> tuple[str, ...]:
    """The tools that a stack of this kind runs on."""
    own = (*toolchain.NODE, *toolchain.IMAGES) if provider is Provider.NODE else ()
    return tuple(dict.fromkeys((*toolchain.ENGINE, *own)))


def problems(settings: Settings) -> list[Problem]:
    """Everything on this machine that stops the stack, found without changing or fetching anything."""
    provider = settings.cluster.provider
    reports = toolchain.inspect(tool_names(provider))
    found = [report.problem for report in reports if report.problem]
    if provider is Provider.NODE:
        return [*node.preflight(), *found]
    found += _disk(state_dir()) or _disk(cache_dir())
    if provider is Provider.KIND:
        return [*kind_problems(cluster_name(settings), tls=settings.gateway.tls is not None), *found]
    if cloud := machine_cloud.cloud_of(settings):
        return [*machine_cloud.cloud_problems(cloud), *_unanswered(settings), *found]
    return [*existing_problems(settings), *found]


def kind_problems(cluster: str, *, tls: bool = False) -> list[Problem]:
    """Docker, kind and the ports; `tls`: that of HTTPS too."""
    from tools.images.builder import docker_answers

    found = []
    if not docker_answers():
        fix = "start Docker, or use `modelway up node` on a Linux machine as root"
        found.append(Problem("docker", "no Docker answers", "no answer to `docker info`", "a running Docker", fix))
    if shutil.which("kind") is None:
        fix = "install it from https://kind.sigs.k8s.io, or use `modelway up node` on a Linux machine as root"
        found.append(Problem("kind", "this program is missing", "nothing on PATH", "kind 0.27 or newer", fix))
    if not found and cluster not in kind_clusters():
        found += _busy_port("MODELWAY_GATEWAY_PORT", Layout.current().ports.gateway)
        if tls:
            found += _busy_port("MODELWAY_GATEWAY_TLS_PORT", Layout.current().ports.gateway_tls)
    if not found and not registry_runs():
        found += _busy_port("MODELWAY_REGISTRY_PORT", Layout.current().ports.registry)
    return found


def existing_problems(settings: Settings) -> list[Problem]:
    """The kubeconfig, and whether its cluster answers."""
    path = Path(settings.existing.kubeconfig or "").expanduser()
    if not path.is_file():
        return [
            Problem(
                "modelway:cluster.kubeconfig",
                "no such file",
                repr(settings.existing.kubeconfig),
                "the path of a kubeconfig",
                "correct the path",
            )
        ]
    return _unanswered(settings)


def _unanswered(settings: Settings) -> list[Problem]:
    """Whether the cluster answers; one that the stack has yet to make need not."""
    if machine_cloud.cloud_of(settings) and not machine_cloud.kubeconfig(settings).exists():
        return []
    program = kubectl(settings)
    if not program:
        return []  # It comes with the toolchain; the engine then meets the cluster itself.
    command = [*program, "--request-timeout=10s", "get", "--raw", "/version"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        return []
    last = (asked.stderr.strip().splitlines() or ["no answer"])[-1]
    return [Problem("modelway:cluster", "the cluster does not answer", last, "a reachable API server", "check access")]


def prepare(settings: Settings, progress: Progress) -> None:
    """Bring up what the program expects to exist: the node with its images, or the registry beside kind."""
    if settings.cluster.provider is Provider.NODE:
        from tools.images import system_images
        from tools.toolchain.charts import chart

        node.up(progress)
        chart("gateway-helm", progress)
        if installs_cert_manager(settings):
            chart("cert-manager", progress)
        judging = any(model.experiment for model in settings.models)
        system_images(
            progress,
            scaling=installs_keda(settings),
            judging=judging,
            alerting=tells_of_alerts(settings),
            logging=settings.logs is not None,
        )
    elif settings.cluster.provider is Provider.KIND and not registry_runs():
        with progress.step(f"starting the registry {REGISTRY_CONTAINER}"):
            _start_registry(Layout.current().ports.registry)


def kubectl(settings: Settings) -> list[str]:
    """The command that speaks to the stack's cluster; empty before there is a `kubectl` here."""
    tool = toolchain.inspect(["kubectl"])[0].tool
    return [str(tool.path), *kubectl_arguments(settings)] if tool else []


def kubectl_arguments(settings: Settings) -> list[str]:
    """Arguments that point kubectl to the stack's cluster."""
    if settings.cluster.provider is Provider.NODE:
        return [f"--kubeconfig={Layout.current().kubeconfig}"]
    if settings.cluster.provider is Provider.KIND:
        return [f"--context=kind-{cluster_name(settings)}"]
    if machine_cloud.cloud_of(settings):
        return [f"--kubeconfig={machine_cloud.kubeconfig(settings)}"]
    context = [f"--context={settings.existing.context}"] if settings.existing.context else []
    return [f"--kubeconfig={Path(settings.existing.kubeconfig or '').expanduser()}", *context]


def cluster_gone(settings: Settings) -> str | None:
    """Why the stack's cluster does not exist any more; None: it exists, perhaps stopped, or nobody here can know."""
    if settings.cluster.provider is Provider.NODE:
        gone = not Layout.current().kubeconfig.exists()
        return "no node was started on this machine" if gone else None
    if settings.cluster.provider is Provider.KIND and shutil.which("kind"):
        name = cluster_name(settings)
        return None if name in kind_clusters() else f"kind knows no cluster {name}"
    return None


def asleep(settings: Settings) -> bool:
    """Whether the stack's cluster is a node that is stopped and keeps its objects on disk."""
    return settings.cluster.provider is Provider.NODE and Layout.current().kubeconfig.exists() and not node_runs()


def node_runs() -> bool:
    """Whether the one-node Kubernetes runs."""
    return node.status().running


def cluster_name(settings: Settings) -> str:
    """Name of the stack's kind cluster."""
    return settings.existing.identifier or "modelway"


def kind_clusters() -> list[str]:
    """Names of the kind clusters of this machine."""
    return _output(["kind", "get", "clusters"]).split()


def registry_runs() -> bool:
    """Whether the registry container beside kind runs."""
    return REGISTRY_CONTAINER in _output(["docker", "ps", "--format", "{{.Names}}"]).split()


def _start_registry(port: int) -> None:
    if REGISTRY_CONTAINER in _output(["docker", "ps", "--all", "--format", "{{.Names}}"]).split():
        subprocess.run(["docker", "start", REGISTRY_CONTAINER], check=True, capture_output=True)
        return
    publish = f"127.0.0.1:{port}:5000"
    command = ["docker", "run", "--detach", "--restart", "always", "--publish", publish]
    subprocess.run([*command, "--name", REGISTRY_CONTAINER, REGISTRY_IMAGE], check=True, capture_output=True)


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _busy_port(variable: str, port: int) -> list[Problem]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            fix = f"stop what listens there, or set {variable} to another port"
            return [Problem(f"127.0.0.1:{port}", "the port is in use", "another listener", "a free port", fix)]
    return []


def _disk(folder: Path) -> list[Problem]:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free >= NEEDED_DISK_BYTES:
        return []
    got = f"{free / GIB:.1f} GiB free"
    return [Problem(str(folder), "too little disk space", got, "at least 5 GiB", "free some")]
