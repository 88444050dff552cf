"""A log group of CloudWatch for the collector of an EKS cluster."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from modelway._aws import account_of
from modelway._common import as_int, type_token
from modelway.cluster.eks import iam
from modelway.cluster.eks.keys import kept_key
from modelway.cluster.eks.roles import associate, pod_role
from modelway.cluster.eks.site import Site
from modelway.logging.checks import RETENTION_DAYS
from modelway.logging.objects import NAME, NAMESPACE

DEFAULT_RETENTION_DAYS = 400
WRITE = ("logs:CreateLogStream", "logs:PutLogEvents")
"""What the collector asks for where the group is there: internal/aws/cwlogs/cwlog_client.go of
https://github.com/open-telemetry/opentelemetry-collector-contrib."""


class CloudWatchLogGroupArgs(TypedDict):
    """Inputs of `CloudWatchLogGroup`."""

    region: str
    """Region of the AWS provider and of the cluster."""
    deployer_role_arn: str
    """Role that deploys, in whose account all of it lies."""
    cluster_name: str
    """Name of the EKS cluster whose logs are kept."""
    running_cluster: NotRequired[pulumi.Input[str]]
    """The same name, known once the cluster runs, where it is of the same program. Defaults to `cluster_name`."""
    log_group: str
    """Name of the group, which nobody else has in this region."""
    production: bool
    """Protects the group and its key from deletion."""
    retention_days: NotRequired[int]
    """How long events are kept, one of the numbers that CloudWatch knows. Defaults to 400."""
    collector_namespace: NotRequired[str]
    """Namespace of the `LogCollector`. Defaults to `modelway-logs`."""
    tags: NotRequired[dict[str, str]]
    """Tags of every resource that has tags."""


class CloudWatchLogGroup(pulumi.ComponentResource):
    """An encrypted log group that the cluster's collector, by EKS Pod Identity, writes to and does not read."""

    log_group: pulumi.Output[str]
    """Name of the group, known once the collector may write to it."""

    def __init__(self, name: str, args: CloudWatchLogGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("CloudWatchLogGroup"), name, {}, opts)
        days = as_int(args.get("retention_days"), DEFAULT_RETENTION_DAYS)
        if days not in RETENTION_DAYS:
            allowed = ", ".join(map(str, RETENTION_DAYS))
            raise ValueError(
                f'CloudWatchLogGroup("{name}").retention_days: CloudWatch keeps no such time: got {days}, '
                f"allowed {allowed}; choose one."
            )
        site = Site(
            component=self,
            name=name,
            cluster=args["cluster_name"],
            region=args["region"],
            account=account_of(args["deployer_role_arn"]) or "",
            production=args["production"],
            common_tags=args.get("tags", {}),
        )
        group = _group(site, args["log_group"], days)
        identity = _writer(site, group, args)
        self.log_group = pulumi.Output.all(group.name, identity.urn).apply(lambda known: str(known[0]))
        self.register_outputs({"logGroup": self.log_group})


def _group(site: Site, name: str, days: int) -> aws.cloudwatch.LogGroup:
    policy = iam.logs_key_policy(site.region, site.account, [name])
    key = kept_key(site, f"{site.name}-key", "logs", f"Logs of {site.cluster}", policy)
    return aws.cloudwatch.LogGroup(
        f"{site.name}-group",
        name=name,
        kms_key_id=key.arn,
        retention_in_days=days,
        tags=site.tags("logs"),
        opts=site.child(protect=True),
    )


def _writer(site: Site, group: aws.cloudwatch.LogGroup, args: CloudWatchLogGroupArgs) -> pulumi.Resource:
    subject = (args.get("collector_namespace", NAMESPACE), NAME)
    # Streams are named below the group: https://docs.aws.amazon.com/service-authorization/latest/reference/
    # list_amazoncloudwatchlogs.html
    policy = pulumi.Output.json_dumps(
        group.arn.apply(lambda arn: iam.document(iam.allow("WriteLogs", list(WRITE), [arn, f"{arn}:*"])))
    )
    role = pod_role(site, "writer", subject, inline=policy)
    return associate(site, "writer", subject, role, args.get("running_cluster", site.cluster), tag="writer")
