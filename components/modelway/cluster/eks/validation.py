"""Refuses wrong arguments of `EksCluster` before anything is registered; pure."""

import re

from modelway._aws import REGIONS, account_of
from modelway._common import as_int, is_dns_label
from modelway.cluster import versions
from modelway.cluster.eks import addons_names
from modelway.cluster.eks.arguments import DEFAULT_LOG_RETENTION_DAYS, EksClusterArgs
from modelway.cluster.eks.tables import KUBERNETES_READ, KUBERNETES_VERSIONS, LOG_RETENTION_DAYS
from modelway.cluster.eks.validation_network import api_access, network
from modelway.cluster.eks.validation_pools import node_pools
from modelway.cluster.findings import Findings

CLUSTER_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,69}")
ZONE_ID = re.compile(r"Z[0-9A-Z]{4,31}")
LONGEST_NAME = 30


def check(name: str, args: EksClusterArgs) -> Findings:
    """Every problem of the arguments."""
    findings = Findings(f'EksCluster("{name}")')
    _names(findings, name, args)
    known_region = findings.one_of("region", "unknown region", args["region"], REGIONS, "a region of AWS")
    if account_of(args["deployer_role_arn"]) is None:
        findings.add(
            "deployer_role_arn",
            "no ARN of a role",
            repr(args["deployer_role_arn"]),
            "arn:aws:iam::ACCOUNT:role/NAME",
            "take the role that deploys, not its session (`aws iam get-role`)",
        )
    if args["kubernetes_version"] not in KUBERNETES_VERSIONS:
        findings.add(
            "kubernetes_version",
            "EKS does not offer this version",
            repr(args["kubernetes_version"]),
            f"{', '.join(KUBERNETES_VERSIONS)} (read on {KUBERNETES_READ})",
            "choose one of them, one minor above the cluster's at most",
        )
    api_access(findings, args["api_access"], args["production"])
    network(findings, args["network"], args["region"] if known_region else "")
    node_pools(findings, args)
    _add_ons(findings, args)
    _rest(findings, args)
    return findings


def check_upgrade(name: str, args: EksClusterArgs, current: str) -> Findings:
    """Whether EKS upgrades a control plane of version `current` to the one of the arguments.

    One minor version at a time (https://docs.aws.amazon.com/eks/latest/userguide/update-cluster.html), and one back
    where AWS allows it (https://docs.aws.amazon.com/eks/latest/userguide/rollback-cluster.html).
    """
    findings = Findings(f'EksCluster("{name}")')
    versions.check_upgrade(findings, current, args["kubernetes_version"], back=1)
    return findings


def _names(findings: Findings, name: str, args: EksClusterArgs) -> None:
    if not is_dns_label(name) or len(name) > LONGEST_NAME:
        findings.add(
            "name of the component",
            "no DNS label, or too long for the names of IAM roles",
            repr(name),
            f"lower-case letters, digits and '-', a letter first, at most {LONGEST_NAME}",
            "rename the component",
        )
    if "name" in args and not CLUSTER_NAME.fullmatch(args["name"]):
        findings.add(
            "name",
            "no name of a cluster",
            repr(args["name"]),
            "letters, digits, '-' and '_', a letter or digit first, at most 70",
            "rename it",
        )


def _add_ons(findings: Findings, args: EksClusterArgs) -> None:
    auto_mode = args.get("auto_mode", False)
    known = addons_names.AUTO_MODE if auto_mode else addons_names.ALL
    for addon in args.get("addon_versions", {}):
        findings.one_of("addon_versions", "no add-on of this cluster", addon, known)
    if auto_mode and args.get("karpenter", False):
        findings.add("karpenter", "Auto Mode scales by itself", "True with auto_mode", "one of the two", "remove one")


def _rest(findings: Findings, args: EksClusterArgs) -> None:
    days = as_int(args.get("log_retention_days"), DEFAULT_LOG_RETENTION_DAYS)
    if days not in LOG_RETENTION_DAYS:
        allowed = ", ".join(str(number) for number in LOG_RETENTION_DAYS)
        findings.add("log_retention_days", "CloudWatch does not keep logs that long", days, allowed, "change it")
    for zone in args.get("dns_zone_ids", []):
        if not ZONE_ID.fullmatch(zone):
            findings.add(
                "dns_zone_ids",
                "no ID of a Route 53 zone",
                repr(zone),
                "such as Z0123456789ABCDEFGHIJ",
                "see `aws route53 list-hosted-zones`",
            )
    for tag in args.get("tags", {}):
        if tag.lower().startswith("aws:") or not 1 <= len(tag) <= 128:
            findings.add("tags", "AWS refuses this key", repr(tag), "1 to 128 characters without aws:", "rename it")
