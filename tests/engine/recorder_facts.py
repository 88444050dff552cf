"""What the recorder knows of the clouds: outputs that only a creation gives, and properties that force a new resource."""

from typing import Any, NamedTuple

ACCOUNT, REGION = "111122223333", "eu-west-1"
PROJECT_NUMBER = "123456789012"


class ForceNew(NamedTuple):
    """A property whose change needs a new resource, and where the provider says so."""

    path: str
    source: str


_AWS = "https://github.com/hashicorp/terraform-provider-aws/blob/"
_GOOGLE = "https://github.com/hashicorp/terraform-provider-google/blob/"
_CLUSTER = f"{_AWS}00555dc5b38f92abbfa230badea0ed0754cea81e/internal/service/eks/cluster.go"
_GROUP = f"{_AWS}012e0a32f0686212f447447fd3d81c3d0ce256ad/internal/service/eks/node_group.go"
_KEY = f"{_AWS}00a35305dc1b297a6fcdecdfbba33f1e63c3da39/internal/service/kms/key.go"
_ECR = f"{_AWS}0072eea2d6046230a1fb7717741c17fd2122175e/internal/service/ecr/repository.go"
_GKE = f"{_GOOGLE}0297605c600111e010e09edb39901e0806b00a9a/google/services/container/resource_container_cluster.go"
_POOL = (
    "https://github.com/hashicorp/terraform-provider-google-beta/blob/003e704f3654c1de10e8bd51316f47171d342c51/"
    "google-beta/services/container/resource_container_node_pool.go"
)
_CRYPTO_KEY = f"{_GOOGLE}07fc8657afe854e6679f9e01de04f96955a1f910/google/services/kms/resource_kms_crypto_key.go"
_REPOSITORY = (
    f"{_GOOGLE}07fc8657afe854e6679f9e01de04f96955a1f910/google/services/artifactregistry/"
    "resource_artifact_registry_repository.go"
)

FORCE_NEW: dict[str, tuple[ForceNew, ...]] = {
    "aws:eks/cluster:Cluster": (
        ForceNew("name", _CLUSTER),
        ForceNew("roleArn", _CLUSTER),
        ForceNew("bootstrapSelfManagedAddons", _CLUSTER),
        ForceNew("accessConfig.bootstrapClusterCreatorAdminPermissions", _CLUSTER),
        ForceNew("kubernetesNetworkConfig.serviceIpv4Cidr", _CLUSTER),
        ForceNew("computeConfig.nodeRoleArn", _CLUSTER),
    ),
    "aws:eks/nodeGroup:NodeGroup": (
        ForceNew("amiType", _GROUP),
        ForceNew("capacityType", _GROUP),
        ForceNew("clusterName", _GROUP),
        ForceNew("instanceTypes", _GROUP),
        ForceNew("launchTemplate.id", _GROUP),
        ForceNew("nodeGroupName", _GROUP),
        ForceNew("nodeRoleArn", _GROUP),
        ForceNew("subnetIds", _GROUP),
    ),
    "aws:kms/key:Key": (ForceNew("customerMasterKeySpec", _KEY), ForceNew("keyUsage", _KEY)),
    "aws:ecr/repository:Repository": (ForceNew("name", _ECR), ForceNew("encryptionConfigurations", _ECR)),
    "gcp:container/cluster:Cluster": (
        ForceNew("project", _GKE),
        ForceNew("subnetwork", _GKE),
        ForceNew("ipAllocationPolicy", _GKE),
        ForceNew("networkingMode", _GKE),
        ForceNew("privateClusterConfig.enablePrivateNodes", _GKE),
    ),
    "gcp:container/nodePool:NodePool": (
        ForceNew("project", _POOL),
        ForceNew("cluster", _POOL),
        ForceNew("location", _POOL),
        ForceNew("maxPodsPerNode", _POOL),
    ),
    "gcp:kms/cryptoKey:CryptoKey": (
        ForceNew("keyRing", _CRYPTO_KEY),
        ForceNew("name", _CRYPTO_KEY),
        ForceNew("purpose", _CRYPTO_KEY),
        ForceNew("destroyScheduledDuration", _CRYPTO_KEY),
    ),
    "gcp:artifactregistry/repository:Repository": (
        ForceNew("repositoryId", _REPOSITORY),
        ForceNew("format", _REPOSITORY),
        ForceNew("kmsKeyName", _REPOSITORY),
        ForceNew("location", _REPOSITORY),
    ),
}
"""Read on 2026-11-23 as `ForceNew: true` of the schemas."""


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


def answer(token: str, args: dict[str, Any]) -> dict[str, Any]:
    """What a cloud says to a question; one that nobody expected is a `KeyError`."""
    answers: dict[str, dict[str, Any]] = {
        "aws:eks/getAddonVersion:getAddonVersion": {
            "version": f"v{args.get('kubernetesVersion')}-{args.get('addonName')}",
            "id": "x",
        },
        "aws:eks/getCluster:getCluster": {
            "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{args.get('name')}",
            "endpoint": "https://FEDCBA9876543210.gr7.eu-west-1.eks.amazonaws.com",
            "certificateAuthorities": [{"data": "Q0E="}],
            "id": "x",
        },
        "gcp:organizations/getProject:getProject": {"number": PROJECT_NUMBER, "id": "x"},
        "gcp:container/getCluster:getCluster": {
            "endpoint": "203.0.113.9",
            "masterAuths": [{"clusterCaCertificate": "Q0E="}],
            "controlPlaneEndpointsConfigs": [
                {"dnsEndpointConfigs": [{"endpoint": "gke-2.europe-west4.gke.goog", "allowExternalTraffic": True}]}
            ],
            "id": "x",
        },
    }
    return {**args, **answers[token]}
