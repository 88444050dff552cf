"""One immutable version of a model, running."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from modelway._common import as_int, register, require_dns_label, type_token
from modelway.serving.autoscaling_checks import Autoscaling, autoscaling_misfits, autoscaling_of
from modelway.serving.fetch import fetch_of
from modelway.serving.objects import PROXY_LABELS, ServerSpec, server_manifests
from modelway.serving.runtime_checks import Misfit, model_misfits, version_misfits
from modelway.serving.runtimes import Options, runtime_of
from modelway.tracing.arguments import ServerTracesArgs, server_traces_of

DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


class AutoscalingArgs(TypedDict):
    """Bounds of the number of pods, and what decides between them. The targets of other metrics are refused."""

    min_replicas: int
    """Fewest pods. 0, only with metric `inFlight`, `queue` or `latency` and KEDA: without requests there are none, and
    the gateway answers 503 with `Retry-After` until the first is ready."""
    max_replicas: int
    """Most pods, not below `min_replicas`."""
    metric: NotRequired[str]
    """What decides: `cpu` (default), `inFlight` (requests being answered), `queue` (rows that wait for the model) or
    `latency`. All but `cpu` need runtime `modelway`."""
    cpu_utilization_percent: NotRequired[int]
    """For metric `cpu`: average use, in percent of the request, that is aimed at, 1 to 100. Defaults to 70."""
    in_flight_requests_per_pod: NotRequired[float]
    """For metric `inFlight`, which needs it: average over 30 s that is aimed at."""
    queued_rows_per_pod: NotRequired[float]
    """For metric `queue`, which needs it: average over 30 s that is aimed at."""
    latency_seconds: NotRequired[float]
    """For metric `latency`, which needs it: what the quantile of the last minute's requests is kept below."""
    latency_quantile: NotRequired[float]
    """For metric `latency`: 0.5 to 0.999. Defaults to 0.95."""
    idle_seconds: NotRequired[int]
    """With `min_replicas` 0: how long without a request until the last pod goes, 60 to 86400. Defaults to 300."""
    scale_down_stabilization_seconds: NotRequired[int]
    """How long fewer pods must have been enough until one goes, 0 to 3600. Defaults to 300."""
    source: NotRequired[str]
    """Where figures other than CPU come from: `keda` (default, KEDA asks Prometheus) or `pods` (an adapter in the
    cluster serves `modelway_requests_in_flight` and `modelway_queue_rows` as custom metrics of pods)."""
    prometheus_url: NotRequired[pulumi.Input[str]]
    """Prometheus for KEDA. Defaults to that of `MonitoringStack`."""
    waking_routes: NotRequired[list[str]]
    """Names of the HTTPRoutes in the same namespace whose requests wake a version without pods. Defaults to
    `MODEL-VERSION` and `MODEL-split`."""


class ResourcesArgs(TypedDict):
    """Requests and limits of the server container, as Kubernetes quantities. The defaults are what the runtime needs
    at least: a large model needs more."""

    cpu_request: NotRequired[str]
    """Defaults to `100m`; `500m` for mlserver, `1` for triton, `2` for vllm."""
    cpu_limit: NotRequired[str]
    """Defaults to `1`; `2` for mlserver, `4` for triton, `8` for vllm."""
    memory_request: NotRequired[str]
    """Defaults to `192Mi`; `512Mi` for mlserver, `2Gi` for triton, `8Gi` for vllm."""
    memory_limit: NotRequired[str]
    """Defaults to `512Mi`; `2Gi` for mlserver, `4Gi` for triton, `24Gi` for vllm."""


class SecretKeyArgs(TypedDict):
    """One key of a Secret."""

    secret: str
    """Name of a Secret in the models' namespace."""
    key: str
    """Key in that Secret."""


