"""What the hardened cluster and registry must register, property by property.

Each function raises `AssertionError` where a recording differs. Tests call them; the mutation test shows that each
property which is taken away is missed by at least one.
"""

import json
from typing import Any

from modelway.cluster.eks import iam, iam_karpenter, iam_load_balancer
from modelway.registry import ecr_policies

from tests.unit.aws_testing import ACCOUNT, DEPLOYER, PUSHER, REGISTRY, Recorded

REGION = "eu-west-1"
CLUSTER_ARN = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/cluster"
SUBNETS = [f"${{aws_subnet.cluster-private-{letter}.id}}" for letter in "abc"]
TAGS = {"modelway:cluster": "cluster"}


def arn(kind: str, name: str) -> str:
    return f"${{aws_{kind}.{name}.arn}}"


def plain(recorded: Recorded, name: str) -> dict[str, Any]:
    """Inputs without what only names the resource."""
    return {key: value for key, value in recorded.inputs(name).items() if key not in ("tags", "description")}


def policy(recorded: Recorded, name: str, key: str = "policy") -> Any:
    return json.loads(recorded.inputs(name)[key])


def control_plane(recorded: Recorded) -> None:
    assert plain(recorded, "cluster-control-plane") == {
        "name": "cluster",
        "version": "1.35",
        "roleArn": arn("iam_role", "cluster-control-plane-role"),
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        "bootstrapSelfManagedAddons": False,
        "deletionProtection": True,
        "enabledClusterLogTypes": ["api", "audit", "authenticator", "controllerManager", "scheduler"],
        "encryptionConfig": {
            "provider": {"keyArn": arn("kms_key", "cluster-secrets-key")},
            "resources": ["secrets"],
        },
        "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16"},
        "upgradePolicy": {"supportType": "STANDARD"},
        "vpcConfig": {"subnetIds": SUBNETS, "endpointPrivateAccess": True, "endpointPublicAccess": False},
    }


def keys(recorded: Recorded) -> None:
    groups = ["/aws/eks/cluster/cluster", "/modelway/cluster/flow-logs"]
    policies = {"secrets": iam.key_policy(ACCOUNT), "logs": iam.logs_key_policy(REGION, ACCOUNT, groups)}
    for role, document in policies.items():
        inputs = plain(recorded, f"cluster-{role}-key")
        assert json.loads(inputs.pop("policy")) == document
        assert inputs == {"enableKeyRotation": True, "deletionWindowInDays": 30}


def logs(recorded: Recorded) -> None:
    names = {"cluster-logs": "/aws/eks/cluster/cluster", "cluster-flow-logs": "/modelway/cluster/flow-logs"}
    for logical, name in names.items():
        assert plain(recorded, logical) == {
            "name": name,
            "retentionInDays": 365,
            "kmsKeyId": arn("kms_key", "cluster-logs-key"),
        }
    assert plain(recorded, "cluster-flow-log") == {
        "vpcId": "${aws_vpc.cluster-vpc.id}",
        "logDestination": arn("cloudwatch_log_group", "cluster-flow-logs"),
        "iamRoleArn": arn("iam_role", "cluster-flow-logs-role"),
        "trafficType": "REJECT",
    }


def access(recorded: Recorded) -> None:
    entries = {
        resource.name: plain(recorded, resource.name) for resource in recorded.typed("aws:eks/accessEntry:AccessEntry")
    }
    assert entries == {
        "cluster-deployer": {"clusterName": "cluster", "principalArn": DEPLOYER, "type": "STANDARD"},
        "cluster-karpenter-nodes": {
            "clusterName": "cluster",
            "principalArn": arn("iam_role", "cluster-karpenter-node-role"),
            "type": "EC2_LINUX",
        },
    }
    associations = recorded.typed("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")
    assert [resource.inputs for resource in associations] == [
        {
            "clusterName": "cluster",
            "principalArn": DEPLOYER,
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
            "accessScope": {"type": "cluster"},
        }
    ]


def subnets(recorded: Recorded) -> None:
    cidrs = {
        "private": ("10.0.0.0/18", "10.0.64.0/18", "10.0.128.0/18"),
        "public": ("10.0.192.0/20", "10.0.208.0/20", "10.0.224.0/20"),
    }
    roles = {
        "private": {"kubernetes.io/role/internal-elb": "1", "karpenter.sh/discovery": "cluster"},
        "public": {"kubernetes.io/role/elb": "1"},
    }
    expected = {
        f"cluster-{kind}-{letter}": {
            "vpcId": "${aws_vpc.cluster-vpc.id}",
            "availabilityZone": f"eu-west-1{letter}",
            "cidrBlock": cidr,
            "mapPublicIpOnLaunch": False,
            "tags": {**TAGS, **roles[kind], "Name": f"cluster-{kind}-eu-west-1{letter}"},
        }
        for kind, blocks in cidrs.items()
        for letter, cidr in zip("abc", blocks, strict=True)
    }
    assert {resource.name: resource.inputs for resource in recorded.typed("aws:ec2/subnet:Subnet")} == expected


