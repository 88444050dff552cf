"""What differs between the servers that can run a version: ports, paths, probes, start and folders.

Nothing here needs Pulumi. A `Runtime` says it all, and one function per runtime makes it. The model is a path inside
the image, unless our own server fetches it by its sum (`fetch.py`): then one digest names server and model together,
any cluster can run it (image volumes are on by default from Kubernetes 1.35 only), and two pods can never see different
files, as on a volume.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

HTTP_PORT = 8080
ADMIN_PORT = 9090
USER_ID = 10001
TEMPORARY = "/tmp"  # noqa: S108
"""Writable in every pod."""
CACHE = "/var/cache/modelway"
"""Writable where a server keeps what it compiles."""
MODEL_PATH = "/model"
"""Where an image has its model unless it says otherwise."""
FETCHED_PATH = "/var/lib/modelway/model"
"""Where a model is that was fetched before the server started."""
KEEP_ALIVE_SECONDS = 75
"""How long our server, and others unless it is said, keep an idle connection."""
REQUEST_TIMEOUT_SECONDS = 30
"""Longest that the gateway waits for an answer; a pod lives that long after it left the endpoints."""
VLLM_TIMEOUT_SECONDS = 300
STARTUP_SECONDS = 120
FEEDBACK_KEY_FOLDER = "/var/run/secrets/modelway/feedback"
FEEDBACK_KEY = "keys"
"""Name of the file, and of the key in the Secret."""
KEYS_FOLDER = "/var/run/secrets/modelway/files"
"""Where a foreign server finds `secret_files`."""


@dataclass(frozen=True)
class PublicPath:
    """A path that users reach below the model's prefix; no other is routed."""

    public: str
    """Below `/NAME` and `/NAME/VERSION`: `/predict`."""
    upstream: str
    """What the server calls it."""
    prefix: bool = False
    """Whether everything below is reached as well."""
    split: bool = True
    """Whether `/NAME` has it, divided by weight, or only `/NAME/VERSION`."""


@dataclass(frozen=True)
class Resources:
    """Requests and limits of the server container, as Kubernetes quantities."""

    cpu_request: str = "100m"
    cpu_limit: str = "1"
    memory_request: str = "192Mi"
    memory_limit: str = "512Mi"


@dataclass(frozen=True)
class SecretKey:
    """One key of a Secret in the models' namespace."""

    secret: str
    key: str


@dataclass(frozen=True)
class Runtime:
    """How one version is served. The defaults are those of our own server."""

    name: str
    paths: tuple[PublicPath, ...]
    base: str = "/predict"
    """The path that stands for the model in its URL."""
    port: int = HTTP_PORT
    """Port of the predictions, the only one that the gateway reaches."""
    metrics_port: int = ADMIN_PORT
    probe_port: int = ADMIN_PORT
    """One of the two ports above."""
    metrics_path: str = "/metrics"
    ready_path: str = "/readyz"
    health_path: str = "/healthz"
    command: tuple[str, ...] = ()
    """Empty: the image's own."""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    field_env: Mapping[str, str] = field(default_factory=dict)
    """Variables from fields of the pod: `{"POD_UID": "metadata.uid"}`."""
    secret_files: Mapping[str, SecretKey] = field(default_factory=dict)
    """Keys of Secrets as files, by the variable that holds the file's path."""
    user_id: int = USER_ID
    writable_paths: tuple[str, ...] = ()
    """Folders besides `/tmp` that the server may write to: empty at the start of each pod, 1 GiB at most."""
    temporary_size: str = "64Mi"
    """Most that `/tmp` may hold."""
    shared_memory: str = ""
    """Size of `/dev/shm`, which counts as memory of the container; empty: the container runtime's 64 MiB."""
    gpus: int = 0
    startup_seconds: int = STARTUP_SECONDS
    """Longest that the server may take until it is ready."""
    request_timeout_seconds: int = REQUEST_TIMEOUT_SECONDS
    keep_alive_seconds: int = KEEP_ALIVE_SECONDS
    """How long the server keeps an idle connection; the gateway forgets it long before."""
    resources: Resources = field(default_factory=Resources)
    feedback_key_secret: Any = None
    """Name of the Secret whose key signs prediction ids: text, or a value that becomes text while deploying."""

    @property
    def ports(self) -> Mapping[str, int]:
        """Names and numbers of the ports that the server listens on."""
        shared = self.metrics_port == self.port
        return {"http": self.port} if shared else {"http": self.port, "admin": self.metrics_port}

    @property
    def probe_port_name(self) -> str:
        """Name of the port that answers probes."""
        return "http" if self.probe_port == self.port else "admin"


