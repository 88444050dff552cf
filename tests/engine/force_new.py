"""Properties whose change needs a new resource, as the providers' schemas mark them; those that the stacks set, or may.

A block counts by its leaves, where these are marked. What only some changes force is left out: the range of a subnet
that shrinks, the role of EKS's Auto Mode that is taken away.
"""

from typing import NamedTuple


class ForceNew(NamedTuple):
    """What a provider says of one type, and where."""

    source: str
    paths: tuple[str, ...]


_AWS = "https://github.com/hashicorp/terraform-provider-aws/blob/"
# Of 2023-08-02: a copy of the same code, which holds all types that there were.
_AWS_2023 = (
    "https://github.com/pulumi/terraform-provider-aws/blob/122a58103640826a4793ef37353289632b78452b/internal/service/"
)
_GOOGLE = "https://github.com/hashicorp/terraform-provider-google/blob/e03b7622a26cf4e878f90bdccaca6aa3d03a7999/google/"
_SERVICES = f"{_GOOGLE}services/"
_MEMBER = f"{_GOOGLE}tpgiamresource/resource_iam_member.go"
_RULES = f"{_AWS_2023}ec2/vpc_security_group_ingress_rule.go"

FORCE_NEW: dict[str, ForceNew] = {
    "aws:cloudwatch/eventRule:EventRule": ForceNew(f"{_AWS_2023}events/rule.go", ("eventBusName", "name")),
    "aws:cloudwatch/eventTarget:EventTarget": ForceNew(
        f"{_AWS_2023}events/target.go", ("eventBusName", "rule", "targetId")
    ),
    "aws:cloudwatch/logGroup:LogGroup": ForceNew(f"{_AWS_2023}logs/group.go", ("name",)),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ForceNew(
        f"{_AWS_2023}ec2/vpc_default_security_group.go", ("vpcId",)
    ),
    "aws:ec2/eip:Eip": ForceNew(f"{_AWS_2023}ec2/ec2_eip.go", ("address", "domain", "publicIpv4Pool")),
    "aws:ec2/flowLog:FlowLog": ForceNew(
        f"{_AWS_2023}ec2/vpc_flow_log.go",
        (
            *("iamRoleArn", "logDestination", "logDestinationType", "logFormat", "maxAggregationInterval"),
            *("subnetId", "trafficType", "vpcId"),
        ),
    ),
    "aws:ec2/internetGateway:InternetGateway": ForceNew(f"{_AWS_2023}ec2/vpc_internet_gateway.go", ()),
    "aws:ec2/launchTemplate:LaunchTemplate": ForceNew(f"{_AWS_2023}ec2/ec2_launch_template.go", ("name", "namePrefix")),
    "aws:ec2/natGateway:NatGateway": ForceNew(
        f"{_AWS_2023}ec2/vpc_nat_gateway.go", ("allocationId", "connectivityType", "privateIp", "subnetId")
    ),
    "aws:ec2/route:Route": ForceNew(
        f"{_AWS_2023}ec2/vpc_route.go",
        ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId", "routeTableId"),
    ),
    "aws:ec2/routeTable:RouteTable": ForceNew(f"{_AWS_2023}ec2/vpc_route_table.go", ("vpcId",)),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ForceNew(
        f"{_AWS_2023}ec2/vpc_route_table_association.go", ("gatewayId", "subnetId")
    ),
    "aws:ec2/securityGroup:SecurityGroup": ForceNew(
        f"{_AWS_2023}ec2/vpc_security_group.go", ("description", "name", "vpcId")
    ),
    "aws:ec2/subnet:Subnet": ForceNew(
        f"{_AWS_2023}ec2/vpc_subnet.go", ("availabilityZone", "cidrBlock", "ipv6Native", "vpcId")
    ),
    "aws:ec2/vpc:Vpc": ForceNew(f"{_AWS_2023}ec2/vpc_.go", ("cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength")),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ForceNew(
        f"{_AWS_2023}ec2/vpc_endpoint.go", ("serviceName", "vpcEndpointType", "vpcId")
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": ForceNew(
        f"{_AWS_2023}ecr/lifecycle_policy.go", ("policy", "repository")
    ),
    "aws:ecr/repository:Repository": ForceNew(
        f"{_AWS}0072eea2d6046230a1fb7717741c17fd2122175e/internal/service/ecr/repository.go",
        ("encryptionConfigurations", "name"),
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": ForceNew(f"{_AWS_2023}ecr/repository_policy.go", ("repository",)),
    "aws:eks/accessEntry:AccessEntry": ForceNew(
        f"{_AWS}c7c8a3566bb83c2319e09262cfaf4d2d8de2584e/internal/service/eks/access_entry.go",
        ("clusterName", "principalArn", "type"),
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": ForceNew(
        f"{_AWS}6450ce3f2313c890bcfaec1a3cb4ad3bce15d454/internal/service/eks/access_policy_association.go",
        ("accessScope", "clusterName", "policyArn", "principalArn"),
    ),
    "aws:eks/addon:Addon": ForceNew(f"{_AWS_2023}eks/addon.go", ("addonName", "clusterName")),
    "aws:eks/cluster:Cluster": ForceNew(
        f"{_AWS}00555dc5b38f92abbfa230badea0ed0754cea81e/internal/service/eks/cluster.go",
        (
            *("accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons"),
            *("computeConfig.nodeRoleArn", "kubernetesNetworkConfig.ipFamily"),
            *("kubernetesNetworkConfig.serviceIpv4Cidr", "name", "remoteNetworkConfig", "roleArn"),
        ),
    ),
    "aws:eks/nodeGroup:NodeGroup": ForceNew(
        f"{_AWS}012e0a32f0686212f447447fd3d81c3d0ce256ad/internal/service/eks/node_group.go",
        (
            *("amiType", "capacityType", "clusterName", "diskSize", "instanceTypes", "launchTemplate.id"),
            *("launchTemplate.name", "nodeGroupName", "nodeRoleArn", "remoteAccess", "subnetIds"),
        ),
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": ForceNew(
        f"{_AWS}93bd0baa44a9822dae00fafd00312cd6b6c8ccd3/internal/service/eks/pod_identity_association.go",
        ("clusterName", "namespace", "serviceAccount"),
    ),
    "aws:iam/instanceProfile:InstanceProfile": ForceNew(f"{_AWS_2023}iam/instance_profile.go", ("name", "path")),
    "aws:iam/role:Role": ForceNew(f"{_AWS_2023}iam/role.go", ("name", "path")),
    "aws:iam/rolePolicy:RolePolicy": ForceNew(f"{_AWS_2023}iam/role_policy.go", ("name", "role")),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ForceNew(
        f"{_AWS_2023}iam/role_policy_attachment.go", ("policyArn", "role")
    ),
    "aws:kms/alias:Alias": ForceNew(f"{_AWS_2023}kms/alias.go", ("name",)),
    "aws:kms/key:Key": ForceNew(
        f"{_AWS}00a35305dc1b297a6fcdecdfbba33f1e63c3da39/internal/service/kms/key.go",
        ("customerMasterKeySpec", "keyUsage", "multiRegion"),
    ),
    "aws:sqs/queue:Queue": ForceNew(f"{_AWS_2023}sqs/queue.go", ("fifoQueue", "name")),
    "aws:sqs/queuePolicy:QueuePolicy": ForceNew(f"{_AWS_2023}sqs/queue_policy.go", ("queueUrl",)),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ForceNew(_RULES, ("securityGroupId",)),
    "gcp:artifactregistry/repository:Repository": ForceNew(
        f"{_SERVICES}artifactregistry/resource_artifact_registry_repository.go",
        ("format", "kmsKeyName", "location", "mode", "project", "repositoryId"),
    ),
    "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding": ForceNew(
        f"{_GOOGLE}tpgiamresource/resource_iam_binding.go", ("condition", "location", "project", "repository", "role")
    ),
    "gcp:compute/firewall:Firewall": ForceNew(
        f"{_SERVICES}compute/resource_compute_firewall.go", ("direction", "name", "project")
    ),
    "gcp:compute/network:Network": ForceNew(
        f"{_SERVICES}compute/resource_compute_network.go", ("autoCreateSubnetworks", "description", "name", "project")
    ),
    "gcp:compute/router:Router": ForceNew(
        f"{_SERVICES}compute/resource_compute_router.go", ("name", "network", "project", "region")
    ),
    "gcp:compute/routerNat:RouterNat": ForceNew(
        f"{_SERVICES}compute/resource_compute_router_nat.go", ("name", "project", "region", "router", "type")
    ),
    "gcp:compute/subnetwork:Subnetwork": ForceNew(
        f"{_SERVICES}compute/resource_compute_subnetwork.go", ("description", "name", "network", "project", "region")
    ),
    "gcp:container/cluster:Cluster": ForceNew(
        f"{_SERVICES}container/resource_container_cluster.go",
        (
            *("clusterAutoscaling.autoProvisioningDefaults.bootDiskKmsKey", "clusterIpv4Cidr", "confidentialNodes"),
            *("datapathProvider", "defaultMaxPodsPerNode", "description", "enableAutopilot", "enableKubernetesAlpha"),
            *("initialNodeCount", "ipAllocationPolicy.clusterIpv4CidrBlock"),
            *("ipAllocationPolicy.clusterSecondaryRangeName", "ipAllocationPolicy.servicesIpv4CidrBlock"),
            *("ipAllocationPolicy.servicesSecondaryRangeName", "location"),
            *("masterAuth.clientCertificateConfig.issueClientCertificate", "name", "network", "networkingMode"),
            *("privateClusterConfig.masterIpv4CidrBlock", "privateClusterConfig.privateEndpointSubnetwork"),
            *("project", "subnetwork"),
        ),
    ),
    "gcp:container/nodePool:NodePool": ForceNew(
        f"{_SERVICES}container/resource_container_node_pool.go",
        (
            *("cluster", "initialNodeCount", "location", "maxPodsPerNode", "name", "networkConfig.createPodRange"),
            *("networkConfig.podIpv4CidrBlock", "networkConfig.podRange", "placementPolicy.policyName", "project"),
            # These are of node_config.go beside it.
            *("nodeConfig.bootDiskKmsKey", "nodeConfig.guestAccelerators", "nodeConfig.localSsdCount"),
            *("nodeConfig.metadata", "nodeConfig.minCpuPlatform", "nodeConfig.oauthScopes", "nodeConfig.preemptible"),
            *("nodeConfig.sandboxConfig", "nodeConfig.serviceAccount"),
            *("nodeConfig.shieldedInstanceConfig.enableIntegrityMonitoring",),
            *("nodeConfig.shieldedInstanceConfig.enableSecureBoot", "nodeConfig.spot"),
        ),
    ),
    "gcp:kms/cryptoKey:CryptoKey": ForceNew(
        f"{_SERVICES}kms/resource_kms_crypto_key.go",
        (
            *("cryptoKeyBackend", "destroyScheduledDuration", "importOnly", "keyRing", "name", "purpose"),
            "versionTemplate.protectionLevel",
        ),
    ),
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": ForceNew(_MEMBER, ("condition", "cryptoKeyId", "member", "role")),
    "gcp:kms/keyRing:KeyRing": ForceNew(f"{_SERVICES}kms/resource_kms_key_ring.go", ("location", "name", "project")),
    "gcp:projects/iAMMember:IAMMember": ForceNew(_MEMBER, ("condition", "member", "project", "role")),
    "gcp:projects/service:Service": ForceNew(
        f"{_SERVICES}resourcemanager/resource_google_project_service.go", ("project", "service")
    ),
    "gcp:projects/serviceIdentity:ServiceIdentity": ForceNew(
        f"{_SERVICES}resourcemanager/resource_project_service_identity.go", ("project", "service")
    ),
    "gcp:serviceaccount/account:Account": ForceNew(
        f"{_SERVICES}resourcemanager/resource_google_service_account.go", ("accountId", "project")
    ),
}
"""Read on 2026-11-24, as `ForceNew: true` or `RequiresReplace`, by Pulumi's names."""
