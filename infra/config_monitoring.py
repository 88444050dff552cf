"""The part of the stack config about monitoring."""

from typing import Annotated

from pydantic import Field, SecretStr

from infra.config_ground import MonitoringGround
from infra.config_section import Section


class WebhookSettings(Section):
    """An HTTP endpoint that takes Alertmanager's JSON; exactly one of the two URLs."""

    url: str | None = None
    secret_url: SecretStr | None = None
    bearer_token: SecretStr | None = None


class SlackSettings(Section):
    """An incoming webhook of Slack, or of what speaks the same."""

    url: SecretStr
    channel: str | None = None


class PagerDutySettings(Section):
    """An integration of PagerDuty's Events API v2."""

    routing_key: SecretStr
    url: str | None = None


class EmailSettings(Section):
    """Mail through an SMTP server."""

    to: list[str]
    sender: str
    smarthost: str
    username: str | None = None
    password: SecretStr | None = None
    require_tls: bool | None = None


class ReceiverSettings(Section):
    """Who is told of alerts; `modelway.monitoring.receivers_args` says what fits."""

    name: str
    webhook: WebhookSettings | None = None
    slack: SlackSettings | None = None
    pagerduty: PagerDutySettings | None = None
    email: EmailSettings | None = None


class RouteSettings(Section):
    """Who is told of alerts of one severity, and when."""

    receivers: list[str] | None = None
    group_wait_seconds: int | None = None
    group_interval_seconds: int | None = None
    repeat_hours: int | None = None


class RoutesSettings(Section):
    """Routes of alerts by their severity."""

    page: RouteSettings | None = None
    ticket: RouteSettings | None = None


class AlertSettings(Section):
    """One alert of your own; `modelway.monitoring.alert_rules` says what fits."""

    name: str
    expression: str
    severity: str
    summary: str
    for_seconds: int | None = None
    runbook_url: str | None = None


class ExternalUrlSettings(Section):
    """Where people open what runs in the cluster."""

    prometheus: str | None = None
    alertmanager: str | None = None


class GrafanaSettings(Section):
    """A Grafana with the dashboards; `modelway.monitoring.grafana_args` says what fits."""

    admin_password: SecretStr
    image: str | None = None
    """By digest in production; needed with provider node, which has no image of it."""
    external_url: str | None = None
    clients_namespaces: list[str] = Field(default_factory=list)
    """Whose pods may open it."""


class CloudMonitoringSettings(Section):
    """Alerts in the cloud of the cluster, by the same objectives, and one for when Prometheus is gone;
    `modelway.AmazonMonitoringArgs` and `modelway.GoogleMonitoringArgs` say what each means."""

    page_emails: list[str] = Field(default_factory=list)
    """Who gets a mail for what somebody wakes up for."""
    ticket_emails: list[str] = Field(default_factory=list)
    """Who gets a mail for everything else."""
    page_url: SecretStr | None = None
    """EKS: endpoint of https that takes pages from Amazon SNS."""
    page_pagerduty_key: SecretStr | None = None
    """GKE: integration key of PagerDuty's Events API v1."""
    retention_days: int | None = None
    """EKS: of the samples in the workspace."""
    container_insights: bool | None = None
    """EKS: whether CloudWatch counts pods, and pages for a version without any; true unless set."""


class MonitoringSettings(Section):
    """`modelway:monitoring`."""

    enabled: bool = True
    retention_hours: Annotated[int, Field(ge=1, le=8760)] = 360
    """15 days: the longest window of an alert is 3."""
    storage_mb: Annotated[int, Field(ge=256)] | None = None
    """Unless set: what `retention_hours` need by the estimate of `infra.alerting`, at least 2048."""
    receivers: list[ReceiverSettings] = Field(default_factory=list)
    """Who is told of alerts."""
    routes: RoutesSettings | None = None
    receivers_cidrs: list[str] = Field(default_factory=list)
    """Networks of the receivers; unless set, what their addresses say."""
    alerts: list[AlertSettings] = Field(default_factory=list)
    external_urls: ExternalUrlSettings | None = None
    runbook_base_url: str | None = None
    """Where `docs/runbooks` is published."""
    grafana: GrafanaSettings | None = None
    """Unless set: none."""
    ground: Annotated[MonitoringGround, Field(strict=False)] = MonitoringGround.PLAIN
    """What runs Prometheus."""
    chart: str | None = None
    """Of ground kubePrometheusStack: an OCI reference or a file instead of the official chart."""
    storage_class: str | None = None
    """Of the volume of samples. Unless set: no volume on ground plain, the cluster's default class on the other."""
    cloud: CloudMonitoringSettings | None = None
    """Unless set: the cluster's Prometheus alone watches."""
