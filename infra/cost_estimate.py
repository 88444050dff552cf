"""What a month of previewed resources costs, from their types and inputs alone; pure.

A resource that is paid by what flows through it (logs, images, requests, traffic) is named and not estimated: nothing
here guesses a load. What has no price is named as well: a sum never hides that it lacks something.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.cost_prices import Price, PriceBook

HOURS = 730.0
"""Of an average month, as the clouds' own calculators count."""
SECONDS = HOURS * 3600


@dataclass(frozen=True)
class Resource:
    """One resource as a preview shows it; an input that is not known yet is whatever the engine puts in its place."""

    type: str
    name: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """Something of a resource that is paid by the unit: from the number that it starts with to the greatest one."""

    group: str
    key: str
    least: float
    most: float
    what: str


@dataclass(frozen=True)
class Line:
    """One priced part of one resource."""

    group: str
    resource: str
    what: str
    price: Price
    least: float
    """Units a month."""
    most: float

    @property
    def least_usd(self) -> float:
        """A month with as much as it starts with."""
        return self.least * self.price.usd

    @property
    def most_usd(self) -> float:
        """A month with as much as it may grow to."""
        return self.most * self.price.usd


@dataclass(frozen=True)
class Estimate:
    """A month's list prices."""

    lines: tuple[Line, ...] = ()
    without: tuple[str, ...] = ()
    """What nobody read a price of."""
    by_use: tuple[str, ...] = ()
    """What is paid by use."""

    @property
    def least_usd(self) -> float:
        """A month with the nodes that the stack starts with."""
        return sum(line.least_usd for line in self.lines)

    @property
    def most_usd(self) -> float:
        """A month with as many nodes as its pools may have."""
        return sum(line.most_usd for line in self.lines)

    def groups(self) -> dict[str, tuple[float, float]]:
        """Sums by group."""
        found: dict[str, tuple[float, float]] = {}
        for line in self.lines:
            least, most = found.get(line.group, (0.0, 0.0))
            found[line.group] = (least + line.least_usd, most + line.most_usd)
        return found

    def per_1000_predictions(self, requests_per_second: float) -> float:
        """What a thousand predictions cost at this load, with the nodes that the stack starts with."""
        return self.least_usd / (requests_per_second * SECONDS) * 1000


@dataclass
class _Found:
    parts: list[Part] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    by_use: list[str] = field(default_factory=list)

    def add(self, group: str, key: str, least: float, most: float | None = None, what: str = "") -> None:
        if most is None:
            most = least
        if most > 0:
            self.parts.append(Part(group, key, least, most, what or key.partition("/")[2]))


Inputs = Mapping[str, Any]
Others = Mapping[tuple[str, str], Inputs]
Rule = Callable[[_Found, str, Inputs, Others], None]


def estimate(resources: Sequence[Resource], region: str, prices: PriceBook) -> Estimate:
    """A month of these resources in this region."""
    others = {(resource.type, resource.name): resource.inputs for resource in resources}
    lines: list[Line] = []
    without: dict[str, None] = {}
    by_use: dict[str, None] = {}
    for resource in resources:
        found = _parts(resource, others)
        for part in found.parts:
            price = prices.find(part.key, region)
            if price is None:
                without[f"{part.what} in {region}"] = None
            else:
                lines.append(Line(part.group, resource.name, part.what, price, part.least, part.most))
        without.update(dict.fromkeys(found.without))
        by_use.update(dict.fromkeys(found.by_use))
    return Estimate(tuple(lines), tuple(without), tuple(by_use))


def keys(resources: Sequence[Resource]) -> set[str]:
    """What a price is needed of."""
    others = {(resource.type, resource.name): resource.inputs for resource in resources}
    return {part.key for resource in resources for part in _parts(resource, others).parts}


def _parts(resource: Resource, others: Others) -> _Found:
    found = _Found()
    if rule := RULES.get(resource.type):
        rule(found, resource.name, resource.inputs, others)
    elif use := BY_USE.get(resource.type):
        found.by_use.append(use)
    elif resource.type.startswith(("aws:", "gcp:")) and not _free(resource.type):
        found.without.append(resource.type)
    return found