def vpc(recorded: Recorded) -> None:
    assert plain(recorded, "cluster-vpc") == {
        "cidrBlock": "10.0.0.0/16",
        "enableDnsSupport": True,
        "enableDnsHostnames": True,
    }
    assert plain(recorded, "cluster-default-security-group") == {"vpcId": "${aws_vpc.cluster-vpc.id}"}
    assert recorded.inputs("cluster-endpoints") == {
        "vpcId": "${aws_vpc.cluster-vpc.id}",
        "description": "AWS endpoints: HTTPS from the VPC",
        "tags": {**TAGS, "Name": "cluster-endpoints"},
    }
    rules = recorded.typed("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert [plain(recorded, rule.name) for rule in rules] == [
        {
            "securityGroupId": "${aws_security_group.cluster-endpoints.id}",
            "cidrIpv4": "10.0.0.0/16",
            "ipProtocol": "tcp",
            "fromPort": 443,
            "toPort": 443,
        }
    ]


def endpoints(recorded: Recorded) -> None:
    common = {"vpcId": "${aws_vpc.cluster-vpc.id}"}
    expected = {
        f"cluster-endpoint-{service.replace('.', '-')}": {
            **common,
            "serviceName": f"com.amazonaws.eu-west-1.{service}",
            "vpcEndpointType": "Interface",
            "privateDnsEnabled": True,
            "subnetIds": SUBNETS,
            "securityGroupIds": ["${aws_security_group.cluster-endpoints.id}"],
        }
        for service in ("ecr.api", "ecr.dkr", "sts")
    }
    expected["cluster-endpoint-s3"] = {
        **common,
        "serviceName": "com.amazonaws.eu-west-1.s3",
        "vpcEndpointType": "Gateway",
        "routeTableIds": [f"${{aws_route_table.cluster-private-{letter}-routes.id}}" for letter in "abc"],
    }
    made = recorded.typed("aws:ec2/vpcEndpoint:VpcEndpoint")
    assert {resource.name: plain(recorded, resource.name) for resource in made} == expected


def routes(recorded: Recorded) -> None:
    found = {resource.name: resource.inputs for resource in recorded.typed("aws:ec2/route:Route")}
    everywhere = {"destinationCidrBlock": "0.0.0.0/0"}
    expected: dict[str, Any] = {
        f"cluster-private-{letter}-route": {
            **everywhere,
            "routeTableId": f"${{aws_route_table.cluster-private-{letter}-routes.id}}",
            "natGatewayId": f"${{aws_nat_gateway.cluster-nat-{letter}.id}}",
        }
        for letter in "abc"
    }
    expected["cluster-public-route"] = {
        **everywhere,
        "routeTableId": "${aws_route_table.cluster-public-routes.id}",
        "gatewayId": "${aws_internet_gateway.cluster-internet-gateway.id}",
    }
    assert found == expected
    pairs = {
        (resource.inputs["subnetId"], resource.inputs["routeTableId"])
        for resource in recorded.typed("aws:ec2/routeTableAssociation:RouteTableAssociation")
    }
    assert pairs == {
        *(
            (f"${{aws_subnet.cluster-private-{x}.id}}", f"${{aws_route_table.cluster-private-{x}-routes.id}}")
            for x in "abc"
        ),
        *((f"${{aws_subnet.cluster-public-{x}.id}}", "${aws_route_table.cluster-public-routes.id}") for x in "abc"),
    }


def _disk(device: str, size: int) -> dict[str, Any]:
    ebs = {"volumeSize": size, "volumeType": "gp3", "encrypted": "true", "deleteOnTermination": "true"}
    return {"deviceName": device, "ebs": ebs}


def launch_templates(recorded: Recorded) -> None:
    disks = {"base": [_disk("/dev/xvda", 50)], "gpu": [_disk("/dev/xvda", 4), _disk("/dev/xvdb", 100)]}
    for pool, devices in disks.items():
        tags = {**TAGS, "Name": f"cluster-{pool}"}
        assert plain(recorded, f"cluster-pool-{pool}-template") == {
            "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1},
            "blockDeviceMappings": devices,
            "tagSpecifications": [{"resourceType": kind, "tags": tags} for kind in ("instance", "volume")],
            "updateDefaultVersion": True,
        }