class ContainerArgs(TypedDict):
    """How the server's container is started and asked, where the runtime is not `modelway`. A field that the runtime
    does not have is refused."""

    port: NotRequired[int]
    """Port of the predictions, at least 1024. Defaults to 8080. Runtime `container` only."""
    admin_port: NotRequired[int]
    """Port of metrics and health, at least 1024. Defaults to 9090. It may be `port`: its paths are not routed even
    then, but any pod that may reach the one may reach the other. Runtime `container` only."""
    predict_path: NotRequired[str]
    """Path that answers predictions. Defaults to `/predict`. Runtime `container` only."""
    ready_path: NotRequired[str]
    """Path that answers 200 when the model is loaded. Defaults to `/readyz`. Runtime `container` only."""
    health_path: NotRequired[str]
    """Path that answers 200 as long as the process is well. Defaults to `/healthz`. Runtime `container` only."""
    metrics_path: NotRequired[str]
    """Path of the Prometheus metrics. Defaults to `/metrics`. Runtime `container` only."""
    open_inference: NotRequired[bool]
    """Whether the server speaks the Open Inference Protocol under `/v2` as well, which is then routed. Defaults to
    false. Runtime `container` only."""
    command: NotRequired[list[str]]
    """Command instead of the image's own. Runtime `container` only."""
    args: NotRequired[list[str]]
    """Arguments: instead of the image's own for `container`, after the preset's own for `triton` and `vllm`."""
    env: NotRequired[dict[str, str]]
    """Environment variables as plain text; a secret belongs into `secret_files`."""
    secret_files: NotRequired[dict[str, SecretKeyArgs]]
    """Keys of Secrets as files: the variable of this name holds the file's path, as `HF_TOKEN_PATH` does for vLLM.
    A variable with the secret itself is not offered: every process that the server starts would inherit it, and a
    changed Secret would not reach the server."""
    user_id: NotRequired[int]
    """User that the server runs as, never root. Defaults to 10001. Runtime `container` only."""
    writable_paths: NotRequired[list[str]]
    """Folders that the server may write to, besides `/tmp`: empty in each new pod, 1 GiB at most."""
    model_path: NotRequired[str]
    """Path of the model, or of the model repository, in the image. Defaults to `/model`. Not for `container`."""
    keep_alive_seconds: NotRequired[int]
    """How long the server keeps an idle connection, 3 to 3600. The gateway forgets its own after two fifths of it, at
    the latest after 30 s, and so never asks a server that just hung up. Defaults to 75, for mlserver to 5. Not for
    vllm."""
    startup_seconds: NotRequired[int]
    """Longest time until the server is ready, 1 to 3600. Defaults to 120; 300 for triton, 900 for vllm."""


class FetchArgs(TypedDict):
    """Where a model is that is not part of the image. An init container of the same image fetches it, and a pod whose
    model is not what the sum says does not start."""

    source: str
    """Folder of the artifact, as `pipeline package` writes it: `s3://BUCKET/PATH`, `gs://BUCKET/PATH`,
    `https://HOST/PATH`, `http://HOST/PATH`, or `file:///PATH` in the volume of `volume_claim`."""
    sha256: str
    """sha256 of the artifact's `manifest.json`, which lists every other file with its own."""
    size_limit_mib: NotRequired[int]
    """Most that the model may take, in MiB, 1 to 1048576. Defaults to 2048."""
    credentials: NotRequired[SecretKeyArgs]
    """Key of a Secret, which only the init container sees, as a file: for `s3` an AWS credentials file with the profile
    `default`, for `gs` a service account's key as JSON, for `http` and `https` the value of the header `Authorization`.
    Defaults to the workload identity of the pod, for `http` and `https` to nothing. Refused for `file`."""
    endpoint: NotRequired[str]
    """URL of an S3 that is not Amazon's; needs `credentials`. Only for `s3`."""
    region: NotRequired[str]
    """Region of the bucket. Defaults to the pod's own, else `us-east-1`. Only for `s3`."""
    volume_claim: NotRequired[str]
    """PersistentVolumeClaim in the models' namespace, mounted read-only. Only for `file`, which needs it."""
    egress_cidrs: NotRequired[list[str]]
    """Networks of the source, for the NetworkPolicy. Defaults to the address or the namespace that `source` or
    `endpoint` names, else to anywhere but link-local addresses. Refused for `file`."""
    identity_annotations: NotRequired[dict[str, str]]
    """Annotations of the ServiceAccount by which the cloud knows the pod: `eks.amazonaws.com/role-arn`,
    `iam.gke.io/gcp-service-account`. Refused with `credentials`. Only for `s3` and `gs`."""


class SubjectsArgs(TypedDict):
    """What is a trial of an experiment, where this version is compared with another."""

    header: NotRequired[str]
    """Header with the user's key, that of the sticky split. Without a key each request is a trial."""
    cookie: NotRequired[str]
    """Cookie with the user's key, instead of a header."""
    slow_seconds: NotRequired[float]
    """Seconds from which an answer is slow. Defaults to not counting slow ones."""


