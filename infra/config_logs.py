"""The part of the stack config about logs."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, SecretStr

from infra.config_section import Section


class LogDestination(StrEnum):
    """Where logs go."""

    LOKI = "loki"
    ELASTICSEARCH = "elasticsearch"
    CLOUDWATCH = "cloudwatch"
    CLOUD_LOGGING = "cloudLogging"


class LogSettings(Section):
    """`modelway:logs`: where the logs of models and gateway go; `modelway.logging.checks` says what fits."""

    destination: Annotated[LogDestination, Field(strict=False)]
    url: str | None = None
    """Of Loki or Elasticsearch, without the path of an API."""
    authorization: SecretStr | None = None
    """Header for Loki or Elasticsearch, such as `Bearer …` or `ApiKey …`; encrypted."""
    tenant: str | None = None
    """Of Loki."""
    dataset: str | None = None
    """Of Elasticsearch: they are in `logs-DATASET.otel-default`; modelway unless set."""
    region: str | None = None
    """Of CloudWatch; that of the cluster unless set, where the stack makes one on EKS."""
    log_group: str | None = None
    """Of CloudWatch. Unless set: /modelway/CLUSTER, made by the stack, on EKS, /modelway/logs elsewhere."""
    retention_days: int | None = None
    """Of a log group that is created. Unless set: 400 where the stack makes it, for ever where the collector does."""
    project: str | None = None
    """Of Cloud Logging; that of the cluster unless set."""
    redacted_fields: list[str] = Field(default_factory=list)
    """Names of fields whose values leave no node."""
    redacted_patterns: list[str] = Field(default_factory=list)
    """Regular expressions (RE2) of what leaves no node."""
    prediction_percent: float = 100
    """Share of the lines about successful requests that are kept; errors always are."""
    queue_mb: int = 512
    """Disk of each node for what the destination does not take yet, in MiB."""
    identity_annotations: dict[str, str] | None = None
    """Of the collector's ServiceAccount, by which a cloud knows it. Unless set: a stack with cloudwatch on EKS or
    cloudLogging on GKE makes the identity."""
    egress_cidrs: list[str] | None = None
    """Networks of the destination."""
