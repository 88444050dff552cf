"""What the recorder knows of the clouds: outputs that only a creation gives, and answers to questions."""

import json
import os
from pathlib import Path
from typing import Any

from tools.plugins.wire import Refusal

ACCOUNT, REGION = "111122223333", "eu-west-1"
PROJECT_NUMBER = "123456789012"


def computed(token: str, name: str) -> dict[str, Any]:
    """Outputs of a new resource beside its inputs."""
    arns = {
        "aws:kms/key:Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}",
        "aws:iam/role:Role": f"arn:aws:iam::{ACCOUNT}:role/{name}",
        "aws:iam/instanceProfile:InstanceProfile": f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}",
        "aws:cloudwatch/logGroup:LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}",
        "aws:cloudwatch/eventRule:EventRule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}",
        "aws:sqs/queue:Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
        "aws:eks/cluster:Cluster": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{name}",
        "aws:ecr/repository:Repository": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}",
        "aws:amp/workspace:Workspace": f"arn:aws:aps:{REGION}:{ACCOUNT}:workspace/ws-{name}",
        "aws:sns/topic:Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}",
    }
    found: dict[str, Any] = {"arn": arns[token]} if token in arns else {}
    return found | _OTHERS.get(token, {}) | ({"name": name} if token in _NAMED else {}) | _keys(token, name)


def _keys(token: str, name: str) -> dict[str, Any]:
    if token == "aws:kms/key:Key":
        return {"keyId": name}
    if token in ("gcp:projects/serviceIdentity:ServiceIdentity", "gcp:serviceaccount/account:Account"):
        email = f"{name}@models-of-acme.iam.gserviceaccount.com"
        return {"email": email, "member": f"serviceAccount:{email}"}
    return {}


_NAMED = {
    *("aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile", "aws:cloudwatch/eventRule:EventRule"),
    *("gcp:artifactregistry/repository:Repository", "gcp:compute/router:Router"),
    "gcp:monitoring/notificationChannel:NotificationChannel",
}
"""Types whose name the provider makes where the program gives none."""
_OTHERS: dict[str, dict[str, Any]] = {
    "aws:eks/cluster:Cluster": {
        "endpoint": "https://0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com",
        "certificateAuthority": {"data": "Q0E="},
    },
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:sqs/queue:Queue": {"url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/queue"},
    "aws:amp/workspace:Workspace": {
        "prometheusEndpoint": f"https://aps-workspaces.{REGION}.amazonaws.com/workspaces/ws-1/"
    },
    "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding": {"etag": "BwY="},
    "gcp:projects/iAMMember:IAMMember": {"etag": "BwY="},
    "gcp:container/cluster:Cluster": {
        "masterAuth": {"clusterCaCertificate": "Q0E=", "clientCertificateConfig": {"issueClientCertificate": False}},
        "privateClusterConfig": {"privateEndpoint": "10.0.0.2", "publicEndpoint": "203.0.113.9"},
        "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"endpoint": "gke-1.europe-west4.gke.goog"}},
    },
}


def running() -> dict[str, str]:
    """Versions of the clusters that run, by name; one is always there, which no stack makes."""
    kept = Path(os.environ["RECORDER_CLUSTERS"])
    return {"shop": "1.35", **(json.loads(kept.read_text()) if kept.exists() else {})}


def remember(name: str, version: str | None) -> None:
    """Keep what runs between one start of the recorder and the next; None: nothing of this name does."""
    others = {other: each for other, each in running().items() if other != name}
    Path(os.environ["RECORDER_CLUSTERS"]).write_text(json.dumps(others | ({name: version} if version else {})))


def answer(token: str, args: dict[str, Any]) -> dict[str, Any]:
    """What a cloud says to a question; one that nobody expected is a `KeyError`."""
    name, clusters = args.get("name"), running()
    if token.endswith(":getCluster") and name not in clusters:
        place = f"projects/{args.get('project')}/locations/{args.get('location')}/clusters/{name}"
        raise Refusal(f"{place} not found" if token.startswith("gcp:") else f"couldn't find resource {name}")
    version = clusters.get(str(name), "")
    answers: dict[str, dict[str, Any]] = {
        "aws:eks/getAddonVersion:getAddonVersion": {
            "version": f"v{args.get('kubernetesVersion')}-{args.get('addonName')}",
            "id": "x",
        },
        "aws:eks/getClusters:getClusters": {"names": sorted(clusters), "id": REGION},
        "aws:eks/getCluster:getCluster": {
            "version": version,
            "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{args.get('name')}",
            "endpoint": "https://FEDCBA9876543210.gr7.eu-west-1.eks.amazonaws.com",
            "certificateAuthorities": [{"data": "Q0E="}],
            "id": "x",
        },
        "gcp:organizations/getProject:getProject": {"number": PROJECT_NUMBER, "id": "x"},
        "gcp:container/getCluster:getCluster": {
            "masterVersion": f"{version}.4-gke.1000",
            "endpoint": "203.0.113.9",
            "masterAuths": [{"clusterCaCertificate": "Q0E="}],
            "controlPlaneEndpointsConfigs": [
                {"dnsEndpointConfigs": [{"endpoint": "gke-2.europe-west4.gke.goog", "allowExternalTraffic": True}]}
            ],
            "id": "x",
        },
    }
    return {**args, **answers[token]}