class ModelServerArgs(TypedDict):
    """Inputs of `ModelServer`."""

    model: str
    """Name of the model, a DNS label."""
    version: str
    """Name of this version, a DNS label: `v1`."""
    image: pulumi.Input[str]
    """Image of the server by digest, `REPOSITORY@sha256:DIGEST`."""
    namespace: str
    """Namespace to run in; it must exist and may enforce the `restricted` Pod Security Standard."""
    gateway_namespace: NotRequired[str]
    """Namespace of the gateway's proxies, the only ones to reach the `http` port. Defaults to `modelway-gateway`."""
    gateway_pods: NotRequired[dict[str, str]]
    """Labels of these proxies; an empty map is every pod of the namespace. Defaults to those of Envoy Gateway's."""
    monitoring_namespace: NotRequired[str]
    """Namespace of Prometheus, the only one to reach the `admin` port. Defaults to `modelway-monitoring`."""
    replicas: NotRequired[int]
    """Number of pods. Defaults to 2. Refused together with `autoscaling`."""
    autoscaling: NotRequired[AutoscalingArgs]
    """How many pods, by load; off by default."""
    resources: NotRequired[ResourcesArgs]
    """Requests and limits of the server container."""
    runtime: NotRequired[str]
    """What serves the model: `modelway` (default), `container` (any image with the same ports and paths), or the
    presets `mlserver`, `triton` and `vllm`, which have their model at `/model` in the image."""
    container: NotRequired[ContainerArgs]
    """How the container is started and asked. Refused for runtime `modelway`."""
    gpus: NotRequired[int]
    """Number of NVIDIA GPUs, 0 to 64. Defaults to 0, for vllm to 1. Refused for runtime `modelway`."""
    access_log: NotRequired[bool]
    """Whether the server logs one line of JSON per request, with its ids and without features. Defaults to false.
    Refused for any runtime but `modelway`."""
    traces: NotRequired[ServerTracesArgs]
    """Where spans of requests go. Defaults to nowhere. Refused for any runtime but `modelway`."""
    allow_pickle: NotRequired[bool]
    """Whether the server may open pickle and joblib files, which can run any code. Defaults to false. Refused for any
    runtime but `modelway`."""
    feedback_key_secret: NotRequired[pulumi.Input[str]]
    """Name of a Secret in `namespace` whose key `keys` signs the ids of predictions and opens `/feedback`. Defaults to
    none. Refused for any runtime but `modelway`."""
    feedback_outcomes: NotRequired[list[str]]
    """Names of the outcomes that `/feedback` takes, at most 20. Needs `feedback_key_secret`."""
    drain_seconds: NotRequired[int]
    """How long a pod serves on after its deletion began. Defaults to 10, enough for a gateway in the same cluster."""
    pull_secret: NotRequired[pulumi.Input[str]]
    """Name of the Secret in `namespace` that pulls the image. Defaults to none."""
    shadow: NotRequired[bool]
    """Whether the pods carry the label `modelway.dev/shadow: "true"`, since they get copies of requests only, which
    runtime `modelway` then counts as such. Defaults to false."""
    fetch: NotRequired[FetchArgs]
    """Where the model is, if not in the image. Refused for any runtime but `modelway`."""
    subjects: NotRequired[SubjectsArgs]
    """How users are counted for an experiment. Defaults to not at all. Refused for any runtime but `modelway`."""


class ModelServer(pulumi.ComponentResource):
    """One immutable model version: Deployment, Service, ServiceAccount, NetworkPolicy, disruption budget and,
    if asked for, an autoscaler. A new version is a new `ModelServer`."""

    service: pulumi.Output[str]
    """Name of the Service, known once the version is ready."""
    version: pulumi.Output[str]
    """Name of the version."""
    ready: pulumi.Output[bool]
    """True once the rollout has finished."""

    def __init__(self, name: str, args: ModelServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("ModelServer"), name, {}, opts)
        spec = server_spec(name, args)
        before: list[pulumi.Resource] = []
        deployment: pulumi.CustomResource | None = None
        for manifest in server_manifests(spec):
            kind = manifest["kind"]
            after = before if kind == "Deployment" else deployment
            options = pulumi.ResourceOptions(parent=self, depends_on=after)
            resource = register(f"{name}-{ROLES[kind]}", manifest, options)
            if kind == "Deployment":
                deployment = resource
            elif deployment is None:
                before.append(resource)
        assert deployment is not None  # noqa: S101
        self.service = pulumi.Output.from_input(deployment.id).apply(lambda _: spec.name)
        self.version = pulumi.Output.from_input(spec.version)
        self.ready = pulumi.Output.from_input(deployment.id).apply(lambda _: True)
        self.register_outputs({"service": self.service, "version": self.version, "ready": self.ready})


