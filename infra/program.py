"""The program: from stack config to components. The only place that exports outputs."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pulumi
from modelway import Gateway, Keda, LogCollector, ModelService, MonitoringStack, RestrictedNamespace
from modelway.gateway.api_keys import api_keys_secret
from modelway.logging.collector import LogCollectorArgs
from modelway.monitoring.stack import MonitoringStackArgs
from modelway.serving.model_service import ModelServiceArgs, ModelVersionArgs
from pulumi.runtime import config as pulumi_config

from infra.alerting import WHERE as MONITORING
from infra.alerting import has_secrets, plain_secret
from infra.autoscaling import autoscaling_args, installs_keda, sleepers, sleeping_sentence
from infra.config_schema import Access, ModelSettings, Provider, RuntimeName, Settings, VersionSettings
from infra.credentials import credential_problems
from infra.edge import access_of, gateway_args, keys_are_needed, service_args
from infra.evaluation import report_problems
from infra.fetching import deployed_digest, fetch_args
from infra.grafana import PASSWORD
from infra.ground import Ground, ground_of
from infra.logs import ROLE as LOG_COLLECTOR
from infra.logs import WHERE as LOGS
from infra.logs import log_args, makes_access, plain_authorization
from infra.names import MODELS_NAMESPACE
from infra.objectives import slo_args
from infra.quality import quality_args
from infra.rollout import experiment_args
from infra.routes import route_args
from infra.serving import container_args
from infra.settings import load, read_lock, resolve_image
from infra.traces import server_traces
from tools.problem import Problem, ProblemError

if TYPE_CHECKING:
    from infra.ground import Cluster


def main() -> None:
    """Entry of the Pulumi program; problems of the config end it with their sentences and no traceback."""
    try:
        settings = _settings(_raw_config())
        _check_secrets(settings)
        images = _images(settings)
        _check_reports(settings, images)
        ground = ground_of(settings)
        experiments = {model.name: experiment_args(model, ground) for model in settings.models}
        cluster = ground.cluster()
    except ProblemError as error:
        raise pulumi.RunError(str(error)) from None
    _build(settings, ground, cluster, images, experiments)


def _settings(raw: Mapping[str, Any]) -> Settings:
    """The stack's settings; whoever has no credentials is told so with all that is wrong with the config."""
    try:
        return load(raw, pulumi.get_stack())
    except ProblemError as error:
        asked = raw.get("modelway:cluster")
        named = [each for each in Provider if isinstance(asked, dict) and asked.get("provider") == each]
        raise ProblemError([*error.problems, *(lack for each in named for lack in credential_problems(each))]) from None


def _raw_config() -> dict[str, Any]:
    """Config of this project as plain data; objects arrive as JSON text."""
    raw: dict[str, Any] = {}
    for key, value in pulumi_config.CONFIG.get().items():
        try:
            raw[key] = json.loads(value)
        except (TypeError, ValueError):
            raw[key] = value
    return raw


def _images(settings: Settings) -> dict[tuple[str, str], str]:
    lock, problems, images = read_lock(), list[Problem](), {}
    for model in settings.models:
        for version in model.versions:
            try:
                images[model.name, version.name] = resolve_image(model, version, lock)
            except ProblemError as error:
                problems += error.problems
    if problems:
        raise ProblemError(problems)
    return images


def _check_reports(settings: Settings, images: Mapping[tuple[str, str], str]) -> None:
    digests = {
        (model.name, version.name): deployed_digest(version, images[model.name, version.name])
        for model in settings.models
        for version in model.versions
    }
    if problems := report_problems(settings, digests):
        raise ProblemError(problems)


def _check_secrets(settings: Settings) -> None:
    """Nothing that authenticates stands in plain text in the stack file; the engine knows which keys are encrypted."""
    for part in ("receivers", "cloud"):
        if has_secrets(settings.monitoring, part) and not pulumi_config.is_config_secret(MONITORING):
            raise ProblemError([plain_secret(part)])
    if settings.monitoring.grafana is not None and not pulumi_config.is_config_secret(MONITORING):
        raise ProblemError([plain_secret(PASSWORD)])
    if settings.logs and settings.logs.authorization and not pulumi_config.is_config_secret(LOGS):
        raise ProblemError([plain_authorization()])