@dataclass(frozen=True)
class Options:
    """What a version and its model say about the server; checked by `runtime_checks`, not here."""

    runtime: str = "modelway"
    container: Mapping[str, Any] = field(default_factory=dict)
    """The fields of `ContainerArgs` that are set."""
    gpus: int | None = None
    allow_pickle: bool = False
    access_log: bool = False
    traces: Mapping[str, Any] | None = None
    """The fields of `ServerTracesArgs` that are set; None: no spans."""
    feedback: bool = False
    feedback_outcomes: tuple[str, ...] = ()
    docs: bool = False
    shadow: bool = False
    """Whether it gets copies of requests only."""
    fetch: Mapping[str, Any] | None = None
    """The fields of `FetchArgs` that are set; None: the model is part of the image."""
    subjects: Mapping[str, Any] | None = None
    """The fields of `SubjectsArgs` that are set; None: subjects are not counted."""


PREDICT = PublicPath("/predict", "/predict")
OPEN_INFERENCE = (
    PublicPath("/v2", "/v2"),
    PublicPath("/v2/health", "/v2/health", prefix=True),
    PublicPath("/v2/models", "/v2/models", prefix=True),
)
"""The Open Inference Protocol without what MLServer and Triton have beside it under `/v2`: a stranger could unload a
model by `/v2/repository`, or write files by `/v2/logging`."""


def runtime_of(model: str, version: str, options: Options) -> Runtime:
    """How `options` are served."""
    return RUNTIMES[options.runtime](model, version, options)


def split_paths(runtimes: Sequence[Runtime]) -> list[PublicPath]:
    """Paths that all versions of a model have: a share of the requests to any other would fail."""
    first, *others = [[path for path in runtime.paths if path.split] for runtime in runtimes]
    return [path for path in first if all(path in other for other in others)]


def split_base(runtimes: Sequence[Runtime]) -> str:
    """The path that stands for a model in its URL."""
    common = {path.public for path in split_paths(runtimes)}
    return next(runtime.base for runtime in runtimes if runtime.base in common)


def _modelway(model: str, version: str, options: Options) -> Runtime:
    env = {"MODELWAY_MODEL": model, "MODELWAY_VERSION": version}
    paths = [PREDICT, *OPEN_INFERENCE]
    if options.allow_pickle:
        env["MODELWAY_ALLOW_PICKLE"] = "true"
    if options.access_log:
        env["MODELWAY_ACCESS_LOG"] = "true"
    if options.traces is not None:
        env["MODELWAY_TRACES_URL"] = options.traces["url"]
    if options.feedback:
        # Any version verifies the ids of all, and counts for the one that predicted: one key per model.
        env["MODELWAY_FEEDBACK_KEY_FILE"] = f"{FEEDBACK_KEY_FOLDER}/{FEEDBACK_KEY}"
        paths.append(PublicPath("/feedback", "/feedback"))
    if options.feedback_outcomes:
        env["MODELWAY_FEEDBACK_OUTCOMES"] = ",".join(options.feedback_outcomes)
    if options.shadow:
        env["MODELWAY_SHADOW"] = "true"
    if options.fetch is not None:
        env["MODELWAY_MODEL_DIR"] = FETCHED_PATH
    if options.subjects is not None:
        env |= _subjects(options.subjects)
    if options.docs:
        paths += [PublicPath("/docs", "/docs", split=False), PublicPath("/openapi.json", "/openapi.json", split=False)]
    return Runtime("modelway", tuple(paths), env=env)


def _subjects(subjects: Mapping[str, Any]) -> dict[str, str]:
    """How the server counts users, where an experiment compares this version."""
    env = {"MODELWAY_SUBJECTS": "true"}
    for name in ("header", "cookie"):
        if subjects.get(name) is not None:
            env[f"MODELWAY_SUBJECT_{name.upper()}"] = subjects[name]
    if subjects.get("slow_seconds") is not None:
        env["MODELWAY_SLOW_SECONDS"] = f"{subjects['slow_seconds']:g}"
    return env


def _container(model: str, version: str, options: Options) -> Runtime:
    own = options.container
    predict = PublicPath("/predict", own.get("predict_path", "/predict"))
    admin_port = own.get("admin_port", ADMIN_PORT)
    runtime = Runtime(
        "container",
        (predict, *(OPEN_INFERENCE if own.get("open_inference") else ())),
        port=own.get("port", HTTP_PORT),
        metrics_port=admin_port,
        probe_port=admin_port,
        metrics_path=own.get("metrics_path", "/metrics"),
        ready_path=own.get("ready_path", "/readyz"),
        health_path=own.get("health_path", "/healthz"),
        command=tuple(own.get("command", ())),
        user_id=own.get("user_id", USER_ID),
        env={"MODELWAY_MODEL": model, "MODELWAY_VERSION": version},
    )
    return _with_options(runtime, options)


