"""All versions of one model behind one set of URLs."""

import base64
import secrets
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from modelway._common import Manifest, register, type_token
from modelway.gateway.client_id import client_id_policy
from modelway.gateway.policy import AuthArgs, CorsArgs, LimitsArgs, StickyArgs
from modelway.gateway.policy_spec import PolicySpec
from modelway.gateway.security import security_policy
from modelway.gateway.traffic import backend_traffic_policy
from modelway.rollout.experiment import Experiment, ExperimentRulesArgs, register_split
from modelway.rollout.model import experiment_args, experiment_misfits, slow_threshold_seconds
from modelway.serving.autoscaling_checks import Sleeper, sleeper_misfits, waking_routes
from modelway.serving.ingress import IngressArgs, ingress_manifest
from modelway.serving.model_server import (
    AutoscalingArgs,
    ContainerArgs,
    FetchArgs,
    ModelServer,
    ModelServerArgs,
    ResourcesArgs,
    SubjectsArgs,
    refuse,
)
from modelway.serving.objects import feedback_key_manifest
from modelway.serving.routes import Arm, RouteSpec, pinned_route, settled_split, split_route, unknown_manifests
from modelway.serving.routes_args import route_spec
from modelway.tracing.arguments import ServerTracesArgs

KEY_BYTES = 32


class ModelVersionArgs(TypedDict):
    """One version of a model."""

    name: str
    """Name of the version, a DNS label: `v1`."""
    image: pulumi.Input[str]
    """Image of the server by digest, `REPOSITORY@sha256:DIGEST`."""
    weight: NotRequired[int]
    """Share of `/NAME/predict` in percent; the weights of a model sum to 100. Defaults to 100
    for a single version. Refused with `shadow`."""
    shadow: NotRequired[bool]
    """Whether the version gets a copy of the split's predictions, which no client waits for, and answers its own URL
    only. Defaults to false."""
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
    fetch: NotRequired[FetchArgs]
    """Where the model is, if not in the image. Refused for any runtime but `modelway`."""


class ModelServiceArgs(TypedDict):
    """Inputs of `ModelService`."""

    versions: list[ModelVersionArgs]
    """Versions in the order in which they are shown; at least one, at most eight."""
    namespace: str
    """Namespace to run in; it must exist and carry the label `modelway.dev/routes: "true"`."""
    gateway_url: pulumi.Input[str]
    """URL of the gateway, used in the outputs: `http://127.0.0.1:8080`."""
    gateway_name: NotRequired[pulumi.Input[str]]
    """Name of the Gateway object, best the output of `Gateway`, for which the routes then wait.
    Defaults to `modelway`, with access `internal` to `modelway-internal`."""
    gateway_namespace: NotRequired[str]
    """Namespace of the Gateway and its proxies. Defaults to `modelway-gateway`."""
    monitoring_namespace: NotRequired[str]
    """Namespace of Prometheus. Defaults to `modelway-monitoring`."""
    sticky: NotRequired[StickyArgs]
    """What names a user, who then meets the same version and the same pod each time, whichever proxy asks. Defaults to
    none: each request is drawn by itself, as are those without a key. Refused with a foreign `gateway_class`."""
    aliases: NotRequired[dict[str, str]]
    """Versions by other names, at most eight: `{"champion": "v1"}` is `/NAME/champion/predict` and the header
    `x-model-version: champion`."""
    gateway_class: NotRequired[str]
    """GatewayClass of the Gateway. Defaults to `modelway`; with any other an unknown version gets that controller's
    404 by path, and is not known by header."""
    ingress: NotRequired[IngressArgs]
    """A plain Ingress instead of the Gateway, for one version on a host of its own: neither split nor names of
    versions, keys or limits, which are refused with it. Defaults to none."""
    path_prefix: NotRequired[str]
    """Path before `/predict`. Defaults to `/` and the component's name; `/` alone needs `host`."""
    host: NotRequired[str]
    """Host name that the model answers on. Defaults to every host."""
    feedback: NotRequired[bool]
    """Whether `/NAME/feedback` takes what became of predictions. It makes a key that signs their ids, once: any version
    scores the ids of all. Defaults to false. Refused unless every version has runtime `modelway`."""
    feedback_outcomes: NotRequired[list[str]]
    """Names of the numbers that feedback may carry, such as `revenue`, at most 20. Refused without `feedback`."""
    docs: NotRequired[bool]
    """Whether `/NAME/VERSION/docs` and `openapi.json` beside it are routed. Defaults to false. Refused unless every
    version has runtime `modelway`."""
    experiment: NotRequired[ExperimentRulesArgs]
    """By which rules a candidate is compared with the champion, by a judge that moves the weights. The weights of
    `versions` are where it starts: 100 for the champion. Defaults to none. Needs `judge_image` and a Prometheus."""
    judge_image: NotRequired[pulumi.Input[str]]
    """Image of the judge by digest. Refused without `experiment`."""
    prometheus_url: NotRequired[str]
    """URL of Prometheus for the judge. Defaults to the one of `MonitoringStack`. Refused without `experiment`."""
    api_server_cidrs: NotRequired[list[str]]
    """Addresses of the API server's endpoints, for the judge. Defaults to anywhere but the clouds' metadata address.
    Refused without `experiment`."""
    access: NotRequired[str]
    """Who reaches the model: `public` (everyone), `keyed` (who has an API key or a token, needs `auth`) or `internal`
    (pods of the cluster, through a Gateway of their own). Defaults to `public`."""
    auth: NotRequired[AuthArgs]
    """How clients are known. Refused unless `access` is `keyed`."""
    limits: NotRequired[LimitsArgs]
    """How much clients get. Defaults to no limits but the servers' own."""
    source_ranges: NotRequired[list[str]]
    """Networks, as CIDR, whose clients are let in; others get 403. Defaults to any. Refused for access `internal`."""
    cors: NotRequired[CorsArgs]
    """Which web pages may ask. Defaults to none. Refused for access `internal`."""
    proxies: NotRequired[int]
    """Number of the gateway's proxies, by which limits are divided. Defaults to 1."""
    drain_seconds: NotRequired[int]
    """How long a pod serves on after its deletion began. Defaults to 10."""
    pull_secret: NotRequired[pulumi.Input[str]]
    """Name of the Secret in `namespace` that pulls the images. Defaults to none."""


