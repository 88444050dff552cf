"""What a stack says about its logs, in the terms of the components."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import pulumi
from modelway.logging.checks import log_misfits
from modelway.logging.collector import LogCollectorArgs, LogDestinationArgs

from infra.clouds import cluster_name
from infra.config_cluster import EksSettings, GkeSettings, Provider
from infra.config_logs import LogDestination, LogSettings
from infra.config_schema import DIGEST, Environment, Settings
from infra.misfits import problem_of, spelling
from infra.names import MODELS_NAMESPACE
from tools.problem import Problem

if TYPE_CHECKING:
    # Their rooms import the SDK of a cloud.
    from modelway.logging.aws import CloudWatchLogGroupArgs
    from modelway.logging.gcp import CloudLoggingAccessArgs

WHERE = "modelway:logs"
BESIDE = {LogDestination.CLOUDWATCH: Provider.EKS, LogDestination.CLOUD_LOGGING: Provider.GKE}
"""The cluster whose pods a cloud knows by themselves."""
ROLE = "log_collector"
"""The collector's image in `modelway:images`."""
_DESTINATION = ("url", "tenant", "dataset", "region", "log_group", "retention_days", "project")
_OTHERS = ("redacted_fields", "redacted_patterns", "prediction_percent", "queue_mb", "identity_annotations")
_SPELLED = spelling({*LogCollectorArgs.__annotations__, *LogDestinationArgs.__annotations__})


def log_args(settings: Settings) -> dict[str, Any] | None:
    """The arguments of `LogCollector`, but for its image; None where the stack sends its logs nowhere."""
    own = settings.logs
    if own is None:
        return None
    args = _said(settings, own)
    if makes_access(settings):
        # It is the group's, which is there before the collector.
        args["destination"].pop("retention_days", None)
    if own.authorization is not None:
        args["authorization"] = pulumi.Output.secret(own.authorization.get_secret_value())
    return args


def makes_access(settings: Settings) -> bool:
    """Whether the stack makes what its collector writes to in the cluster's own cloud, and lets it."""
    own = settings.logs
    return (
        own is not None
        and own.identity_annotations is None
        and BESIDE.get(own.destination) is settings.cluster.provider
    )


def log_group_args(settings: Settings, cluster: EksSettings, running: pulumi.Input[str]) -> "CloudWatchLogGroupArgs":
    """Arguments of `CloudWatchLogGroup`; `running` is the cluster's name, known once its pods run."""
    own = cast(LogSettings, settings.logs)
    args: dict[str, Any] = {
        "region": cluster.region,
        "deployer_role_arn": cluster.deployer_role_arn,
        "cluster_name": cluster_name(settings),
        "running_cluster": running,
        "log_group": own.log_group or f"/modelway/{cluster_name(settings)}",
        "production": settings.environment is Environment.PRODUCTION,
        "tags": cluster.tags or {},
    }
    if own.retention_days is not None:
        args["retention_days"] = own.retention_days
    return cast("CloudWatchLogGroupArgs", args)


def logging_access_args(
    settings: Settings, cluster: GkeSettings, running: pulumi.Input[str]
) -> "CloudLoggingAccessArgs":
    """Arguments of `CloudLoggingAccess`; `running` is the cluster's name, known once it runs."""
    to = cast(LogSettings, settings.logs).project or cluster.project
    return {"project": to, "cluster_project": cluster.project, "running_cluster": running}


def log_problems(settings: Settings) -> list[Problem]:
    """What the component would refuse, and an image that nobody would run."""
    own, image = settings.logs, settings.images.log_collector
    where = "modelway:images.logCollector"
    if own is None:
        unused = Problem(where, "not used", repr(image), "only with modelway:logs", "remove logCollector")
        return [unused] if image is not None else []
    args = _said(settings, own)
    if own.authorization is not None:
        args["authorization"] = own.authorization.get_secret_value()
    problems = [problem_of(WHERE, misfit._replace(field=_key(misfit.field)), _SPELLED) for misfit in log_misfits(args)]
    problems += _access_problems(settings, own)
    if settings.environment is Environment.PRODUCTION and not DIGEST.fullmatch(image or ""):
        allowed = "REPOSITORY@sha256:<64 hex digits>"
        problems.append(Problem(where, "no digest in a production stack", repr(image), allowed, "set logCollector"))
    return problems


def _access_problems(settings: Settings, own: LogSettings) -> Iterator[Problem]:
    """A cloud that does not know the cluster's pods, and a region that is not the cluster's."""
    cluster, beside = settings.cluster, BESIDE.get(own.destination)
    if not cluster.provider.is_cloud or beside is None or own.identity_annotations is not None:
        return
    if beside is not cluster.provider:
        own_kind = next(kind for kind, provider in BESIDE.items() if provider is cluster.provider)
        what, got = "another cloud, which does not know the pods", f"{own.destination} with provider {cluster.provider}"
        allowed = f"{own_kind}, or identityAnnotations that it knows"
        yield Problem(f"{WHERE}.destination", what, got, allowed, "change destination, or set identityAnnotations")
    elif isinstance(cluster, EksSettings) and own.region not in (None, cluster.region):
        what, allowed = "not where the cluster is", f"{cluster.region}, or none, which is the same"
        yield Problem(f"{WHERE}.region", what, repr(own.region), allowed, "remove region, or set identityAnnotations")


def plain_authorization() -> Problem:
    """The refusal of a header that everybody can read in the stack file."""
    return Problem(
        f"{WHERE}.authorization",
        "a secret in plain text",
        "text",
        "an encrypted value",
        f"run `pulumi config set --secret --path '{WHERE}.authorization'`",
    )


def plain_log_problems(logs: Any) -> list[Problem]:
    """As `plain_authorization`, of a section as the file has it."""
    plain = isinstance(logs, Mapping) and isinstance(logs.get("authorization"), str)
    return [plain_authorization()] if plain else []


def _said(settings: Settings, own: LogSettings) -> dict[str, Any]:
    to = {name: getattr(own, name) for name in _DESTINATION if getattr(own, name) is not None}
    if makes_access(settings) and isinstance(settings.cluster, EksSettings):
        to = {"region": settings.cluster.region, "log_group": f"/modelway/{cluster_name(settings)}", **to}
    args: dict[str, Any] = {
        "destination": {"kind": own.destination.value, **to},
        "models_namespaces": [MODELS_NAMESPACE],
    }
    return args | {name: getattr(own, name) for name in (*_OTHERS, "egress_cidrs") if getattr(own, name) is not None}


def _key(field: str) -> str:
    """A field of the component as the section has it, which has those of the destination beside the others."""
    return field.removeprefix("destination.").replace("kind", "destination")
