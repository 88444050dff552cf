"""All versions of one model behind one set of URLs."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from modelway._common import Manifest, as_int, register, require_dns_label, type_token
from modelway.gateway.client_id import client_id_policy
from modelway.gateway.policy import AuthArgs, CorsArgs, LimitsArgs, policy_of
from modelway.gateway.policy_checks import policy_misfits
from modelway.gateway.policy_spec import PolicySpec
from modelway.gateway.security import security_policy
from modelway.gateway.traffic import backend_traffic_policy
from modelway.serving.model_server import (
    AutoscalingArgs,
    ContainerArgs,
    ModelServer,
    ModelServerArgs,
    ResourcesArgs,
    refuse,
    server_options,
)
from modelway.serving.objects import feedback_key_manifest
from modelway.serving.routes import MAX_VERSIONS, Arm, RouteSpec, pinned_route, split_route
from modelway.serving.runtime_checks import model_misfits, version_misfits
from modelway.serving.runtimes import Options, runtime_of

RESERVED_VERSIONS = frozenset({"predict", "feedback", "docs", "models", "split"})
"""Path segments that mean something else below the model's prefix, and the name of the split route."""
KEY_BYTES = 32


class ModelVersionArgs(TypedDict):
    """One version of a model."""

    name: str
    """Name of the version, a DNS label: `v1`."""
    image: pulumi.Input[str]
    """Image of the server by digest, `REPOSITORY@sha256:DIGEST`."""
    weight: NotRequired[int]
    """Share of `/NAME/predict` in percent; the weights of a model sum to 100. Defaults to 100
    for a single version."""
    replicas: NotRequired[int]
    """Number of pods. Defaults to 2. Refused together with `autoscaling`."""
    autoscaling: NotRequired[AutoscalingArgs]
    """Bounds for a HorizontalPodAutoscaler; off by default."""
    resources: NotRequired[ResourcesArgs]
    """Requests and limits of the server container."""
    runtime: NotRequired[str]
    """What serves the model: `modelway` (default), `container` (any image with the same ports and paths), or the
    presets `mlserver`, `triton` and `vllm`, which have their model at `/model` in the image."""
    container: NotRequired[ContainerArgs]
    """How the container is started and asked. Refused for runtime `modelway`."""
    gpus: NotRequired[int]
    """Number of NVIDIA GPUs, 0 to 64. Defaults to 0, for vllm to 1. Refused for runtime `modelway`."""
    allow_pickle: NotRequired[bool]
    """Whether the server may open pickle and joblib files, which can run any code. Defaults to false. Refused for any
    runtime but `modelway`."""


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
        key = feedback_key(name, args["namespace"], _child(self)) if args.get("feedback") else None
        policies = [
            register(f"{name}-{role}", manifest, _child(self)) for role, manifest in policy_manifests(spec).items()
        ]
        servers = []
        for version, arm in zip(args["versions"], spec.arms, strict=True):
            server_args = _server_args(name, args, version)
            if key is not None:
                server_args["feedback_key_secret"] = key
            server = ModelServer(f"{name}-{arm.version}", server_args, _child(self))
            servers.append(server)
            # Ready before routed: a route to a version without pods answers 503, one without its policies everyone.
            after = pulumi.ResourceOptions(parent=self, depends_on=[server, *policies])
            register(f"{name}-{arm.version}-route", pinned_route(spec, arm), after)
        after = pulumi.ResourceOptions(parent=self, depends_on=[*servers, *policies])
        register(f"{name}-split-route", split_route(spec), after)
        paths = [spec.split_path, *(spec.pinned_path(arm) for arm in spec.arms)]
        self.urls = pulumi.Output.from_input(args["gateway_url"]).apply(
            lambda url: [_url(url, spec.host, path) for path in paths]
        )
        self.versions = pulumi.Output.from_input([arm.version for arm in spec.arms])
        self.register_outputs({"urls": self.urls, "versions": self.versions})


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


def _server_args(name: str, args: ModelServiceArgs, version: ModelVersionArgs) -> ModelServerArgs:
    result: ModelServerArgs = {
        "model": name,
        "version": version["name"],
        "image": version["image"],
        "namespace": args["namespace"],
    }
    for key in ("replicas", "autoscaling", "resources", "runtime", "container", "gpus", "allow_pickle"):
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
    return result