class ModelService(pulumi.ComponentResource):
    """All versions of one model: `NAME/predict` split by weight, `NAME/VERSION/predict` and the header
    `x-model-version` for one version; in the same way `v2/…` of the Open Inference Protocol and `v1/…` of vLLM."""

    urls: pulumi.Output[list[str]]
    """The split URL first, then one URL per version."""
    versions: pulumi.Output[list[str]]
    """Names of the versions."""

    def __init__(self, name: str, args: ModelServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("ModelService"), name, {}, opts)
        spec = route_spec(name, args)
        refuse(f'ModelService("{name}")', experiment_misfits(args, spec))
        key = feedback_key(name, args["namespace"], _child(self)) if args.get("feedback") else None
        policies = [
            register(f"{name}-{role}", manifest, _child(self)) for role, manifest in policy_manifests(spec).items()
        ]
        judged = "experiment" in args
        servers = []
        for version, arm in zip(args["versions"], spec.arms, strict=True):
            server_args = _server_args(name, args, version)
            if judged and not arm.shadow:
                server_args["subjects"] = _subjects(args, spec)
            if "autoscaling" in version:
                server_args["autoscaling"] = _autoscaling(name, version["autoscaling"], spec, arm, "experiment" in args)
            if key is not None:
                server_args["feedback_key_secret"] = key
            server = ModelServer(f"{name}-{arm.version}", server_args, _child(self))
            servers.append(server)
            # Ready before routed: a route to a version without pods answers 503, one without its policies everyone.
            if "ingress" not in args:
                after = pulumi.ResourceOptions(parent=self, depends_on=[server, *policies])
                register(f"{name}-{arm.version}-route", pinned_route(spec, arm), after)
        after = pulumi.ResourceOptions(parent=self, depends_on=[*servers, *policies])
        paths = [spec.split_path]
        if "ingress" in args:
            register(f"{name}-ingress", ingress_manifest(spec, args["ingress"]["class_name"]), after)
        else:
            self._routes(name, args, spec, after)
            paths += [spec.pinned_path(arm) for arm in spec.arms]
        self.urls = pulumi.Output.from_input(args["gateway_url"]).apply(
            lambda url: [_url(url, spec.host, path) for path in paths]
        )
        self.versions = pulumi.Output.from_input([arm.version for arm in spec.arms])
        self.register_outputs({"urls": self.urls, "versions": self.versions})

    def _routes(self, name: str, args: ModelServiceArgs, spec: RouteSpec, after: pulumi.ResourceOptions) -> None:
        """Register the routes that no version has for itself, and the judge of the split."""
        for alias, named in spec.aliases.items():
            register(f"{name}-{alias}-route", pinned_route(spec, spec.arm(named), alias), after)
        judged = "experiment" in args
        # A judge writes weights into the places of all versions.
        written = split_route(spec) if judged else settled_split(spec)
        split, route = register_split(name, written, after, judged=judged)
        if judged:
            judging = pulumi.ResourceOptions(parent=self, depends_on=[split])
            Experiment(name, experiment_args(name, args, spec, route), judging)
        for role, manifest in zip(("unknown-answer", "unknown-route"), unknown_manifests(spec), strict=False):
            after = pulumi.ResourceOptions.merge(
                after, pulumi.ResourceOptions(depends_on=[register(f"{name}-{role}", manifest, after)])
            )


