"""Google Cloud Managed Service for Prometheus and Cloud Monitoring for the models of a cluster."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_gcp as gcp

from modelway._common import type_token
from modelway.cluster.gke import services
from modelway.cluster.gke.site import Place
from modelway.identity.pods import gke_principal
from modelway.monitoring.gcp_arguments import GoogleMonitoringArgs, check
from modelway.monitoring.slo import slo_groups, slo_of
from modelway.monitoring.unwatched import unwatched_rule

WRITER = "roles/monitoring.metricWriter"
EVALUATION_INTERVAL = "30s"
"""The shortest that Cloud Monitoring has; Prometheus in the cluster decides sooner."""
AUTO_CLOSE = "1800s"
"""An incident without data ends after this, the shortest that there is."""
_SEVERITIES = {"page": "CRITICAL", "ticket": "WARNING"}


class GoogleMonitoring(pulumi.ComponentResource):
    """Lets the cluster's Prometheus write to the project, and alerts there by the same objectives."""

    remote_write_url: pulumi.Output[str]
    """Where Prometheus writes; known once its identity may."""
    page_channels: pulumi.Output[list[str]]
    """Notification channels that pages go to."""
    ticket_channels: pulumi.Output[list[str]]
    """Notification channels that all other alerts go to."""

    def __init__(self, name: str, args: GoogleMonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("GoogleMonitoring"), name, {}, opts)
        check(name, args).refuse()
        place = Place(
            component=self,
            name=name,
            project=args["project"],
            region=args["region"],
            # Nothing here holds what could be lost.
            production=False,
            labels={"modelway-cluster": args["cluster_name"], **args.get("labels", {})},
        )
        enabled = services.enable(place, ("monitoring",))["monitoring"]
        channels = _channels(place, args, enabled)
        groups = slo_groups([slo_of(slo) for slo in args["slos"]])
        alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
        for rule in (*alerts, unwatched_rule()):
            _policy(place, args["cluster_name"], rule, channels[rule["labels"]["severity"]], enabled)
        grant = _writer(place, args, enabled)
        # Not in Google's documents: see `remote_write`.
        path = f"projects/{args['project']}/location/global/prometheus/api/v1/write"
        self.remote_write_url = grant.etag.apply(lambda _: f"https://monitoring.googleapis.com/v1/{path}")
        self.page_channels, self.ticket_channels = (
            pulumi.Output.all(*(channel.name for channel in channels[severity])) for severity in ("page", "ticket")
        )
        self.register_outputs(
            {
                "remoteWriteUrl": self.remote_write_url,
                "pageChannels": self.page_channels,
                "ticketChannels": self.ticket_channels,
            }
        )


Channels = dict[str, list[gcp.monitoring.NotificationChannel]]
"""Channels by severity."""


def _channels(place: Place, args: GoogleMonitoringArgs, enabled: pulumi.Resource) -> Channels:
    found: Channels = {"page": [], "ticket": []}
    for severity, emails in (("page", args.get("page_emails", [])), ("ticket", args.get("ticket_emails", []))):
        for number, address in enumerate(emails):
            labels: dict[str, Any] = {"labels": {"email_address": address}}
            found[severity].append(_channel(place, f"{severity}-email-{number}", "email", labels, enabled))
    if "page_pagerduty_key" in args:
        key = pulumi.Output.secret(args["page_pagerduty_key"])
        labels = {"sensitive_labels": gcp.monitoring.NotificationChannelSensitiveLabelsArgs(service_key=key)}
        found["page"].append(_channel(place, "page-pagerduty", "pagerduty", labels, enabled))
    return found


def _channel(
    place: Place, role: str, kind: str, labels: Mapping[str, Any], enabled: pulumi.Resource
) -> gcp.monitoring.NotificationChannel:
    return gcp.monitoring.NotificationChannel(
        f"{place.name}-{role}",
        project=place.project,
        type=kind,
        display_name=f"modelway {place.labels['modelway-cluster']} {role}",
        enabled=True,
        # Its policies go first; what others point at it for is not cut off.
        force_delete=False,
        user_labels=dict(place.labels),
        opts=place.child(depends_on=[enabled]),
        **labels,
    )


def _policy(
    place: Place,
    cluster: str,
    rule: Mapping[str, Any],
    channels: list[gcp.monitoring.NotificationChannel],
    enabled: pulumi.Resource,
) -> None:
    """An alert of an objective as a policy whose condition is its expression."""
    labels, notes = rule["labels"], rule["annotations"]
    subject = [labels[key] for key in ("model", "version", "slo") if key in labels]
    role = "-".join([*subject, labels["severity"]]) if subject else "unwatched"
    condition = gcp.monitoring.AlertPolicyConditionConditionPrometheusQueryLanguageArgs(
        query=in_cluster(rule["expr"], cluster),
        duration=f"{60 * int(rule.get('for', '0m')[:-1])}s",
        evaluation_interval=EVALUATION_INTERVAL,
        alert_rule=rule["alert"],
        rule_group="modelway",
        labels=dict(labels),
        # The series begin with the first samples that Prometheus writes.
        disable_metric_validation=True,
    )
    gcp.monitoring.AlertPolicy(
        f"{place.name}-{role}",
        project=place.project,
        display_name=" ".join([f"{cluster}: {rule['alert']}", *subject[:2]]),
        combiner="OR",
        enabled=True,
        severity=_SEVERITIES[labels["severity"]],
        conditions=[
            gcp.monitoring.AlertPolicyConditionArgs(
                display_name=rule["alert"], condition_prometheus_query_language=condition
            )
        ],
        documentation=gcp.monitoring.AlertPolicyDocumentationArgs(
            content=f"{notes['summary']}\n\n{notes['runbook_url']}", mime_type="text/markdown"
        ),
        notification_channels=[channel.name for channel in channels],
        alert_strategy=gcp.monitoring.AlertPolicyAlertStrategyArgs(
            auto_close=AUTO_CLOSE, notification_prompts=["OPENED", "CLOSED"]
        ),
        user_labels={**place.labels, **labels},
        opts=place.child(depends_on=[enabled]),
    )


def in_cluster(expression: str, cluster: str) -> str:
    """An expression over recorded series of objectives, of one cluster: a project may have several."""
    return expression.replace("{model=", f'{{cluster="{cluster}",model=')


def _writer(place: Place, args: GoogleMonitoringArgs, enabled: pulumi.Resource) -> gcp.projects.IAMMember:
    """Prometheus in the cluster, by its service account in Kubernetes.

    Source: https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity
    """
    # Asked of Google Cloud in preview too.
    project = gcp.organizations.get_project_output(project_id=place.project, opts=place.invoke())
    namespace = args.get("writer_namespace", "modelway-monitoring")
    running = args.get("running_cluster", args["cluster_name"])
    return gcp.projects.IAMMember(
        f"{place.name}-writer",
        project=place.project,
        role=WRITER,
        member=pulumi.Output.all(project.number, running).apply(
            lambda known: gke_principal(place.project, known[0], namespace, "prometheus")
        ),
        opts=place.child(depends_on=[enabled]),
    )
