"""The component: one OpenTelemetry Collector on every node."""

from typing import NotRequired, TypedDict

import pulumi

from modelway._common import as_int, register, register_all, require_dns_label, type_token
from modelway.logging.checks import destination_of, log_misfits
from modelway.logging.objects import NAME, NAMESPACE, CollectorSpec, collector_manifests, log_namespace_manifest
from modelway.logging.pipeline import Pipeline
from modelway.namespace import default_deny_manifest
from modelway.serving.model_server import refuse

VERSION = "0.156.0"
IMAGE = f"docker.io/otel/opentelemetry-collector-contrib:{VERSION}"


class LogDestinationArgs(TypedDict):
    """Where logs go; which fields a kind takes, `kind` says."""

    kind: str
    """`loki` takes url and tenant, `elasticsearch` url and dataset, `cloudwatch` region, log_group and retention_days,
    `cloudLogging` project."""
    url: NotRequired[str]
    """Of Loki or Elasticsearch, without the path of an API."""
    tenant: NotRequired[str]
    """Sent to Loki as `X-Scope-OrgID`. Defaults to none."""
    dataset: NotRequired[str]
    """Middle of Elasticsearch's data stream `logs-DATASET.otel-default`. Defaults to `modelway`."""
    region: NotRequired[str]
    """AWS region of CloudWatch."""
    log_group: NotRequired[str]
    """CloudWatch's log group, created where it is missing. Defaults to `/modelway/logs`."""
    retention_days: NotRequired[int]
    """How long a log group that is created keeps its events. Defaults to for ever."""
    project: NotRequired[str]
    """Google Cloud project. Defaults to that of the cluster."""


class LogCollectorArgs(TypedDict):
    """Inputs of `LogCollector`."""

    destination: LogDestinationArgs
    """Where the logs go."""
    models_namespaces: list[str]
    """Namespaces whose pods' logs are read."""
    gateway_namespace: NotRequired[str]
    """Namespace of the gateway, whose logs are read as well. Defaults to `modelway-gateway`."""
    namespace: NotRequired[str]
    """Namespace of the collector; created. Defaults to `modelway-logs`."""
    image: NotRequired[pulumi.Input[str]]
    """Image of the collector, with the components that the destination needs. Defaults to OpenTelemetry's own
    contrib distribution at the pinned version."""
    authorization: NotRequired[pulumi.Input[str]]
    """Header `Authorization` for Loki or Elasticsearch, such as `Bearer …` or `ApiKey …`. Defaults to none."""
    redacted_fields: NotRequired[list[str]]
    """Names of fields, at any depth of a JSON line and in any case, whose values are replaced by asterisks. Defaults
    to none."""
    redacted_patterns: NotRequired[list[str]]
    """Regular expressions (RE2); what they match in any value or plain line is replaced by asterisks. Defaults to
    none."""
    prediction_percent: NotRequired[float]
    """Share of the lines about successful requests that are kept, all lines of a request alike; every other line is
    kept. Defaults to 100."""
    queue_mb: NotRequired[int]
    """Disk of each node for what the destination does not take yet, in MiB. Defaults to 512."""
    identity_annotations: NotRequired[dict[str, str]]
    """Annotations of the ServiceAccount, by which a cloud knows the collector. Defaults to none."""
    egress_cidrs: NotRequired[list[str]]
    """Networks of the destination. Defaults to what its name tells: an address, a namespace, or anywhere but the
    clouds' metadata address."""


class LogCollector(pulumi.ComponentResource):
    """The OpenTelemetry Collector on every node: reads the pods' log files, redacts, samples, and sends them on."""

    namespace: pulumi.Output[str]
    """Namespace of the collector, known once it runs."""

    def __init__(self, name: str, args: LogCollectorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("LogCollector"), name, {}, opts)
        spec = collector_spec(name, args)
        child = pulumi.ResourceOptions(parent=self)
        namespace = register(f"{name}-namespace", log_namespace_manifest(spec.namespace), child)
        inside = pulumi.ResourceOptions(parent=self, depends_on=[namespace])
        denied = register(f"{name}-default-deny", default_deny_manifest(spec.namespace), inside)
        *before, daemon_set = collector_manifests(spec)
        created = register_all(before, name, inside)
        after = pulumi.ResourceOptions(parent=self, depends_on=[denied, *created])
        (running,) = register_all([daemon_set], name, after)
        self.namespace = running.urn.apply(lambda _: spec.namespace)
        self.register_outputs({"namespace": self.namespace})


def collector_spec(name: str, args: LogCollectorArgs) -> CollectorSpec:
    """Validate the inputs; raises `ValueError` with one sentence."""
    where = f'LogCollector("{name}")'
    namespace, gateway = args.get("namespace", NAMESPACE), args.get("gateway_namespace", "modelway-gateway")
    for label in (namespace, gateway, *args["models_namespaces"]):
        require_dns_label(f"{where} namespace", label)
    refuse(where, list(log_misfits(args)))
    pipeline = Pipeline(
        destination=destination_of(args["destination"]),
        namespaces=(*args["models_namespaces"], gateway),
        authorized=args.get("authorization") is not None,
        redacted_fields=tuple(args.get("redacted_fields", [])),
        redacted_patterns=tuple(args.get("redacted_patterns", [])),
        prediction_percent=float(args.get("prediction_percent", 100)),
        queue_mb=as_int(args.get("queue_mb"), 512),
    )
    return CollectorSpec(
        pipeline=pipeline,
        image=args.get("image", IMAGE),
        namespace=namespace,
        authorization=args.get("authorization"),
        identity_annotations=args.get("identity_annotations", {}),
        egress_cidrs=tuple(args.get("egress_cidrs", [])),
    )


__all__ = ["NAME", "LogCollector", "LogCollectorArgs", "LogDestinationArgs", "collector_spec"]
