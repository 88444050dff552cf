"""What a stack says about Grafana, in the terms of the components."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import pulumi
from modelway.monitoring.grafana_args import GrafanaArgs, grafana_misfits
from pydantic import SecretStr

from infra.config_monitoring import GrafanaSettings
from infra.config_schema import DIGEST, Environment, Provider, Settings
from infra.config_section import ENCRYPTED
from infra.misfits import problem_of, spelling
from tools.problem import Problem

WHERE = "modelway:monitoring.grafana"
PASSWORD = "grafana.adminPassword"  # noqa: S105 - the key, not its value
_SPELLED = spelling(GrafanaArgs.__annotations__)


def grafana_args(settings: Settings) -> GrafanaArgs | None:
    """The arguments of `MonitoringStack` about Grafana; none without one."""
    own = settings.monitoring.grafana
    return None if own is None else _said(own, lambda secret: pulumi.Output.secret(secret.get_secret_value()))


def _said(own: GrafanaSettings, reveal: Callable[[SecretStr], Any]) -> GrafanaArgs:
    others = own.model_dump(exclude={"admin_password"}, exclude_none=True)
    return cast(GrafanaArgs, {"admin_password": reveal(own.admin_password), **others})


def grafana_problems(settings: Settings) -> Iterator[Problem]:
    """What the components would refuse about Grafana, and images that a stack cannot have."""
    own = settings.monitoring.grafana
    if own is None:
        return
    if not settings.monitoring.enabled:
        yield Problem(WHERE, "nothing to show", "monitoring off", "with monitoring", "remove grafana")
        return
    # What is encrypted in a file is not known yet.
    said = _said(own, lambda secret: None if secret.get_secret_value() == ENCRYPTED else secret.get_secret_value())
    for misfit in grafana_misfits(said):
        yield problem_of("modelway:monitoring", misfit, _SPELLED)
    if settings.cluster.provider is Provider.NODE and own.image is None:
        what, allowed = "the one-node Kubernetes has no image of Grafana", "an image that it can pull"
        yield Problem(f"{WHERE}.image", what, "nothing", allowed, "set image, or remove grafana")
    if settings.environment is Environment.PRODUCTION and own.image is not None and not DIGEST.fullmatch(own.image):
        what, allowed = "no digest in a production stack", "REPOSITORY@sha256:<64 hex digits>"
        yield Problem(f"{WHERE}.image", what, repr(own.image), allowed, "name the image by its digest, or remove image")


def is_plain_password(monitoring: Any) -> bool:
    """Whether the password stands in the stack file as everybody can read it."""
    grafana = monitoring.get("grafana") if isinstance(monitoring, Mapping) else None
    return isinstance(grafana, Mapping) and isinstance(grafana.get("adminPassword"), str)
