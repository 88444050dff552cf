"""Refuses wrong arguments of `GkeCluster`, all of them at once, before anything is registered; pure."""

import re
from collections.abc import Container, Mapping
from typing import Any

from modelway import _aws, _gcp
from modelway._common import is_dns_label
from modelway.cluster import versions
from modelway.cluster.eks.arguments import EksApiAccessArgs, EksClusterArgs, EksNetworkArgs, EksNodePoolArgs
from modelway.cluster.findings import Findings, repeated
from modelway.cluster.gke import maintenance
from modelway.cluster.gke.arguments import (
    DEFAULT_CHANNEL,
    GkeApiAccessArgs,
    GkeClusterArgs,
    GkeNetworkArgs,
    GkeNodePoolArgs,
    MaintenanceWindowArgs,
)
from modelway.cluster.gke.tables import CHANNELS, KUBERNETES_READ, supported
from modelway.cluster.gke.validation_network import api_access, network
from modelway.cluster.gke.validation_pools import node_pools, zones

LONGEST_NAME = 24
GROUP = re.compile(r"gke-security-groups@[a-z0-9-]+(\.[a-z0-9-]+)+")


def check(name: str, args: GkeClusterArgs) -> Findings:
    """Every problem of the arguments."""
    findings = Findings(f'GkeCluster("{name}")')
    _known_arguments(findings, args)
    _names(findings, name, args)
    region = args["region"] if check_place(findings, args["project"], args["region"]) else ""
    _version(findings, args)
    api_access(findings, args)
    network(findings, args)
    zones(findings, args, region)
    node_pools(findings, args, region)
    _maintenance(findings, args.get("maintenance_window", {}))
    if "security_group" in args and not GROUP.fullmatch(args["security_group"]):
        findings.add(
            "security_group",
            "no group that GKE takes",
            repr(args["security_group"]),
            "gke-security-groups@DOMAIN",
            "make it in Google Workspace, with your groups as members",
        )
    check_labels(findings, args.get("labels", {}))
    return findings


def check_upgrade(name: str, args: GkeClusterArgs, current: str) -> Findings:
    """Whether GKE upgrades a control plane of version `current` to the one of the arguments.

    One minor version at a time (https://docs.cloud.google.com/kubernetes-engine/docs/how-to/upgrading-a-cluster). A
    cluster that its channel has brought further stays where it is: the provider only ever upgrades
    (https://github.com/hashicorp/terraform-provider-google/blob/e03b7622a26cf4e878f90bdccaca6aa3d03a7999/google/services/container/resource_container_cluster.go).
    """
    findings = Findings(f'GkeCluster("{name}")')
    versions.check_upgrade(findings, current, args["kubernetes_version"])
    return findings


def check_place(findings: Findings, project: str, region: str) -> bool:
    """Refuses wrong projects and regions; whether the region is known."""
    if not _gcp.is_project(project):
        findings.add(
            "project",
            "an account of AWS" if re.fullmatch(r"\d{12}", project) else "no ID of a project",
            repr(project),
            "6 to 30 lower-case letters, digits and '-', a letter first",
            "see `gcloud projects list`",
        )
    if region in _aws.REGIONS:
        findings.add(
            "region", "a region of AWS", repr(region), "a region of Google Cloud", "move the stack or the cloud"
        )
        return False
    return findings.one_of("region", "unknown region", region, _gcp.REGIONS, "a region of Google Cloud")


def check_labels(findings: Findings, asked: Mapping[str, str]) -> None:
    """Refuses labels that Google Cloud refuses."""
    for key, value in asked.items():
        if not _gcp.is_label(key, value):
            findings.add(
                "labels",
                "Google Cloud refuses this label",
                repr(f"{key}={value}"),
                "lower-case letters, digits, '_' and '-', a letter first in the key, at most 63 each",
                "rename it",
            )