def node_groups(recorded: Recorded) -> None:
    common = {
        "clusterName": "cluster",
        "version": "1.35",
        "nodeRoleArn": arn("iam_role", "cluster-node-role"),
        "subnetIds": SUBNETS,
        "updateConfig": {"maxUnavailable": 1},
        "nodeRepairConfig": {"enabled": True},
    }
    assert plain(recorded, "cluster-pool-base") == {
        **common,
        "amiType": "AL2023_x86_64_STANDARD",
        "capacityType": "ON_DEMAND",
        "instanceTypes": ["m7i.large", "m7a.large"],
        "scalingConfig": {"minSize": 2, "maxSize": 6, "desiredSize": 2},
        "launchTemplate": {"id": "${aws_launch_template.cluster-pool-base-template.id}", "version": "1"},
    }
    assert plain(recorded, "cluster-pool-gpu") == {
        **common,
        "amiType": "BOTTLEROCKET_x86_64_NVIDIA",
        "capacityType": "SPOT",
        "instanceTypes": ["g6.xlarge"],
        "scalingConfig": {"minSize": 0, "maxSize": 4, "desiredSize": 0},
        "launchTemplate": {"id": "${aws_launch_template.cluster-pool-gpu-template.id}", "version": "1"},
        "labels": {"modelway.dev/gpu": "l4"},
        "taints": [
            {"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"},
            {"key": "team", "value": "vision", "effect": "NO_EXECUTE"},
        ],
    }


def addons(recorded: Recorded) -> None:
    identities = {"vpc-cni": "aws-node", "aws-ebs-csi-driver": "ebs-csi-controller-sa"}
    names = ("eks-pod-identity-agent", "kube-proxy", "vpc-cni", "coredns", "aws-ebs-csi-driver", "metrics-server")
    for name in names:
        expected: dict[str, Any] = {
            "clusterName": "cluster",
            "addonName": name,
            "addonVersion": f"v1-{name}",
            "resolveConflictsOnCreate": "OVERWRITE",
            "resolveConflictsOnUpdate": "OVERWRITE",
        }
        if name in identities:
            role = arn("iam_role", f"cluster-{name}-role")
            expected["podIdentityAssociations"] = [{"roleArn": role, "serviceAccount": identities[name]}]
        if name == "vpc-cni":
            expected["configurationValues"] = '{"enableNetworkPolicy": "true"}'
        assert plain(recorded, f"cluster-addon-{name}") == expected
    assert recorded.names("aws:eks/addon:Addon") == sorted(f"cluster-addon-{name}" for name in names)


SUBJECTS = {
    "vpc-cni": ("kube-system", "aws-node"),
    "aws-ebs-csi-driver": ("kube-system", "ebs-csi-controller-sa"),
    "karpenter": ("kube-system", "karpenter"),
    "load-balancer": ("kube-system", "aws-load-balancer-controller"),
    "cert-manager": ("cert-manager", "cert-manager"),
    "external-dns": ("external-dns", "external-dns"),
}


def trusts(recorded: Recorded) -> None:
    expected = {f"cluster-{role}-role": iam.pod_trust(CLUSTER_ARN, *subject) for role, subject in SUBJECTS.items()}
    for role in ("node", "karpenter-node"):
        expected[f"cluster-{role}-role"] = iam.service_trust("ec2.amazonaws.com")
    actions = ("sts:AssumeRole", "sts:TagSession")
    expected["cluster-control-plane-role"] = iam.service_trust("eks.amazonaws.com", actions)
    expected["cluster-flow-logs-role"] = iam.service_trust("vpc-flow-logs.amazonaws.com", account=ACCOUNT)
    roles = recorded.typed("aws:iam/role:Role")
    found = {resource.name: policy(recorded, resource.name, "assumeRolePolicy") for resource in roles}
    assert found == expected
    assert {key for resource in roles for key in resource.inputs} == {"assumeRolePolicy", "tags"}