def _number(value: Any, default: float = 0.0) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _eks(found: _Found, name: str, inputs: Inputs, others: Others) -> None:
    found.add("control plane", "eks/cluster", HOURS, what="EKS control plane")
    if _at(inputs, "upgradePolicy").get("supportType") == "EXTENDED":
        found.without.append("extended support of an old Kubernetes version")
    if _at(inputs, "computeConfig").get("enabled"):
        found.without.append("nodes that Auto Mode makes")
    identity = name.removesuffix("-control-plane") + "-karpenter-identity"
    if ("aws:eks/podIdentityAssociation:PodIdentityAssociation", identity) in others:
        found.without.append("nodes that Karpenter adds")


def _eks_pool(found: _Found, name: str, inputs: Inputs, others: Others) -> None:
    scaling = _at(inputs, "scalingConfig")
    least, most = _number(scaling.get("minSize")), _number(scaling.get("maxSize"))
    if inputs.get("capacityType") == "SPOT":
        found.without.append(f"spot nodes of {name}, whose price moves")
    else:
        # On demand, EKS takes the first type that it gets.
        kind = str((_list(inputs, "instanceTypes") or ["?"])[0])
        found.add("nodes", f"machine/{kind}", least * HOURS, most * HOURS)
    template = others.get(("aws:ec2/launchTemplate:LaunchTemplate", f"{name}-template"), {})
    for mapping in _list(template, "blockDeviceMappings"):
        disk = _at(mapping, "ebs")
        size = _number(disk.get("volumeSize"))
        key = f"disk/{disk.get('volumeType', 'gp3')}"
        found.add("disks", key, least * size, most * size, f"{key.partition('/')[2]} disks of nodes")


def _nat(found: _Found, _name: str, _inputs: Inputs, _others: Others) -> None:
    found.add("network", "nat/gateway", HOURS, what="NAT gateway")
    found.by_use.append("traffic through NAT")


def _address(found: _Found, _name: str, _inputs: Inputs, _others: Others) -> None:
    found.add("network", "address/public", HOURS, what="public IPv4 addresses")


def _endpoint(found: _Found, _name: str, inputs: Inputs, _others: Others) -> None:
    if inputs.get("vpcEndpointType") == "Interface":
        zones = len(_list(inputs, "subnetIds"))
        found.add("network", "endpoint/interface", zones * HOURS, what="interface endpoints")
        found.by_use.append("traffic through endpoints")


def _aws_key(found: _Found, _name: str, _inputs: Inputs, _others: Others) -> None:
    found.add("keys", "kms/key", 1, what="KMS keys")
    found.by_use.append("requests to keys")


def _gke(found: _Found, _name: str, inputs: Inputs, _others: Others) -> None:
    found.add("control plane", "gke/cluster", HOURS, what="GKE management fee")
    if inputs.get("enableAutopilot"):
        found.without.append("pods, which Autopilot bills")


def _gke_pool(found: _Found, name: str, inputs: Inputs, others: Others) -> None:
    scaling, node = _at(inputs, "autoscaling"), _at(inputs, "nodeConfig")
    least, most = _number(scaling.get("totalMinNodeCount")), _number(scaling.get("totalMaxNodeCount"))
    if node.get("spot"):
        found.without.append(f"spot nodes of {name}, whose price moves")
    else:
        found.add("nodes", f"machine/{node.get('machineType')}", least * HOURS, most * HOURS)
    kind = node.get("diskType")
    if kind is None:
        found.without.append(f"disks of {name}, whose type GKE chooses")
    else:
        size = _number(node.get("diskSizeGb"))
        found.add("disks", f"disk/{kind}", least * size, most * size, f"{kind} disks of nodes")
    if any(kind_ == "gcp:compute/routerNat:RouterNat" for kind_, _ in others):
        found.add("network", "nat/vm", least * HOURS, most * HOURS, "Cloud NAT, by node")


def _cloud_nat(found: _Found, _name: str, _inputs: Inputs, _others: Others) -> None:
    found.by_use.append("traffic through NAT")


def _gcp_key(found: _Found, _name: str, _inputs: Inputs, _others: Others) -> None:
    found.add("keys", "kms/version", 1, what="first versions of keys")
    found.by_use.append("requests to keys")