def _build(
    settings: Settings,
    ground: Ground,
    cluster: "Cluster",
    images: dict[tuple[str, str], str],
    experiments: dict[str, dict[str, Any]],
) -> None:
    inside = pulumi.ResourceOptions(providers=[cluster.provider])
    namespace = RestrictedNamespace("models", {"name": MODELS_NAMESPACE, "routes": True}, inside)
    registry = ground.registry(cluster, namespace)
    gateway = Gateway("gateway", gateway_args(settings, ground.gateway_args()), inside)
    keys = pulumi.ResourceOptions(provider=cluster.provider, depends_on=[namespace])
    secrets = [api_keys_secret(MODELS_NAMESPACE, keys)] if keys_are_needed(settings) else []
    scalers = _scalers(settings, ground, pulumi.ResourceOptions(providers=[cluster.provider], depends_on=[namespace]))
    ready = pulumi.ResourceOptions(providers=[cluster.provider], depends_on=[namespace, registry, *secrets, *scalers])
    pull_secret = registry.pull_secret if settings.registry.password else None
    services = {}
    for model in settings.models:
        args = {**_service_args(settings, model, gateway, pull_secret, images), **experiments[model.name]}
        services[model.name] = ModelService(model.name, cast(ModelServiceArgs, args), ready)
    if settings.monitoring.enabled:
        _monitor(settings, ground, cluster, [namespace, gateway])
    if (collecting := log_args(settings)) is not None:
        if image := ground.image(LOG_COLLECTOR):
            collecting["image"] = image
        # A pod gets its identity when it is made, and none later.
        access = [ground.log_access(cluster)] if makes_access(settings) else []
        after = pulumi.ResourceOptions(providers=[cluster.provider], depends_on=access)
        LogCollector("logs", cast(LogCollectorArgs, collecting), after)
    pulumi.export("gateway_url", gateway.url)
    if settings.gateway.tls is not None:
        pulumi.export("gateway_tls_secret", gateway.tls_secret)
    pulumi.export("urls", {name: service.urls for name, service in services.items()})
    pulumi.export("versions", {name: service.versions for name, service in services.items()})


def _monitor(settings: Settings, ground: Ground, cluster: Any, after: list[pulumi.Resource]) -> None:
    args = {**ground.monitoring_args(), "slos": slo_args(settings), "quality": quality_args(settings)}
    watching = ground.cloud_monitoring(cluster) if settings.monitoring.cloud is not None else None
    if watching is not None:
        args["remote_write"] = watching.sending
    opts = pulumi.ResourceOptions(providers=[cluster.provider], depends_on=after)
    monitoring = MonitoringStack("monitoring", cast(MonitoringStackArgs, args), opts)
    pulumi.export("prometheus_url", monitoring.prometheus_url)
    pulumi.export("prometheus_namespace", monitoring.namespace)
    pulumi.export("alertmanager_url", monitoring.alertmanager_url)
    pulumi.export("grafana_url", monitoring.grafana_url)
    for name, value in watching.outputs.items() if watching else ():
        pulumi.export(name, value)


def _scalers(settings: Settings, ground: Ground, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """KEDA where a version needs it, which has to be there before what it watches and go after it."""
    for model, version in sleepers(settings):
        pulumi.log.warn(sleeping_sentence(model, version))
    return [Keda("keda", ground.keda_args(), opts)] if installs_keda(settings) else []


def _service_args(
    settings: Settings,
    model: ModelSettings,
    gateway: Gateway,
    pull_secret: pulumi.Output[str] | None,
    images: dict[tuple[str, str], str],
) -> ModelServiceArgs:
    versions = [_version_args(settings, model, version, images[model.name, version.name]) for version in model.versions]
    internal = access_of(settings, model) is Access.INTERNAL
    result: ModelServiceArgs = {
        "versions": versions,
        "namespace": MODELS_NAMESPACE,
        "gateway_url": gateway.internal_url if internal else gateway.url,
        "gateway_name": gateway.internal_name if internal else gateway.name,
        "drain_seconds": model.drain_seconds,
        **service_args(settings, model),  # type: ignore[typeddict-item]
        **route_args(settings, model),
    }
    if model.ingress is not None:
        del result["gateway_name"]
        result["gateway_url"] = f"http://{model.host}"
    if pull_secret is not None:
        result["pull_secret"] = pull_secret
    if model.host is not None:
        result["host"] = model.host
    if model.path_prefix is not None:
        result["path_prefix"] = model.path_prefix
    if model.feedback:
        result["feedback"] = True
        result["feedback_outcomes"] = model.feedback_outcomes
    if model.docs:
        result["docs"] = True
    return result


def _version_args(settings: Settings, model: ModelSettings, version: VersionSettings, image: str) -> ModelVersionArgs:
    args: ModelVersionArgs = {"name": version.name, "image": image}
    if version.weight is not None:
        args["weight"] = version.weight
    if version.shadow:
        args["shadow"] = True
    if version.replicas is not None:
        args["replicas"] = version.replicas
    if version.autoscaling is not None:
        args["autoscaling"] = autoscaling_args(settings, version.autoscaling)  # type: ignore[typeddict-item]
    if version.resources is not None:
        args["resources"] = version.resources.model_dump(exclude_none=True)  # type: ignore[typeddict-item]
    if version.runtime is not RuntimeName.MODELWAY:
        args["runtime"] = version.runtime.value
    if version.container is not None:
        args["container"] = container_args(version)  # type: ignore[typeddict-item]
    if version.gpus is not None:
        args["gpus"] = version.gpus
    if (fetch := fetch_args(version)) is not None:
        args["fetch"] = fetch  # type: ignore[typeddict-item]
    if version.allow_pickle:
        args["allow_pickle"] = True
    return cast(ModelVersionArgs, {**args, **_observed(settings, model, version)})


def _observed(settings: Settings, model: ModelSettings, version: VersionSettings) -> dict[str, Any]:
    """The arguments of a version about its log and its spans."""
    args: dict[str, Any] = {}
    if settings.logs is not None and version.runtime is RuntimeName.MODELWAY:
        args["access_log"] = True
    if (traces := server_traces(settings, model, version)) is not None:
        args["traces"] = traces
    return args