def _known_arguments(findings: Findings, args: GkeClusterArgs) -> None:
    # Names only: whoever moves a stack between clouds is told which settings stay behind.
    aws = EksClusterArgs.__annotations__
    known_arguments(findings, "", args, GkeClusterArgs, aws)
    known_arguments(
        findings, "api_access.", args.get("api_access", {}), GkeApiAccessArgs, EksApiAccessArgs.__annotations__
    )
    known_arguments(findings, "network.", args.get("network", {}), GkeNetworkArgs, EksNetworkArgs.__annotations__)
    known_arguments(findings, "maintenance_window.", args.get("maintenance_window", {}), MaintenanceWindowArgs, aws)
    for index, pool in enumerate(args.get("node_pools", [])):
        known_arguments(findings, f"node_pools[{index}].", pool, GkeNodePoolArgs, EksNodePoolArgs.__annotations__)


def known_arguments(
    findings: Findings, where: str, given: Mapping[str, Any], own: type, of_aws: Container[str]
) -> None:
    """Refuses arguments that nothing would read: the component host drops them, Python hands them over."""
    for key in given:
        if key in own.__annotations__:
            continue
        if key in of_aws:
            findings.add(f"{where}{key}", "a setting of AWS", "it", "settings of Google Cloud", "remove it")
        else:
            findings.one_of(f"{where}{key}", "unknown argument", key, list(own.__annotations__))


def _names(findings: Findings, name: str, args: GkeClusterArgs) -> None:
    allowed = f"lower-case letters, digits and '-', a letter first, at most {LONGEST_NAME}"
    if not is_dns_label(name):
        findings.add("name of the component", "no DNS label", repr(name), allowed, "rename the component")
    cluster = args.get("name", name)
    if not is_dns_label(cluster) or len(cluster) > LONGEST_NAME:
        what = "no name of a cluster, or too long for its nodes' service account"
        findings.add("name", what, repr(cluster), allowed, "rename it")


def _version(findings: Findings, args: GkeClusterArgs) -> None:
    channel = args.get("release_channel", DEFAULT_CHANNEL)
    if not findings.one_of("release_channel", "unknown channel", channel, CHANNELS):
        return
    if channel == "RAPID" and args["production"]:
        # https://docs.cloud.google.com/kubernetes-engine/versioning
        findings.add(
            "release_channel",
            "Google promises nothing for it in production",
            repr(channel),
            "REGULAR, STABLE or EXTENDED",
            "change it",
        )
    versions = supported(channel)
    if args["kubernetes_version"] not in versions:
        findings.add(
            "kubernetes_version",
            f"GKE does not offer this version in the channel {channel}",
            repr(args["kubernetes_version"]),
            f"{', '.join(versions)} (read on {KUBERNETES_READ})",
            "choose one of them, one minor above the cluster's at most",
        )


def _maintenance(findings: Findings, args: MaintenanceWindowArgs) -> None:
    asked = args.get("days")
    for day in asked or []:
        findings.one_of("maintenance_window.days", "unknown day", day, maintenance.DAYS)
    if asked is not None and (not asked or repeated(asked)):
        findings.add(
            "maintenance_window.days", "no days, or one twice", ", ".join(asked) or "none", "each once", "correct it"
        )
    first, length = maintenance.start_hour(args), maintenance.hours(args)
    if first < 0 or length < 1 or first + length > 23:
        findings.add(
            "maintenance_window",
            "no hours of one day",
            f"{length} from {first}:00 UTC",
            "a start from 0 and an end until 23:00",
            "change start_hour_utc or hours",
        )
    elif length < maintenance.SHORTEST_HOURS or length * len(maintenance.days(args)) < maintenance.LEAST_WEEKLY_HOURS:
        findings.add(
            "maintenance_window",
            "too little time for upgrades",
            f"{length} hours on {', '.join(maintenance.days(args)) or 'no day'}",
            f"{maintenance.SHORTEST_HOURS} at a time and {maintenance.LEAST_WEEKLY_HOURS} a week",
            "add hours or days",
        )
