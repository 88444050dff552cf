"""Amazon Managed Service for Prometheus and CloudWatch for the models of an EKS cluster."""

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from modelway._aws import account_of
from modelway._common import as_int, type_token
from modelway.cluster.eks import iam
from modelway.cluster.eks.keys import kept_key
from modelway.cluster.eks.roles import associate, pod_role
from modelway.cluster.eks.site import Site
from modelway.monitoring import aws_documents
from modelway.monitoring.aws_arguments import DEFAULT_RETENTION_DAYS, AmazonMonitoringArgs, check
from modelway.monitoring.config import prometheus_rules
from modelway.monitoring.slo import Slo, slo_of

LOG_RETENTION_DAYS = 400
ADDON = "amazon-cloudwatch-observability"
AGENT = ("amazon-cloudwatch", "cloudwatch-agent")
INSIGHTS = "ContainerInsights"
PODS_METRIC = "service_number_of_running_pods"
"""By Service, namespace and cluster, in these three dimensions (`getServiceMetricDeclarations` of
https://github.com/aws/amazon-cloudwatch-agent, translator/translate/otel/exporter/awsemf/kubernetes.go;
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-EKS.html)."""


class AmazonMonitoring(pulumi.ComponentResource):
    """A workspace that the cluster's Prometheus writes to, with the alerts of the same objectives, and alarms that need
    no Prometheus at all."""

    remote_write_url: pulumi.Output[str]
    """Where Prometheus writes, signed for the service `aps`; known once its identity may."""
    query_url: pulumi.Output[str]
    """What Grafana asks, signed as well."""
    page_topic_arn: pulumi.Output[str]
    """Topic of Amazon SNS that pages go to; more subscriptions may be added."""
    ticket_topic_arn: pulumi.Output[str]
    """Topic of Amazon SNS that all other alerts go to."""

    def __init__(self, name: str, args: AmazonMonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("AmazonMonitoring"), name, {}, opts)
        check(name, args).refuse()
        site = Site(
            component=self,
            name=name,
            cluster=args["cluster_name"],
            region=args["region"],
            account=account_of(args["deployer_role_arn"]) or "",
            production=args["production"],
            common_tags=args.get("tags", {}),
        )
        slos = [slo_of(slo) for slo in args["slos"]]
        insights = args.get("container_insights", True)
        groups = [_workspace_group(site), *([_insights_group(site)] if insights else [])]
        logs = _key(site, "logs", iam.logs_key_policy(site.region, site.account, groups))
        workspace = _workspace(site, _log_group(site, "workspace", groups[0], logs), args)
        topics = _topics(site, workspace, args)
        _rules(site, workspace, slos, topics)
        if insights:
            _insights(site, args, _log_group(site, "insights", groups[1], logs))
            _alarms(site, slos, topics[0])
        identity = _writer(site, workspace, args)
        endpoint = workspace.prometheus_endpoint
        self.remote_write_url = pulumi.Output.all(endpoint, identity.urn).apply(
            lambda each: f"{each[0]}api/v1/remote_write"
        )
        self.query_url = endpoint
        self.page_topic_arn, self.ticket_topic_arn = (topic.arn for topic in topics)
        self.register_outputs(
            {
                "remoteWriteUrl": self.remote_write_url,
                "queryUrl": self.query_url,
                "pageTopicArn": self.page_topic_arn,
                "ticketTopicArn": self.ticket_topic_arn,
            }
        )


def _workspace_group(site: Site) -> str:
    return f"/aws/vendedlogs/prometheus/{site.cluster}"


def _insights_group(site: Site) -> str:
    """What the agent of Container Insights writes to, and would else make itself without a key."""
    return f"/aws/containerinsights/{site.cluster}/performance"


def _key(site: Site, role: str, policy: iam.Document) -> aws.kms.Key:
    description = f"Monitoring of {site.cluster}: {role}"
    return kept_key(site, f"{site.name}-{role}-key", f"monitoring-{role}", description, policy)


def _log_group(site: Site, role: str, group: str, key: aws.kms.Key) -> aws.cloudwatch.LogGroup:
    return aws.cloudwatch.LogGroup(
        f"{site.name}-{role}-logs",
        name=group,
        kms_key_id=key.arn,
        retention_in_days=LOG_RETENTION_DAYS,
        tags=site.tags(f"monitoring-{role}"),
        opts=site.child(),
    )


def _workspace(site: Site, logs: aws.cloudwatch.LogGroup, args: AmazonMonitoringArgs) -> aws.amp.Workspace:
    workspace = aws.amp.Workspace(
        f"{site.name}-workspace",
        alias=f"modelway-{site.cluster}",
        kms_key_arn=_key(site, "workspace", iam.key_policy(site.account)).arn,
        logging_configuration=aws.amp.WorkspaceLoggingConfigurationArgs(
            log_group_arn=pulumi.Output.concat(logs.arn, ":*")
        ),
        tags=site.tags("monitoring"),
        opts=site.child(protect=True),
    )
    aws.amp.WorkspaceConfiguration(
        f"{site.name}-workspace-configuration",
        workspace_id=workspace.id,
        retention_period_in_days=as_int(args.get("retention_days"), DEFAULT_RETENTION_DAYS),
        opts=site.child(),
    )
    return workspace


