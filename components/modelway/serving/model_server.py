"""One immutable version of a model, running."""

import re
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi

from modelway._common import as_int, register, require_dns_label, type_token
from modelway.serving.objects import Autoscaling, Resources, ServerSpec, server_manifests

DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


class AutoscalingArgs(TypedDict):
    """Bounds of the number of pods."""

    min_replicas: int
    """Fewest pods, at least 1."""
    max_replicas: int
    """Most pods, not below `min_replicas`."""
    cpu_utilization_percent: NotRequired[int]
    """Average CPU use, in percent of the request, that the autoscaler aims at. Defaults to 70."""


class ResourcesArgs(TypedDict):
    """Requests and limits of the server container, as Kubernetes quantities."""

    cpu_request: NotRequired[str]
    """Defaults to `100m`."""
    cpu_limit: NotRequired[str]
    """Defaults to `1`."""
    memory_request: NotRequired[str]
    """Defaults to `192Mi`."""
    memory_limit: NotRequired[str]
    """Defaults to `512Mi`."""


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
    monitoring_namespace: NotRequired[str]
    """Namespace of Prometheus, the only one to reach the `admin` port. Defaults to `modelway-monitoring`."""
    replicas: NotRequired[int]
    """Number of pods. Defaults to 2. Refused together with `autoscaling`."""
    autoscaling: NotRequired[AutoscalingArgs]
    """Bounds for a HorizontalPodAutoscaler; off by default."""
    resources: NotRequired[ResourcesArgs]
    """Requests and limits of the server container."""
    drain_seconds: NotRequired[int]
    """How long a pod serves on after its deletion began. Defaults to 10, enough for a gateway in the same cluster."""
    pull_secret: NotRequired[pulumi.Input[str]]
    """Name of the Secret in `namespace` that pulls the image. Defaults to none."""


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
        child = pulumi.ResourceOptions(parent=self)
        before: list[pulumi.Resource] = []
        deployment: pulumi.CustomResource | None = None
        for manifest in server_manifests(spec):
            kind = manifest["kind"]
            options = pulumi.ResourceOptions(parent=self, depends_on=before) if kind == "Deployment" else child
            if kind in ("PodDisruptionBudget", "HorizontalPodAutoscaler"):
                options = pulumi.ResourceOptions(parent=self, depends_on=deployment)
            resource = register(f"{name}-{ROLES[kind]}", manifest, options)
            if kind == "Deployment":
                deployment = resource
            elif kind != "Service":
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
    optional: dict[str, Any] = {}
    if "resources" in args:
        optional["resources"] = Resources(**args["resources"])
    return ServerSpec(
        model=args["model"],
        version=args["version"],
        namespace=args["namespace"],
        image=image,
        gateway_namespace=args.get("gateway_namespace", "modelway-gateway"),
        monitoring_namespace=args.get("monitoring_namespace", "modelway-monitoring"),
        replicas=replicas,
        autoscaling=_autoscaling(where, args["autoscaling"]) if "autoscaling" in args else None,
        drain_seconds=drain,
        pull_secret=args.get("pull_secret"),
        **optional,
    )


def _autoscaling(where: str, args: AutoscalingArgs) -> Autoscaling:
    low, high = int(args["min_replicas"]), int(args["max_replicas"])
    _require_range(f"{where}.autoscaling.min_replicas", low, 1, 1000)
    _require_range(f"{where}.autoscaling.max_replicas", high, low, 1000)
    cpu = as_int(args.get("cpu_utilization_percent"), 70)
    _require_range(f"{where}.autoscaling.cpu_utilization_percent", cpu, 1, 100)
    return Autoscaling(min_replicas=low, max_replicas=high, cpu_utilization_percent=cpu)


def _require_range(where: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{where}: out of range: got {value}, allowed {low} to {high}; change it.")
