"""What pods on GKE may do in Google Cloud: read a model's artifacts, write names and challenges of one DNS zone."""

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from modelway._common import type_token
from modelway.cluster.findings import Findings
from modelway.identity.pods import DNS_ADMIN, DNS_READER, OBJECT_READER, below, gke_principal, place_problems


class GcsModelAccessArgs(TypedDict):
    """Inputs of `GcsModelAccess`."""

    project: str
    """ID of the project that the cluster lies in."""
    namespace: str
    """Namespace of the model's pods."""
    service_accounts: list[str]
    """Service accounts of the model's versions: `MODEL-VERSION`."""
    bucket: str
    """Bucket of the artifacts, with uniform access."""
    folder: str
    """Folder in it that holds this model's artifacts and no other's."""


class GcsModelAccess(pulumi.ComponentResource):
    """Reading below one folder of a bucket, for the service accounts of one model, by Workload Identity."""

    members: pulumi.Output[list[str]]
    """The service accounts as IAM names them, known once they may read."""

    def __init__(self, name: str, args: GcsModelAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("GcsModelAccess"), name, {}, opts)
        findings = Findings(f'GcsModelAccess("{name}")')
        for argument, got, allowed in place_problems(args["bucket"], args["folder"]):
            findings.add(argument, "opens more than one model", repr(got), allowed, "name the model's")
        if not args["service_accounts"]:
            findings.add("service_accounts", "empty", "none", "at least one", "name those of the model's versions")
        if findings.sentences:
            raise ValueError("\n".join(findings.sentences))
        number = _project_number(self, args["project"])
        grants = [
            gcp.storage.BucketIAMMember(
                f"{name}-{account}-reads",
                bucket=args["bucket"],
                role=OBJECT_READER,
                member=_member(number, args["project"], args["namespace"], account),
                condition=gcp.storage.BucketIAMMemberConditionArgs(
                    title=f"artifacts below {args['folder']}", expression=below(args["bucket"], args["folder"])
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for account in args["service_accounts"]
        ]
        self.members = pulumi.Output.all(*(grant.member for grant in grants))
        self.register_outputs({"members": self.members})


class GkeDnsAccessArgs(TypedDict):
    """Inputs of `GkeDnsAccess`."""

    project: str
    """ID of the project that cluster and zone lie in."""
    zone: str
    """Name of the managed zone of Cloud DNS."""
    external_dns: str
    """Service account of external-dns as `NAMESPACE/NAME`; it writes the addresses."""
    cert_manager: str
    """Service account of cert-manager as `NAMESPACE/NAME`; it proves by DNS-01 that the zone is ours."""


class GkeDnsAccess(pulumi.ComponentResource):
    """Writing in one zone of Cloud DNS, for external-dns and cert-manager, by Workload Identity.

    Sources: https://github.com/kubernetes-sigs/external-dns/blob/master/docs/tutorials/gke.md (`dns.admin` on the zone,
    `dns.reader` on the project), https://cert-manager.io/docs/configuration/acme/dns01/google/. Cloud DNS knows no
    right to records of one type: unlike on Route 53, cert-manager could write others of the zone as well.
    """

    members: pulumi.Output[list[str]]
    """The service accounts as IAM names them, known once they may write."""

    def __init__(self, name: str, args: GkeDnsAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("GkeDnsAccess"), name, {}, opts)
        findings = Findings(f'GkeDnsAccess("{name}")')
        subjects = {"external-dns": args["external_dns"], "cert-manager": args["cert_manager"]}
        for role, subject in subjects.items():
            if [bool(part) for part in subject.split("/")] != [True, True]:
                where = role.replace("-", "_")
                findings.add(where, "no service account", repr(subject), "NAMESPACE/NAME", "correct it")
        if findings.sentences:
            raise ValueError("\n".join(findings.sentences))
        number = _project_number(self, args["project"])
        made = []
        for role, subject in subjects.items():
            namespace, _, account = subject.partition("/")
            member = _member(number, args["project"], namespace, account)
            made.append(
                gcp.dns.DnsManagedZoneIamMember(
                    f"{name}-{role}-zone",
                    project=args["project"],
                    managed_zone=args["zone"],
                    role=DNS_ADMIN,
                    member=member,
                    opts=pulumi.ResourceOptions(parent=self),
                ).member
            )
            # Both look for the zone by its name first, and zones are listed by project only.
            gcp.projects.IAMMember(
                f"{name}-{role}-zones",
                project=args["project"],
                role=DNS_READER,
                member=member,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.members = pulumi.Output.all(*made)
        self.register_outputs({"members": self.members})


def _project_number(component: pulumi.ComponentResource, project: str) -> pulumi.Output[str]:
    found = gcp.organizations.get_project_output(project_id=project, opts=pulumi.InvokeOptions(parent=component))
    return found.number


def _member(number: pulumi.Output[str], project: str, namespace: str, account: str) -> pulumi.Output[str]:
    return number.apply(lambda value: gke_principal(project, value, namespace, account))
