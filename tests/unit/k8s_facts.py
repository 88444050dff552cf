"""What the sets of `k8s_objects` must contain, as facts that are written down once more instead of being computed."""

from dataclasses import dataclass, replace
from typing import Any

TEMPORARY, SHARED, CACHE = "/tmp", "/dev/shm", "/var/cache/modelway"  # noqa: S108
FEEDBACK = "/var/run/secrets/modelway/feedback"
KEYS = "/var/run/secrets/modelway/files"
PREDICT = {"/predict": False}
OPEN_INFERENCE = {"/v2": False, "/v2/health": True, "/v2/models": True}


@dataclass(frozen=True)
class Server:
    """One kind of server."""

    ports: dict[str, int]
    probed: str
    ready: str
    health: str
    size: tuple[str, str, str, str]
    """CPU request and limit, memory request and limit."""
    paths: dict[str, bool]
    """Public paths, with whether everything below is public too."""
    folders: tuple[str, ...] = (TEMPORARY,)
    user: int = 10001
    container: str = "server"
    metrics_port: int = 9090
    startup: int = 120
    """Seconds until it must be ready."""
    timeout: int = 30
    """Seconds that a request may take."""
    gpus: int = 0
    fetch: int = 0
    """Seconds that the slowest fetch of its model may take."""


@dataclass(frozen=True)
class Version:
    """One version of a model."""

    model: str
    name: str
    server: Server
    replicas: int | None
    """None: an autoscaler decides."""
    feedback: bool = False
    docs: bool = False
    shadow: bool = False

    @property
    def full_name(self) -> str:
        """Name of all of its objects."""
        return f"{self.model}-{self.name}"


PORTS = {"http": 8080, "admin": 9090}
OURS = Server(PORTS, "admin", "/readyz", "/healthz", ("100m", "1", "192Mi", "512Mi"), {**PREDICT, **OPEN_INFERENCE})
WITH_FEEDBACK = replace(OURS, folders=(TEMPORARY, FEEDBACK), paths={**OURS.paths, "/feedback": False})
PROTOCOL = replace(OURS, probed="http", ready="/v2/health/ready", health="/v2/health/live", paths=OPEN_INFERENCE)
RUNTIMES = {
    "modelway": WITH_FEEDBACK,
    "container": replace(
        OURS,
        ports={"http": 5000, "admin": 5001},
        metrics_port=5001,
        folders=(TEMPORARY, "/cache", KEYS),
        gpus=1,
    ),
    "mlserver": replace(PROTOCOL, size=("500m", "2", "512Mi", "2Gi")),
    "triton": replace(PROTOCOL, size=("1", "4", "2Gi", "4Gi"), folders=(TEMPORARY, SHARED), startup=300, gpus=1),
    "vllm": replace(
        OURS,
        ports={"http": 8080},
        probed="http",
        ready="/health",
        health="/health",
        size=("2", "8", "8Gi", "24Gi"),
        paths={"/v1": True},
        folders=(TEMPORARY, CACHE, SHARED),
        metrics_port=8080,
        startup=900,
        timeout=300,
        gpus=2,
    ),
}
PROMETHEUS = Server(
    {"http": 9090},
    "http",
    "/-/ready",
    "/-/healthy",
    ("50m", "1", "256Mi", "1Gi"),
    {},
    folders=("/etc/prometheus", "/prometheus", "/var/run/secrets/kubernetes.io/serviceaccount"),
    user=65534,
    container="prometheus",
)
ALERTMANAGER = Server(
    {"http": 9093},
    "http",
    "/-/ready",
    "/-/healthy",
    ("10m", "200m", "32Mi", "128Mi"),
    {},
    folders=("/etc/alertmanager/config", "/etc/alertmanager/secrets", "/alertmanager"),
    user=65534,
    container="alertmanager",
)


FETCHED, MODEL_FOLDER, SUM = "fetched", "/var/lib/modelway/model", "5e" * 32
"""A model whose versions are named after where they fetch it, where they have it, and its sum."""
TRACED = "traced"
"""A model whose versions are named after how they reach the collector of spans."""
FETCHING = replace(OURS, folders=(TEMPORARY, MODEL_FOLDER), fetch=204)
ALIASES = {"header": {"champion": "v0", "next": "v1"}}
"""Other names of versions, by model."""


def versions(set_name: str) -> list[Version]:
    """Versions in the set of this name; none where it holds no model."""
    kind, _, detail = set_name.partition("-")
    if kind == "runtime":
        return [_runtime("iris", detail)]
    if kind == "mixed":
        return [_runtime("mixed", runtime) for runtime in RUNTIMES if runtime != "vllm"]
    if kind == "ingress":
        return [Version(detail, "v0", OURS, 2)]
    if kind == "access":
        return [Version(detail, "v0", OURS, 2)]
    if kind == FETCHED:
        sources = ("google", "amazon", "web", "address", "volume")
        small = replace(FETCHING, fetch=6)
        return [Version(kind, "bucket", small, 2), *(Version(kind, name, FETCHING, 2) for name in sources)]
    if kind == TRACED:
        return [Version(kind, name, OURS, 2) for name in ("service", "address")]
    if kind == "routes":
        both = [Version("header", "v0", OURS, 2), Version("header", "v1", OURS, 2)]
        shadow = Version("header", "v2", OURS, 2, shadow=True)
        return [*both, shadow] if detail == "header" else [Version("cookie", "v0", OURS, 2)]
    if kind == "versions":
        plain = [Version(f"iris-{detail}", f"v{number}", OURS, 2 if number else 3) for number in range(int(detail))]
        more: dict[str, Any] = {"server": WITH_FEEDBACK, "replicas": None, "feedback": True, "docs": True}
        return [replace(version, **more) if number % 2 else version for number, version in enumerate(plain)]
    return []


def _runtime(model: str, name: str) -> Version:
    ours = name == "modelway"
    return Version(model, name, RUNTIMES[name], None, feedback=ours, docs=ours)