def route_spec(name: str, args: ModelServiceArgs) -> RouteSpec:
    """Validate the inputs that concern routes; raises `ValueError` with one sentence."""
    where = f'ModelService("{name}")'
    require_dns_label(f"{where} name", f"{name}-split")
    versions = args["versions"]
    names = [version["name"] for version in versions]
    if not 1 <= len(versions) <= MAX_VERSIONS:
        raise ValueError(
            f"{where}.versions: wrong number: got {len(versions)}, allowed 1 to {MAX_VERSIONS}; "
            "remove versions that are no longer served."
        )
    for version in names:
        require_dns_label(f"{where}.versions name", version)
        if version in RESERVED_VERSIONS:
            raise ValueError(
                f"{where}.versions name: reserved: got {version!r}, allowed any DNS label but "
                f"{', '.join(sorted(RESERVED_VERSIONS))}; rename the version."
            )
    if duplicates := sorted({version for version in names if names.count(version) > 1}):
        raise ValueError(
            f"{where}.versions: name used twice: got {', '.join(duplicates)}, allowed each name once; "
            "rename one of them."
        )
    default = 100 if len(versions) == 1 else 0
    weights = [as_int(version.get("weight"), default) for version in versions]
    if sum(weights) != 100 or min(weights) < 0:
        raise ValueError(
            f"{where}.versions: weights do not sum to 100: got {', '.join(map(str, weights))}, "
            "allowed whole numbers from 0 with the sum 100; change the weights."
        )
    options = _options(where, args)
    runtimes = {version: runtime_of(name, version, options[version]) for version in names}
    policy = policy_of(args)
    refuse(where, policy_misfits(policy, list(runtimes.values())))
    prefix = _path_prefix(where, args.get("path_prefix", f"/{name}"), args.get("host"))
    return RouteSpec(
        model=name,
        namespace=args["namespace"],
        gateway_name=args.get("gateway_name", "modelway-internal" if policy.access == "internal" else "modelway"),
        gateway_namespace=args.get("gateway_namespace", "modelway-gateway"),
        arms=[
            Arm(version, f"{name}-{version}", weight, runtimes[version])
            for version, weight in zip(names, weights, strict=True)
        ],
        path_prefix=prefix,
        host=args.get("host"),
        policy=policy,
    )


def policy_manifests(spec: RouteSpec) -> dict[str, Manifest]:
    """The objects of Envoy Gateway that hold for all routes of a model, by role; only those that are needed."""
    policy = PolicySpec(spec.model, spec.namespace, spec.policy)
    made = {
        "security-policy": security_policy(policy),
        "client-id-policy": client_id_policy(policy),
        "traffic-policy": backend_traffic_policy(policy),
    }
    return {role: manifest for role, manifest in made.items() if manifest is not None}


def _options(where: str, args: ModelServiceArgs) -> Mapping[str, Options]:
    """What each version says about its server; raises `ValueError` with one sentence where it does not fit."""
    options = {}
    for version in args["versions"]:
        found = replace(
            server_options(cast(Mapping[str, Any], version)),
            feedback=bool(args.get("feedback", False)),
            feedback_outcomes=tuple(args.get("feedback_outcomes", ())),
            docs=bool(args.get("docs", False)),
        )
        refuse(f"{where}.versions {version['name']}", version_misfits(found))
        options[version["name"]] = found
    refuse(where, model_misfits(options))
    return options


def _path_prefix(where: str, prefix: str, host: str | None) -> str:
    if not prefix.startswith("/") or (prefix != "/" and prefix.endswith("/")) or "//" in prefix:
        raise ValueError(
            f"{where}.path_prefix: not a path: got {prefix!r}, allowed '/' or '/NAME' without a "
            "trailing '/'; correct it."
        )
    if prefix == "/" and host is None:
        raise ValueError(
            f"{where}.path_prefix: takes every model's paths: got '/', allowed '/' only together with host; set host."
        )
    return "" if prefix == "/" else prefix
