"""Arguments of `AmazonMonitoring`, and what is refused about them; pure."""

import re
from typing import NotRequired, TypedDict

import pulumi

from modelway._aws import REGIONS, account_of
from modelway._common import is_dns_label
from modelway.cluster.findings import Findings, repeated
from modelway.monitoring.slo import SloArgs, slo_misfits

DEFAULT_RETENTION_DAYS = 150
MOST_RETENTION_DAYS = 1095
_MAIL = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")
_CLUSTER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}")


class AmazonMonitoringArgs(TypedDict):
    """Inputs of `AmazonMonitoring`."""

    region: str
    """Region of the AWS provider and of the cluster."""
    deployer_role_arn: str
    """Role that deploys, in whose account all of it lies."""
    cluster_name: str
    """Name of the EKS cluster whose models are watched."""
    running_cluster: NotRequired[pulumi.Input[str]]
    """The same name, known once the cluster runs pods, where it is of the same program: what lies in the cluster waits
    for it. Defaults to `cluster_name`."""
    kubernetes_version: str
    """Minor version of the cluster, such as `1.35`: it decides the version of the add-on."""
    production: bool
    """Protects the workspace and its key from deletion."""
    slos: list[SloArgs]
    """Objectives, at most one per version: those of the `MonitoringStack` in the cluster."""
    retention_days: NotRequired[int]
    """How long the workspace keeps samples, 1 to 1095. Defaults to 150."""
    page_emails: NotRequired[list[str]]
    """Who gets a mail for what somebody wakes up for; each has to confirm once. Defaults to nobody."""
    page_url: NotRequired[pulumi.Input[str]]
    """Endpoint of https that takes pages from Amazon SNS, as PagerDuty's and Opsgenie's do; kept secret. Defaults to
    none."""
    ticket_emails: NotRequired[list[str]]
    """Who gets a mail for everything else; each has to confirm once. Defaults to nobody."""
    container_insights: NotRequired[bool]
    """Whether the cluster gets the add-on of Container Insights, and each version an alarm on the pods that it counts.
    Defaults to true."""
    writer_namespace: NotRequired[str]
    """Namespace of the Prometheus that writes to the workspace. Defaults to `modelway-monitoring`."""
    tags: NotRequired[dict[str, str]]
    """Tags of every AWS resource that has tags."""


def check(name: str, args: AmazonMonitoringArgs) -> Findings:
    """Everything wrong with the arguments."""
    findings = Findings(f'AmazonMonitoring("{name}")')
    for key in args:
        findings.one_of(key, "unknown argument", key, list(AmazonMonitoringArgs.__annotations__))
    if not is_dns_label(name):
        findings.add(
            "name of the component", "no DNS label", repr(name), "lower-case letters, digits and '-'", "rename it"
        )
    findings.one_of("region", "unknown region", args["region"], REGIONS, "a region of AWS")
    role, cluster = args["deployer_role_arn"], args["cluster_name"]
    if account_of(role) is None:
        findings.add(
            "deployer_role_arn", "no ARN of a role", repr(role), "arn:aws:iam::ACCOUNT:role/NAME", "correct it"
        )
    if not _CLUSTER.fullmatch(cluster):
        allowed = "letters, digits, '-' and '_', at most 100"
        findings.add("cluster_name", "no name of a cluster", repr(cluster), allowed, "correct it")
    days = args.get("retention_days", DEFAULT_RETENTION_DAYS)
    if not 1 <= days <= MOST_RETENTION_DAYS:
        findings.add("retention_days", "out of range", f"{days:g}", f"1 to {MOST_RETENTION_DAYS}", "change it")
    for key in ("page_emails", "ticket_emails"):
        _emails(findings, key, args.get(key) or [])  # type: ignore[arg-type]
    url = args.get("page_url", "https://")
    if isinstance(url, str) and not url.startswith("https://"):
        findings.add("page_url", "no URL that pages may go to", "another scheme", "https://…", "correct it")
    _slos(findings, args["slos"])
    return findings


def _emails(findings: Findings, key: str, addresses: list[str]) -> None:
    for address in addresses:
        if not _MAIL.fullmatch(address):
            findings.add(key, "no address", repr(address), "NAME@HOST", "correct it")
    for address in repeated(addresses):
        findings.add(key, "named twice", repr(address), "each once", "remove one")


def _slos(findings: Findings, slos: list[SloArgs]) -> None:
    if not slos:
        findings.add(
            "slos", "nothing to watch", "none", "one or more objectives", "add one, or leave the component out"
        )
    for version in repeated(f"{slo['model']} {slo['version']}" for slo in slos):
        findings.add("slos", "two objectives of one version", f"{version} twice", "one each", "remove one")
    for slo in slos:
        for misfit in slo_misfits(slo):
            where = f"slos {slo['model']} {slo['version']}.{misfit.field}"
            findings.add(where, misfit.what, misfit.got, misfit.allowed, misfit.fix)