ROLES: Mapping[str, str] = {
    "ServiceAccount": "service-account",
    "NetworkPolicy": "network-policy",
    "Service": "service",
    "Deployment": "deployment",
    "PodDisruptionBudget": "disruption-budget",
    "HorizontalPodAutoscaler": "autoscaler",
    "ScaledObject": "scaled-object",
}


def server_spec(name: str, args: ModelServerArgs) -> ServerSpec:
    """Validate the inputs; raises `ValueError` with one sentence."""
    where = f'ModelServer("{name}")'
    for key in ("model", "version", "namespace"):
        require_dns_label(f"{where}.{key}", args[key])
    require_dns_label(f"{where}.model and version", f"{args['model']}-{args['version']}")
    image = args["image"]
    if isinstance(image, str) and not DIGEST.fullmatch(image):
        raise ValueError(
            f"{where}.image: no digest: got {image!r}, allowed REPOSITORY@sha256:<64 hex digits>; "
            "write the digest that the push printed."
        )
    if "autoscaling" in args and "replicas" in args:
        raise ValueError(
            f"{where}.replicas: set together with autoscaling: got {as_int(args['replicas'], 2)}, "
            "allowed one of the two; remove replicas, the autoscaler owns it."
        )
    replicas = as_int(args.get("replicas"), 2)
    drain = as_int(args.get("drain_seconds"), 10)
    _require_range(f"{where}.replicas", replicas, 1, 1000)
    _require_range(f"{where}.drain_seconds", drain, 0, 600)
    runtime = runtime_of(args["model"], args["version"], checked_options(where, args))
    return ServerSpec(
        model=args["model"],
        version=args["version"],
        namespace=args["namespace"],
        image=image,
        gateway_namespace=args.get("gateway_namespace", "modelway-gateway"),
        monitoring_namespace=args.get("monitoring_namespace", "modelway-monitoring"),
        replicas=replicas,
        autoscaling=_autoscaling(where, args),
        drain_seconds=drain,
        pull_secret=args.get("pull_secret"),
        shadow=bool(args.get("shadow", False)),
        gateway_pods=args.get("gateway_pods", PROXY_LABELS),
        fetch=fetch_of(args["fetch"]) if "fetch" in args else None,
        traces=server_traces_of(args.get("traces")),
        runtime=replace(runtime, feedback_key_secret=args.get("feedback_key_secret")),
        resources=replace(runtime.resources, **args.get("resources", {})),
    )


def server_options(args: Mapping[str, Any]) -> Options:
    """What `args` of a version say about its server, with whole numbers as such."""
    numbers = ("port", "admin_port", "user_id", "startup_seconds", "keep_alive_seconds")
    container = {
        name: int(value) if name in numbers else value for name, value in (args.get("container") or {}).items()
    }
    return Options(
        runtime=args.get("runtime", "modelway"),
        container=container,
        gpus=int(args["gpus"]) if args.get("gpus") is not None else None,
        allow_pickle=bool(args.get("allow_pickle", False)),
        access_log=bool(args.get("access_log", False)),
        traces=args.get("traces"),
        feedback="feedback_key_secret" in args,
        feedback_outcomes=tuple(args.get("feedback_outcomes", ())),
        shadow=bool(args.get("shadow", False)),
        fetch=args.get("fetch"),
        subjects=args.get("subjects"),
    )


def checked_options(where: str, args: ModelServerArgs) -> Options:
    """`server_options`; raises `ValueError` with one sentence where they do not fit the runtime."""
    options = server_options(cast(Mapping[str, Any], args))
    refuse(where, [*version_misfits(options)] or [*model_misfits({args["version"]: options})])
    return options


def refuse(where: str, misfits: Sequence[Misfit]) -> None:
    """Raise `ValueError` with the sentence of the first."""
    for field, what, got, allowed, fix in misfits:
        raise ValueError(f"{where}.{field}: {what}: got {got}, allowed {allowed}; {fix}.")


def _autoscaling(where: str, args: ModelServerArgs) -> Autoscaling | None:
    if "autoscaling" not in args:
        return None
    own = cast(Mapping[str, Any], args["autoscaling"])
    refuse(where, [*autoscaling_misfits(own, args.get("runtime", "modelway"))])
    return autoscaling_of(own, [f"{args['model']}-{args['version']}", f"{args['model']}-split"])


def _require_range(where: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{where}: out of range: got {value}, allowed {low} to {high}; change it.")