def _mlserver(model: str, version: str, options: Options) -> Runtime:
    """MLServer (https://docs.seldon.ai/mlserver/reference/settings); a `settings.json` in the image outranks this."""
    del model, version
    runtime = Runtime(
        "mlserver",
        OPEN_INFERENCE,
        base="/v2",
        probe_port=HTTP_PORT,
        ready_path="/v2/health/ready",
        health_path="/v2/health/live",
        command=("mlserver",),
        args=("start", options.container.get("model_path", MODEL_PATH)),
        env={
            "MLSERVER_HTTP_PORT": str(HTTP_PORT),
            "MLSERVER_METRICS_PORT": str(ADMIN_PORT),
            "MLSERVER_METRICS_ENDPOINT": "/metrics",
            "MLSERVER_DEBUG": "false",
            # Both are folders of the working directory by default, which cannot be written.
            "MLSERVER_METRICS_DIR": f"{TEMPORARY}/metrics",
            "MLSERVER_ENVIRONMENTS_DIR": f"{TEMPORARY}/environments",
            "HOME": TEMPORARY,
        },
        # uvicorn's default, which MLServer has no setting for.
        keep_alive_seconds=5,
        resources=Resources("500m", "2", "512Mi", "2Gi"),
    )
    return _with_options(runtime, options)


def _triton(model: str, version: str, options: Options) -> Runtime:
    """Triton (https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/)."""
    del model, version
    closed = "shared-memory,model-config,model-repository,statistics,trace,logging"
    runtime = Runtime(
        "triton",
        OPEN_INFERENCE,
        base="/v2",
        probe_port=HTTP_PORT,
        ready_path="/v2/health/ready",
        health_path="/v2/health/live",
        command=("tritonserver",),
        args=(
            f"--model-repository={options.container.get('model_path', MODEL_PATH)}",
            f"--http-port={HTTP_PORT}",
            f"--metrics-port={ADMIN_PORT}",
            "--allow-grpc=false",
            # Some of these are below /v2/models: they need a header whose value nobody outside the pod knows.
            f"--http-restricted-api={closed}:x-modelway-pod=$(POD_UID)",
            f"--exit-timeout-secs={REQUEST_TIMEOUT_SECONDS}",
        ),
        env={"HOME": TEMPORARY},
        field_env={"POD_UID": "metadata.uid"},
        shared_memory="1Gi",
        startup_seconds=300,
        resources=Resources("1", "4", "2Gi", "4Gi"),
    )
    return _with_options(runtime, options)


def _vllm(model: str, version: str, options: Options) -> Runtime:
    """vLLM from 0.18 on (https://docs.vllm.ai/en/latest/cli/serve/); requests name the model as the stack does."""
    del version
    gpus = 1 if options.gpus is None else options.gpus
    parallel = (f"--tensor-parallel-size={gpus}",) if gpus > 1 else ()
    runtime = Runtime(
        "vllm",
        (PublicPath("/v1", "/v1", prefix=True),),
        base="/v1",
        metrics_port=HTTP_PORT,
        probe_port=HTTP_PORT,
        ready_path="/health",
        health_path="/health",
        command=("vllm", "serve"),
        args=(
            options.container.get("model_path", MODEL_PATH),
            f"--port={HTTP_PORT}",
            f"--served-model-name={model}",
            # Else it drops what it is generating.
            f"--shutdown-timeout={VLLM_TIMEOUT_SECONDS}",
            *parallel,
        ),
        env={
            # Compilers ask for the user's name, and the user's number has none in the image.
            "USER": "modelway",
            "LOGNAME": "modelway",
            "HOME": CACHE,
            "XDG_CACHE_HOME": CACHE,
            "VLLM_CACHE_ROOT": f"{CACHE}/vllm",
            "VLLM_CONFIG_ROOT": f"{CACHE}/vllm-config",
            "TORCHINDUCTOR_CACHE_DIR": f"{CACHE}/inductor",
            "TRITON_CACHE_DIR": f"{CACHE}/triton",
            # Longer than the gateway keeps an idle connection.
            "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "75",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        },
        writable_paths=(CACHE,),
        shared_memory="2Gi",
        gpus=gpus,
        startup_seconds=900,
        request_timeout_seconds=VLLM_TIMEOUT_SECONDS,
        resources=Resources("2", "8", "8Gi", "24Gi"),
    )
    return _with_options(runtime, options)


def _with_options(runtime: Runtime, options: Options) -> Runtime:
    """`runtime` with what every foreign server may be told."""
    own = options.container
    return replace(
        runtime,
        args=(*runtime.args, *own.get("args", ())),
        env={**runtime.env, **own.get("env", {})},
        secret_files={name: SecretKey(**key) for name, key in own.get("secret_files", {}).items()},
        writable_paths=(*runtime.writable_paths, *own.get("writable_paths", ())),
        temporary_size="1Gi",
        gpus=runtime.gpus if options.gpus is None else options.gpus,
        startup_seconds=own.get("startup_seconds", runtime.startup_seconds),
        keep_alive_seconds=own.get("keep_alive_seconds", runtime.keep_alive_seconds),
    )


RUNTIMES: Mapping[str, Callable[[str, str, Options], Runtime]] = {
    "modelway": _modelway,
    "container": _container,
    "mlserver": _mlserver,
    "triton": _triton,
    "vllm": _vllm,
}
"""Every runtime by its name in the stack config."""
