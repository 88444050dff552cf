"""Arguments of `GoogleMonitoring`, and what is refused about them; pure."""

import re
from typing import NotRequired, TypedDict

import pulumi

from modelway._common import is_dns_label
from modelway.cluster.findings import Findings, repeated
from modelway.cluster.gke.validation import check_labels, check_place
from modelway.monitoring.slo import SloArgs, slo_misfits

_MAIL = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")


class GoogleMonitoringArgs(TypedDict):
    """Inputs of `GoogleMonitoring`."""

    project: str
    """ID of the project of the cluster and of all that is made."""
    region: str
    """Region of the cluster."""
    cluster_name: str
    """What `remote_write.cluster` of the `MonitoringStack` says: the alerts ask for series with this label."""
    running_cluster: NotRequired[pulumi.Input[str]]
    """The same name, known once the cluster runs, where it is of the same program: the project has the names of its
    service accounts from its first cluster on. Defaults to `cluster_name`."""
    slos: list[SloArgs]
    """Objectives, at most one per version: those of the `MonitoringStack` in the cluster."""
    page_emails: NotRequired[list[str]]
    """Who gets a mail for what somebody wakes up for. Defaults to nobody."""
    page_pagerduty_key: NotRequired[pulumi.Input[str]]
    """Integration key of PagerDuty's Events API v1, which Cloud Monitoring speaks; kept secret. Defaults to none."""
    ticket_emails: NotRequired[list[str]]
    """Who gets a mail for everything else. Defaults to nobody."""
    writer_namespace: NotRequired[str]
    """Namespace of the Prometheus that writes. Defaults to `modelway-monitoring`."""
    labels: NotRequired[dict[str, str]]
    """Labels of every resource that has labels."""


def check(name: str, args: GoogleMonitoringArgs) -> Findings:
    """Everything wrong with the arguments."""
    findings = Findings(f'GoogleMonitoring("{name}")')
    for key in args:
        findings.one_of(key, "unknown argument", key, list(GoogleMonitoringArgs.__annotations__))
    allowed = "lower-case letters, digits and '-'"
    if not is_dns_label(name):
        findings.add("name of the component", "no DNS label", repr(name), allowed, "rename it")
    check_place(findings, args["project"], args["region"])
    if not is_dns_label(args["cluster_name"]):
        findings.add("cluster_name", "no name of a cluster", repr(args["cluster_name"]), allowed, "correct it")
    check_labels(findings, args.get("labels", {}))
    for key, addresses in (
        ("page_emails", args.get("page_emails", [])),
        ("ticket_emails", args.get("ticket_emails", [])),
    ):
        for address in addresses:
            if not _MAIL.fullmatch(address):
                findings.add(key, "no address", repr(address), "NAME@HOST", "correct it")
        for address in repeated(addresses):
            findings.add(key, "named twice", repr(address), "each once", "remove one")
    _slos(findings, args["slos"])
    return findings


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