def feedback_key(name: str, namespace: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Make the Secret with the key that signs the ids of a model's predictions; its name, known once it exists."""
    # Made with the Secret and never again: each run draws another one, which `ignore_changes` drops.
    once = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=["data"]))
    key = pulumi.Output.secret(new_feedback_key())
    secret = register(f"{name}-feedback-key", feedback_key_manifest(name, namespace, key), once)
    return cast(pulumi.Output[str], secret.metadata["name"])  # type: ignore[attr-defined]


def new_feedback_key() -> str:
    """A random key as the server reads it, one line of base64, coded once more for the Secret."""
    line = base64.b64encode(secrets.token_bytes(KEY_BYTES))
    return base64.b64encode(line).decode()


def _child(parent: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(parent=parent)


def _url(gateway_url: str, host: str | None, path: str) -> str:
    if host is None:
        return gateway_url + path
    scheme, _, authority = gateway_url.partition("://")
    port = f":{authority.rpartition(':')[2]}" if ":" in authority else ""
    return f"{scheme}://{host}{port}{path}"


def _subjects(args: ModelServiceArgs, spec: RouteSpec) -> SubjectsArgs:
    """How the versions of an experiment count users: by the key of the sticky split."""
    sticky = args.get("sticky", {})
    return cast(SubjectsArgs, {**sticky, "slow_seconds": slow_threshold_seconds(cast(Mapping[str, Any], args), spec)})


def _server_args(name: str, args: ModelServiceArgs, version: ModelVersionArgs) -> ModelServerArgs:
    result: ModelServerArgs = {
        "model": name,
        "version": version["name"],
        "image": version["image"],
        "namespace": args["namespace"],
    }
    for key in (
        "replicas",
        "autoscaling",
        "resources",
        "runtime",
        "container",
        "gpus",
        "allow_pickle",
        "access_log",
        "traces",
        "shadow",
        "fetch",
    ):
        if key in version:
            result[key] = version[key]
    for key in (
        "gateway_namespace",
        "monitoring_namespace",
        "drain_seconds",
        "pull_secret",
        "feedback_outcomes",
    ):
        if key in args:
            result[key] = args[key]  # type: ignore[literal-required]
    if "ingress" in args:
        result["gateway_namespace"] = args["ingress"]["namespace"]
        result["gateway_pods"] = {}
    return result


def _autoscaling(name: str, args: AutoscalingArgs, spec: RouteSpec, arm: Arm, experiment: bool) -> AutoscalingArgs:
    """The version's own with the routes that wake it; raises `ValueError` with one sentence where it cannot sleep."""
    sleeper = Sleeper(arm.weight, arm.shadow, experiment, spec.gateway_class)
    own = cast(Mapping[str, Any], args)
    refuse(f'ModelService("{name}").versions {arm.version}', [*sleeper_misfits(own, sleeper)])
    return {"waking_routes": waking_routes(name, arm.version, arm.weight, spec.aliases), **args}


def policy_manifests(spec: RouteSpec) -> dict[str, Manifest]:
    """The objects of Envoy Gateway that hold for all routes of a model, by role; only those that are needed."""
    policy = PolicySpec(spec.model, spec.namespace, spec.policy)
    made = {
        "security-policy": security_policy(policy),
        "client-id-policy": client_id_policy(policy),
        "traffic-policy": backend_traffic_policy(
            policy, spec.sticky, min(arm.server.keep_alive_seconds for arm in spec.arms)
        ),
    }
    return {role: manifest for role, manifest in made.items() if manifest is not None}