def _topics(site: Site, workspace: aws.amp.Workspace, args: AmazonMonitoringArgs) -> list[aws.sns.Topic]:
    key = _key(site, "topics", aws_documents.topics_key_policy(site.account))
    alarms = f"arn:aws:cloudwatch:{site.region}:{site.account}:alarm:modelway-{site.cluster}-*"
    made = []
    for severity, emails in (("page", args.get("page_emails", [])), ("ticket", args.get("ticket_emails", []))):
        topic = aws.sns.Topic(
            f"{site.name}-{severity}s",
            kms_master_key_id=key.arn,
            tags=site.tags(f"{severity}s"),
            opts=site.child(),
        )
        aws.sns.TopicPolicy(
            f"{site.name}-{severity}s-policy",
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(
                pulumi.Output.all(topic.arn, workspace.arn).apply(
                    lambda arns: aws_documents.topic_policy(arns[0], site.account, [arns[1], alarms])
                )
            ),
            opts=site.child(),
        )
        for number, address in enumerate(emails):
            _subscription(site, f"{severity}-email-{number}", topic, "email", address)
        made.append(topic)
    if "page_url" in args:
        _subscription(site, "page-url", made[0], "https", pulumi.Output.secret(args["page_url"]))
    return made


def _subscription(site: Site, role: str, topic: aws.sns.Topic, protocol: str, endpoint: pulumi.Input[str]) -> None:
    aws.sns.TopicSubscription(
        f"{site.name}-{role}", topic=topic.arn, protocol=protocol, endpoint=endpoint, opts=site.child()
    )


def _rules(site: Site, workspace: aws.amp.Workspace, slos: Sequence[Slo], topics: Sequence[aws.sns.Topic]) -> None:
    aws.amp.RuleGroupNamespace(
        f"{site.name}-rules",
        name="modelway",
        workspace_id=workspace.id,
        data=aws_documents.rules_data(prometheus_rules(slos)),
        tags=site.tags("rules"),
        opts=site.child(),
    )
    aws.amp.AlertManagerDefinition(
        f"{site.name}-alert-manager",
        workspace_id=workspace.id,
        definition=pulumi.Output.all(*(topic.arn for topic in topics)).apply(
            lambda arns: aws_documents.alert_manager_definition(site.region, arns[0], arns[1])
        ),
        opts=site.child(),
    )


def _insights(site: Site, args: AmazonMonitoringArgs, logs: aws.cloudwatch.LogGroup) -> None:
    """The add-on, whose agent may write figures and logs, and nothing else."""
    role = pod_role(site, "insights", AGENT, ["CloudWatchAgentServerPolicy"])
    version = aws.eks.get_addon_version_output(
        addon_name=ADDON, kubernetes_version=args["kubernetes_version"], opts=site.invoke()
    ).version
    aws.eks.Addon(
        f"{site.name}-insights",
        cluster_name=args.get("running_cluster", site.cluster),
        addon_name=ADDON,
        addon_version=version,
        # Logs of containers go the way that the stack's own agent sends them.
        configuration_values=json.dumps({"containerLogs": {"enabled": False}}),
        pod_identity_associations=[
            aws.eks.AddonPodIdentityAssociationArgs(role_arn=role.arn, service_account=AGENT[1])
        ],
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        tags=site.tags("insights"),
        opts=site.child(depends_on=[logs, *role.grants]),
    )


def _alarms(site: Site, slos: Sequence[Slo], pages: aws.sns.Topic) -> None:
    """Absence of a version that must not be absent: the part of an objective that CloudWatch can see by itself."""
    for slo in slos:
        if slo.may_be_absent:
            continue
        service = f"{slo.model}-{slo.version}"
        aws.cloudwatch.MetricAlarm(
            f"{site.name}-absent-{service}",
            name=f"modelway-{site.cluster}-absent-{service}",
            alarm_description=f"{slo.model} {slo.version}: no pod runs; docs/runbooks/model-availability.md",
            namespace=INSIGHTS,
            metric_name=PODS_METRIC,
            dimensions={"ClusterName": site.cluster, "Namespace": slo.namespace, "Service": service},
            statistic="Maximum",
            period=60,
            evaluation_periods=2,
            datapoints_to_alarm=2,
            comparison_operator="LessThanThreshold",
            threshold=1,
            # A version without pods has no figures either.
            treat_missing_data="breaching",
            actions_enabled=True,
            alarm_actions=[pages.arn],
            ok_actions=[pages.arn],
            tags=site.tags(f"absent-{service}"),
            opts=site.child(),
        )


def _writer(site: Site, workspace: aws.amp.Workspace, args: AmazonMonitoringArgs) -> pulumi.Resource:
    """Identity of the Prometheus in the cluster."""
    subject = (args.get("writer_namespace", "modelway-monitoring"), "prometheus")
    policy = pulumi.Output.json_dumps(workspace.arn.apply(aws_documents.writer))
    role = pod_role(site, "writer", subject, inline=policy)
    return associate(site, "writer", subject, role, args.get("running_cluster", site.cluster), tag="writer")
