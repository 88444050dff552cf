"""What a stack says about alerts and how long samples are kept, in the terms of the components."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pulumi
from modelway.monitoring.delivery import delivery_misfits
from modelway.monitoring.quality_args import quality_of
from modelway.monitoring.slo import slo_of
from modelway.monitoring.stack import MonitoringStackArgs
from pydantic import SecretStr

from infra.cloud_monitoring import plain_secrets
from infra.config_monitoring import MonitoringSettings
from infra.config_schema import DIGEST, Environment, Settings, VersionSettings
from infra.config_section import ENCRYPTED
from infra.grafana import PASSWORD, is_plain_password
from infra.misfits import problem_of, spelling
from infra.objectives import slo_args
from infra.quality import quality_args
from tools.problem import Problem

KEY = "monitoring"
WHERE = f"modelway:{KEY}"
DELIVERY = ("receivers", "routes", "receivers_cidrs", "alerts", "external_urls", "runbook_base_url")
SECRETS = (
    ("webhook", "secretUrl"),
    ("webhook", "bearerToken"),
    ("slack", "url"),
    ("pagerduty", "routingKey"),
    ("email", "password"),
)
"""What only an encrypted value may hold."""
_SPELLED = spelling(
    {
        *MonitoringStackArgs.__annotations__,
        *("secret_url", "bearer_token", "routing_key", "require_tls", "group_wait_seconds", "for_seconds"),
        *("group_interval_seconds", "repeat_hours", "external_urls"),
    }
)

SCRAPES_PER_HOUR = 720
BYTES_PER_SAMPLE = 1.5
"""Of series of which half and more change with every scrape: 1.2 with half of them, 1.8 with all, 0.6 with none, as
promtool writes blocks; Prometheus states 1 to 2 (https://prometheus.io/docs/prometheus/3.13/storage/)."""
SERIES_PER_POD = 800
"""Measured: 725, of a model with 30 features."""
SERIES_PER_VERSION = 600
"""Of its rules (330 with an objective) and of its routes in the proxies."""
SERIES_OF_STACK = 4000
"""Of the proxies without routes, of Prometheus and of Alertmanager."""
USABLE = 0.8
"""Share of the disk that blocks may take; the rest is for what was not compacted yet."""
LEAST_STORAGE_MB = 2048


def delivery_args(settings: Settings) -> dict[str, Any]:
    """The arguments of `MonitoringStack` about receivers, routes, addresses and own alerts."""
    return _said(settings, lambda secret: pulumi.Output.secret(secret.get_secret_value()))


def tells_of_alerts(settings: Settings) -> bool:
    """Whether the stack brings an Alertmanager."""
    return settings.monitoring.enabled and bool(settings.monitoring.receivers)


def storage_mb(settings: Settings) -> int:
    """Disk for samples."""
    said = settings.monitoring.storage_mb
    return max(LEAST_STORAGE_MB, needed_mb(settings)) if said is None else said


def needed_mb(settings: Settings) -> int:
    """Estimate of the disk that the samples of `retentionHours` take."""
    versions = [version for model in settings.models for version in model.versions]
    series = SERIES_OF_STACK + sum(SERIES_PER_VERSION + SERIES_PER_POD * _pods(version) for version in versions)
    samples = series * SCRAPES_PER_HOUR * settings.monitoring.retention_hours
    return math.ceil(samples * BYTES_PER_SAMPLE / USABLE / 1e6)


def _pods(version: VersionSettings) -> int:
    if version.autoscaling is not None:
        return version.autoscaling.max_replicas
    return 2 if version.replicas is None else version.replicas


def alerting_problems(settings: Settings) -> list[Problem]:
    """What the components would refuse about alerts, and what only a whole stack can get wrong."""
    return list(_problems(settings))


def _problems(settings: Settings) -> Iterator[Problem]:
    own = settings.monitoring
    yield from _image(settings)
    if not own.enabled:
        for name in DELIVERY:
            if getattr(own, name):
                field = _camel(name)
                yield Problem(f"{WHERE}.{field}", "not used", "monitoring off", "with monitoring", f"remove {field}")
        return
    # What is encrypted in a file is not known yet.
    said = _said(settings, lambda secret: None if secret.get_secret_value() == ENCRYPTED else secret.get_secret_value())
    promised = [slo_of(slo) for slo in slo_args(settings)], [quality_of(each) for each in quality_args(settings)]
    for misfit in delivery_misfits(said, *promised):
        yield problem_of(WHERE, misfit, _SPELLED)
    if own.storage_mb is not None and needed_mb(settings) > own.storage_mb:
        got = f"{own.retention_hours} h in {own.storage_mb} MB"
        allowed = f"about {needed_mb(settings)} MB for so many pods and hours"
        fix = "lower retentionHours, or raise or remove storageMb"
        yield Problem(f"{WHERE}.retentionHours", "more than the volume holds", got, allowed, fix)


def _image(settings: Settings) -> Iterator[Problem]:
    image, where = settings.images.alertmanager, "modelway:images.alertmanager"
    if image is not None and not tells_of_alerts(settings):
        allowed = "only where monitoring has receivers"
        yield Problem(where, "not used", repr(image), allowed, "remove alertmanager")
    production = settings.environment is Environment.PRODUCTION
    if production and tells_of_alerts(settings) and not DIGEST.fullmatch(image or ""):
        allowed = "REPOSITORY@sha256:<64 hex digits>"
        yield Problem(where, "no digest in a production stack", repr(image), allowed, "set images.alertmanager")


def plain_secret_problems(monitoring: Any) -> list[Problem]:
    """Secrets of receivers, of Grafana and of the cloud's alerts that everybody can read in the stack file."""
    receivers = monitoring.get("receivers") if isinstance(monitoring, Mapping) else None
    found = [plain_secret(PASSWORD)] if is_plain_password(monitoring) else []
    found += [plain_secret(path) for path in plain_secrets(monitoring)]
    for number, receiver in enumerate(receivers if isinstance(receivers, list) else []):
        for way, field in SECRETS:
            settings = receiver.get(way) if isinstance(receiver, Mapping) else None
            if isinstance(settings, Mapping) and isinstance(settings.get(field), str):
                found.append(plain_secret(f"receivers[{number}].{way}.{field}"))
    return found


def plain_secret(path: str) -> Problem:
    """The one sentence of a secret in plain text."""
    fix = f"run `pulumi config set --secret --path '{WHERE}.{path}'`"
    return Problem(f"{WHERE}.{path}", "a secret in plain text", "text", "an encrypted value", fix)


def has_secrets(monitoring: MonitoringSettings, of: str) -> bool:
    """Whether `receivers` or `cloud` have something that authenticates."""
    found: list[SecretStr] = []
    _revealed(monitoring.model_dump(include={of}), found.append)
    return bool(found)


def _said(settings: Settings, reveal: Callable[[SecretStr], Any]) -> dict[str, Any]:
    own = settings.monitoring.model_dump(include=set(DELIVERY), exclude_none=True)
    return {name: _revealed(value, reveal) for name, value in own.items() if value}


def _revealed(value: Any, reveal: Callable[[SecretStr], Any]) -> Any:
    if isinstance(value, SecretStr):
        return reveal(value)
    if isinstance(value, dict):
        return {key: _revealed(inner, reveal) for key, inner in value.items()}
    return [_revealed(inner, reveal) for inner in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