def permissions(recorded: Recorded) -> None:
    managed = {
        (resource.inputs["role"], resource.inputs["policyArn"].removeprefix("arn:aws:iam::aws:policy/"))
        for resource in recorded.typed("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    }
    nodes = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
    assert managed == {
        ("${aws_iam_role.cluster-control-plane-role.name}", "AmazonEKSClusterPolicy"),
        ("${aws_iam_role.cluster-vpc-cni-role.name}", "AmazonEKS_CNI_Policy"),
        ("${aws_iam_role.cluster-aws-ebs-csi-driver-role.name}", "service-role/AmazonEBSCSIDriverPolicy"),
        *(
            (f"${{aws_iam_role.cluster-{role}-role.name}}", name)
            for role in ("node", "karpenter-node")
            for name in nodes
        ),
    }
    zones = ["Z0123456789ABC"]
    node, profile = arn("iam_role", "cluster-karpenter-node-role"), "cluster-karpenter-node-profile"
    queue = arn("sqs_queue", "cluster-interruptions")
    expected = {
        "control-plane": iam.secrets_key_use(arn("kms_key", "cluster-secrets-key")),
        "flow-logs": iam.flow_logs_delivery(arn("cloudwatch_log_group", "cluster-flow-logs")),
        "karpenter": iam_karpenter.controller(
            "cluster", REGION, ACCOUNT, node, arn("iam_instance_profile", profile), queue
        ),
        "load-balancer": iam_load_balancer.controller("cluster", REGION, ACCOUNT),
        "cert-manager": iam.dns_challenges(zones),
        "external-dns": iam.dns_records(zones),
    }
    found = {
        resource.name: (resource.inputs["role"], policy(recorded, resource.name))
        for resource in recorded.typed("aws:iam/rolePolicy:RolePolicy")
    }
    assert found == {
        f"cluster-{role}-policy": (f"${{aws_iam_role.cluster-{role}-role.name}}", document)
        for role, document in expected.items()
    }


def identities(recorded: Recorded) -> None:
    made = recorded.typed("aws:eks/podIdentityAssociation:PodIdentityAssociation")
    assert {resource.name: plain(recorded, resource.name) for resource in made} == {
        f"cluster-{role}-identity": {
            "clusterName": "cluster",
            "namespace": SUBJECTS[role][0],
            "serviceAccount": SUBJECTS[role][1],
            "roleArn": arn("iam_role", f"cluster-{role}-role"),
        }
        for role in ("karpenter", "load-balancer", "cert-manager", "external-dns")
    }
    assert plain(recorded, "cluster-karpenter-node-profile") == {
        "role": "${aws_iam_role.cluster-karpenter-node-role.name}"
    }


def interruptions(recorded: Recorded) -> None:
    assert plain(recorded, "cluster-interruptions") == {
        "name": "cluster-karpenter",
        "messageRetentionSeconds": 300,
        "sqsManagedSseEnabled": True,
    }
    patterns = {
        "health": {"source": ["aws.health"], "detail-type": ["AWS Health Event"]},
        "spot": {"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]},
        "rebalance": {"source": ["aws.ec2"], "detail-type": ["EC2 Instance Rebalance Recommendation"]},
        "state": {"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"]},
        "capacity": {
            "source": ["aws.ec2"],
            "detail-type": ["EC2 Capacity Reservation Instance Interruption Warning"],
        },
    }
    for event, pattern in patterns.items():
        assert policy(recorded, f"cluster-interruption-{event}", "eventPattern") == pattern
        assert recorded.inputs(f"cluster-interruption-{event}-target") == {
            "rule": f"${{aws_cloudwatch_event_rule.cluster-interruption-{event}.name}}",
            "arn": arn("sqs_queue", "cluster-interruptions"),
            "targetId": "karpenter",
        }
    rules = [arn("cloudwatch_event_rule", f"cluster-interruption-{event}") for event in patterns]
    assert recorded.inputs("cluster-interruptions-policy")["queueUrl"] == "${aws_sqs_queue.cluster-interruptions.url}"
    document = iam_karpenter.interruption_queue(arn("sqs_queue", "cluster-interruptions"), rules)
    assert policy(recorded, "cluster-interruptions-policy") == document


def repositories(recorded: Recorded) -> None:
    for image in ("breast-cancer", "model-server"):
        assert plain(recorded, f"registry-{image}-repository") == {
            "name": f"modelway/{image}",
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": arn("kms_key", "registry-key")}],
            "forceDelete": False,
        }
        assert recorded.inputs(f"registry-{image}-policy")["repository"] == f"modelway/{image}"
        document = ecr_policies.repository(REGISTRY["pull_role_arns"], PUSHER)
        assert policy(recorded, f"registry-{image}-policy") == document
        assert recorded.inputs(f"registry-{image}-lifecycle")["repository"] == f"modelway/{image}"
        assert policy(recorded, f"registry-{image}-lifecycle") == ecr_policies.lifecycle()
    inputs = plain(recorded, "registry-key")
    assert json.loads(inputs.pop("policy")) == ecr_policies.key(ACCOUNT)
    assert inputs == {"enableKeyRotation": True, "deletionWindowInDays": 30}


CLUSTER_CHECKS = (
    *(control_plane, keys, logs, access, subnets, vpc, endpoints, routes, launch_templates, node_groups),
    *(addons, trusts, permissions, identities, interruptions),
)
REGISTRY_CHECKS = (repositories,)