def _claim(found: _Found, name: str, inputs: Inputs, _others: Others) -> None:
    found.without.append(f"volume of {_at(inputs, 'metadata').get('name', name)}")


def _proxy(found: _Found, _name: str, inputs: Inputs, others: Others) -> None:
    """Envoy Gateway makes the Service of the load balancer from this object."""
    service = _at(inputs, "spec", "provider", "kubernetes", "envoyService")
    if service.get("type", "LoadBalancer") == "LoadBalancer":
        _balancer(found, others)


def _service(found: _Found, _name: str, inputs: Inputs, others: Others) -> None:
    if _at(inputs, "spec").get("type") == "LoadBalancer":
        _balancer(found, others)


def _balancer(found: _Found, others: Others) -> None:
    google = any(kind.startswith("gcp:") for kind, _ in others)
    key = "balancer/rule" if google else "balancer/network"
    found.add("load balancer", key, HOURS, what="forwarding rule" if google else "network load balancer")
    found.by_use.append("traffic through the load balancer")


def _at(value: Any, *path: str) -> Mapping[str, Any]:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _list(inputs: Inputs, key: str) -> list[Any]:
    value = inputs.get(key)
    return value if isinstance(value, list) else []


RULES: Mapping[str, Rule] = {
    "aws:ec2/eip:Eip": _address,
    "aws:ec2/natGateway:NatGateway": _nat,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:eks/cluster:Cluster": _eks,
    "aws:eks/nodeGroup:NodeGroup": _eks_pool,
    "aws:kms/key:Key": _aws_key,
    "gcp:compute/routerNat:RouterNat": _cloud_nat,
    "gcp:container/cluster:Cluster": _gke,
    "gcp:container/nodePool:NodePool": _gke_pool,
    "gcp:kms/cryptoKey:CryptoKey": _gcp_key,
    "kubernetes:core/v1:PersistentVolumeClaim": _claim,
    "kubernetes:core/v1:Service": _service,
    "kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy": _proxy,
}

BY_USE: Mapping[str, str] = {
    "aws:amp/workspace:Workspace": "samples and queries of the workspace",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "alarms and figures of CloudWatch",
    "aws:cloudwatch/logGroup:LogGroup": "logs by the GB",
    "aws:ec2/flowLog:FlowLog": "logs by the GB",
    "aws:ecr/repository:Repository": "images by the GB",
    "aws:sqs/queue:Queue": "messages about nodes",
    "aws:sns/topic:Topic": "messages of topics",
    "gcp:artifactregistry/repository:Repository": "images by the GB",
    "gcp:monitoring/alertPolicy:AlertPolicy": "samples and alerts of Cloud Monitoring",
}

FREE = (
    *("aws:amp/alertManagerDefinition:", "aws:amp/ruleGroupNamespace:", "aws:amp/workspaceConfiguration:"),
    *("aws:cloudwatch/eventRule:", "aws:cloudwatch/eventTarget:", "aws:ec2/defaultSecurityGroup:"),
    *("aws:ec2/internetGateway:", "aws:ec2/launchTemplate:", "aws:ec2/route", "aws:ec2/securityGroup"),
    *("aws:ec2/subnet:", "aws:ec2/vpc:", "aws:ecr/lifecyclePolicy:", "aws:ecr/repositoryPolicy:"),
    *("aws:eks/access", "aws:eks/addon:", "aws:eks/podIdentityAssociation:", "aws:iam/", "aws:kms/alias:"),
    *("aws:sns/topicPolicy:", "aws:sns/topicSubscription:", "gcp:monitoring/notificationChannel:"),
    *("aws:sqs/queuePolicy:", "aws:vpc/securityGroup", "gcp:artifactregistry/repositoryIam"),
    *("gcp:compute/firewall:", "gcp:compute/network:", "gcp:compute/router:", "gcp:compute/subnetwork:"),
    *("gcp:iam/", "gcp:kms/cryptoKeyIAM", "gcp:kms/keyRing:", "gcp:projects/", "gcp:serviceaccount/"),
)
"""First parts of types that nobody is billed for by themselves; any other type that no rule knows is named."""


def _free(kind: str) -> bool:
    return kind.startswith(FREE)
