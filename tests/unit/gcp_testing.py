"""What the components of Google Cloud register, in preview and in up; ids are Terraform references."""

import warnings
from collections.abc import Callable
from typing import Any

from pulumi.runtime import mocks

from tests.unit import cloud_testing
from tests.unit.cloud_testing import Recorded

with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):
    # pulumi_gcp 10.2.0 warns of its own classes when it is imported, and tests take warnings for errors.
    import pulumi_gcp as gcp
    from modelway.cluster.gke import GkeCluster, node_pools
    from modelway.logging.gcp import CloudLoggingAccess
    from modelway.monitoring.gcp import GoogleMonitoring
    from modelway.registry import artifact_registry
    from modelway.registry.artifact_registry import ArtifactRegistry

    for _part in (
        gcp.artifactregistry,
        gcp.compute,
        gcp.container,
        gcp.kms,
        gcp.monitoring,
        gcp.organizations,
        gcp.projects,
    ):
        dir(_part)
    dir(gcp.serviceaccount)

__all__ = [
    "ArtifactRegistry",
    "CloudLoggingAccess",
    "GkeCluster",
    "GoogleMonitoring",
    "Recorded",
    "artifact_registry",
    "node_pools",
]

PROJECT = "models-of-acme"
NUMBER = "123456789012"
NODES = f"cluster-nodes@{PROJECT}.iam.gserviceaccount.com"
PUSHER = f"ci-pusher@{PROJECT}.iam.gserviceaccount.com"

PRODUCTION: dict[str, Any] = {
    "project": PROJECT,
    "region": "europe-west4",
    "zones": ["europe-west4-a", "europe-west4-b", "europe-west4-c"],
    "kubernetes_version": "1.35",
    "production": True,
    "api_access": {"vpc": True},
    "security_group": "gke-security-groups@example.com",
    "node_pools": [
        {"name": "base", "machine_type": "n4-standard-4", "min_size": 2, "max_size": 6},
        {"name": "arm", "machine_type": "c4a-standard-4", "min_size": 0, "max_size": 3, "sandbox": True},
        {
            "name": "gpu",
            "machine_type": "g2-standard-24",
            "min_size": 0,
            "max_size": 4,
            "spot": True,
            "zones": ["europe-west4-a"],
            "disk_gb": 100,
            "labels": {"modelway.dev/gpu": "l4"},
            "taints": ["team=vision:NoExecute"],
        },
    ],
}
REGISTRY: dict[str, Any] = {
    "project": PROJECT,
    "region": "europe-west4",
    "pull_service_accounts": [NODES],
    "push_service_account": PUSHER,
    "production": True,
}

MONITORING: dict[str, Any] = {
    "project": PROJECT,
    "region": "europe-west4",
    "cluster_name": "models",
    "slos": [
        {"model": "iris", "version": "v1", "split_position": 0},
        {"model": "iris", "version": "v2", "latency_percent": 99, "latency_below_seconds": 0.1},
    ],
    "page_emails": ["oncall@example.com"],
    "page_pagerduty_key": "key",
    "ticket_emails": ["team@example.com", "lead@example.com"],
}

RUNNING: dict[str, str] = {}
"""Clusters of the project with their versions."""
ABSENT = "projects/models-of-acme/locations/europe-west4/clusters/{name} not found"
"""How the provider says that it knows no cluster of a name."""
LOGGING: dict[str, Any] = {"project": "logs-of-acme", "cluster_project": PROJECT}

COMPUTED = {
    "gcp:monitoring/notificationChannel:NotificationChannel": ("name",),
    "gcp:projects/iAMMember:IAMMember": ("etag",),
    "gcp:artifactregistry/repository:Repository": ("name",),
    "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding": ("etag",),
    "gcp:compute/router:Router": ("name",),
    "gcp:projects/serviceIdentity:ServiceIdentity": ("email", "member"),
    "gcp:serviceaccount/account:Account": ("email", "member"),
}


def _call(args: mocks.MockCallArgs) -> tuple[str, dict[str, Any]]:
    if args.token == "gcp:container/getCluster:getCluster":
        name = args.args["name"]
        if name not in RUNNING:
            raise LookupError(ABSENT.format(name=name))
        return f"{args.token}({name})", {"masterVersion": RUNNING[name], "id": "x"}
    if args.token != "gcp:organizations/getProject:getProject":
        raise AssertionError(f"unexpected call {args.token}")
    return f"{args.token}({args.args['projectId']})", {**args.args, "number": NUMBER, "id": "x"}


CLOUD = cloud_testing.Cloud(
    COMPUTED,
    {
        "gcp:container/cluster:Cluster": {
            "masterAuth": {
                "clusterCaCertificate": "Q0E=",
                "clientCertificateConfig": {"issueClientCertificate": False},
            },
            "privateClusterConfig": {"privateEndpoint": "10.0.0.2", "publicEndpoint": "203.0.113.9"},
            "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"endpoint": "gke-1.europe-west4.gke.goog"}},
        }
    },
    _call,
)


def record(program: Callable[[], object], preview: bool = False) -> Recorded:
    """What a program registers."""
    return cloud_testing.record(CLOUD, program, preview)


def without(*keys: str, **changes: Any) -> dict[str, Any]:
    """The production cluster's arguments, less `keys`, with changes."""
    return {**{key: value for key, value in PRODUCTION.items() if key not in keys}, **changes}


def autopilot(**changes: Any) -> dict[str, Any]:
    """The arguments of a production cluster whose nodes Google makes."""
    return without("node_pools", "zones", autopilot=True, **changes)


def cluster(args: dict[str, Any] = PRODUCTION, preview: bool = False, name: str = "cluster") -> Recorded:
    """What a cluster registers."""
    return record(lambda: GkeCluster(name, args), preview)  # type: ignore[arg-type]


def registry(args: dict[str, Any] = REGISTRY, preview: bool = False) -> Recorded:
    """What a registry registers."""
    return record(lambda: ArtifactRegistry("registry", args), preview)  # type: ignore[arg-type]


def monitoring(args: dict[str, Any] = MONITORING, preview: bool = False) -> Recorded:
    """What the monitoring of a cluster registers."""
    return record(lambda: GoogleMonitoring("watch", args), preview)  # type: ignore[arg-type]


def logging(args: dict[str, Any] = LOGGING, preview: bool = False) -> Recorded:
    """What the collector's access to Cloud Logging registers."""
    return record(lambda: CloudLoggingAccess("logs", args), preview)  # type: ignore[arg-type]
