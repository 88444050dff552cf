"""What a stack says about its logs, in the terms of the component."""

from collections.abc import Mapping
from typing import Any

import pulumi
from modelway.logging.checks import log_misfits
from modelway.logging.collector import LogCollectorArgs, LogDestinationArgs

from infra.config_logs import LogSettings
from infra.config_schema import DIGEST, Environment, Settings
from infra.misfits import problem_of, spelling
from infra.names import MODELS_NAMESPACE
from tools.problem import Problem

WHERE = "modelway:logs"
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
    args = _said(own)
    if own.authorization is not None:
        args["authorization"] = pulumi.Output.secret(own.authorization.get_secret_value())
    return args


def log_problems(settings: Settings) -> list[Problem]:
    """What the component would refuse, and an image that nobody would run."""
    own, image = settings.logs, settings.images.log_collector
    where = "modelway:images.logCollector"
    if own is None:
        unused = Problem(where, "not used", repr(image), "only with modelway:logs", "remove logCollector")
        return [unused] if image is not None else []
    args = _said(own)
    if own.authorization is not None:
        args["authorization"] = own.authorization.get_secret_value()
    problems = [problem_of(WHERE, misfit._replace(field=_key(misfit.field)), _SPELLED) for misfit in log_misfits(args)]
    if settings.environment is Environment.PRODUCTION and not DIGEST.fullmatch(image or ""):
        allowed = "REPOSITORY@sha256:<64 hex digits>"
        problems.append(Problem(where, "no digest in a production stack", repr(image), allowed, "set logCollector"))
    return problems


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


def _said(own: LogSettings) -> dict[str, Any]:
    to = {name: getattr(own, name) for name in _DESTINATION if getattr(own, name) is not None}
    args: dict[str, Any] = {
        "destination": {"kind": own.destination.value, **to},
        "models_namespaces": [MODELS_NAMESPACE],
    }
    return args | {name: getattr(own, name) for name in (*_OTHERS, "egress_cidrs") if getattr(own, name) is not None}


def _key(field: str) -> str:
    """A field of the component as the section has it, which has those of the destination beside the others."""
    return field.removeprefix("destination.").replace("kind", "destination")
