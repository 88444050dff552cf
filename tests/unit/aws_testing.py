"""Records what the AWS components register, in preview and in up; ids and ARNs are Terraform references."""

import asyncio
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pulumi
from pulumi.runtime import mocks

with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):
    # pulumi_aws 7.51.1 warns of its own modules when it is imported, and tests take warnings for errors.
    import pulumi_aws as aws
    from modelway.cluster.eks import EksCluster, node_pools
    from modelway.registry.ecr import EcrRegistry

    for _part in (aws.cloudwatch, aws.ec2, aws.ecr, aws.eks, aws.iam, aws.kms, aws.sqs, aws.vpc):
        dir(_part)

__all__ = ["EcrRegistry", "EksCluster", "aws", "node_pools"]

ACCOUNT = "111122223333"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/deployer"
PUSHER = f"arn:aws:iam::{ACCOUNT}:role/ci-up"
UNKNOWN = "unknown"

PRODUCTION: dict[str, Any] = {
    "region": "eu-west-1",
    "deployer_role_arn": DEPLOYER,
    "kubernetes_version": "1.35",
    "production": True,
    "api_access": {"vpc": True},
    "network": {"zones": ["eu-west-1a", "eu-west-1b", "eu-west-1c"]},
    "node_pools": [
        {"name": "base", "instance_types": ["m7i.large", "m7a.large"], "min_size": 2, "max_size": 6},
        {
            "name": "gpu",
            "instance_types": ["g6.xlarge"],
            "min_size": 0,
            "max_size": 4,
            "spot": True,
            "os": "bottlerocket",
            "disk_gb": 100,
            "labels": {"modelway.dev/gpu": "l4"},
            "taints": ["team=vision:NoExecute"],
        },
    ],
    "dns_zone_ids": ["Z0123456789ABC"],
}
REGISTRY: dict[str, Any] = {
    "region": "eu-west-1",
    "repositories": ["breast-cancer", "model-server"],
    "pull_role_arns": [f"arn:aws:iam::{ACCOUNT}:role/node"],
    "push_role_arn": PUSHER,
    "production": True,
}

COMPUTED = {
    "aws:kms/key:Key": ("arn", "keyId"),
    "aws:iam/role:Role": ("arn", "name"),
    "aws:iam/instanceProfile:InstanceProfile": ("arn", "name"),
    "aws:cloudwatch/logGroup:LogGroup": ("arn",),
    "aws:cloudwatch/eventRule:EventRule": ("arn", "name"),
    "aws:sqs/queue:Queue": ("arn", "url"),
    "aws:eks/cluster:Cluster": ("arn", "endpoint"),
    "aws:ec2/launchTemplate:LaunchTemplate": (),
    "aws:ecr/repository:Repository": ("arn",),
}
"""Outputs that exist only after a creation."""


def snake(name: str) -> str:
    """`vpcConfig` as `vpc_config`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def terraform_type(token: str) -> str:
    """Terraform's name of a Pulumi type: `aws:kms/key:Key` is `aws_kms_key`; EC2's and some others have no prefix."""
    module, _, name = token.removeprefix("aws:").partition("/")
    kind = snake(name.rpartition(":")[2])
    special = {
        ("cloudwatch", "log_group"): "aws_cloudwatch_log_group",
        ("cloudwatch", "event_rule"): "aws_cloudwatch_event_rule",
        ("cloudwatch", "event_target"): "aws_cloudwatch_event_target",
        ("vpc", "security_group_ingress_rule"): "aws_vpc_security_group_ingress_rule",
    }
    if (module, kind) in special:
        return special[module, kind]
    return f"aws_{kind}" if module in ("ec2", "vpc") else f"aws_{module}_{kind}"


@dataclass
class Resource:
    """One registration."""

    typ: str
    name: str
    inputs: dict[str, Any]

    @property
    def address(self) -> str:
        return f"{terraform_type(self.typ)}.{self.name}"


@dataclass
class Recorded:
    """What a program registered, with the engine's options that matter here."""

    resources: list[Resource]
    urns: list[str] = field(default_factory=list)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def of(self, name: str) -> Resource:
        (found,) = [resource for resource in self.resources if resource.name == name]
        return found

    def inputs(self, name: str) -> dict[str, Any]:
        return self.of(name).inputs

    def names(self, typ: str) -> list[str]:
        return sorted(resource.name for resource in self.resources if resource.typ == typ)

    def typed(self, typ: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.typ == typ]

    def counts(self) -> dict[str, int]:
        kinds = [resource.typ for resource in self.resources]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


class _Recorder(pulumi.runtime.Mocks):
    def __init__(self, preview: bool) -> None:
        self.preview = preview
        self.resources: list[Resource] = []
        self.calls: list[str] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        resource = Resource(args.typ, args.name, _plain(args.inputs))
        self.resources.append(resource)
        state = dict(args.inputs)
        if self.preview:
            return "", state
        address = resource.address
        for output in COMPUTED.get(args.typ, ()):
            state.setdefault(output, f"${{{address}.{snake(output)}}}")
        if args.typ == "aws:eks/cluster:Cluster":
            state["certificateAuthority"] = {"data": "Q0E="}
        if args.typ == "aws:ec2/launchTemplate:LaunchTemplate":
            state["latestVersion"] = 1
        return f"${{{address}.id}}", state

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        self.calls.append(f"{args.token}({args.args.get('addonName')})")
        if args.token == "aws:eks/getAddonVersion:getAddonVersion":
            return {**args.args, "version": f"v1-{args.args['addonName']}", "id": "x"}
        raise AssertionError(f"unexpected call {args.token}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else UNKNOWN


class _Monitor(mocks.MockMonitor):
    def __init__(self, recorder: _Recorder) -> None:
        super().__init__(recorder)
        self.options: dict[str, dict[str, Any]] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        self.options[request.name] = {
            "parent": request.parent.rpartition("::")[2],
            "protect": request.protect,
            "deleted_with": request.deletedWith.rpartition("::")[2],
            "depends_on": sorted(urn.rpartition("::")[2] for urn in request.dependencies),
            "ignore_changes": list(request.ignoreChanges),
            "replace_with": [urn.rpartition("::")[2] for urn in request.replace_with],
        }
        return super().RegisterResource(request)


@contextmanager
def _loops() -> Iterator[None]:
    """The SDK's mock monitor makes an event loop in each worker thread and never closes one."""
    made: list[asyncio.AbstractEventLoop] = []
    make_loop = asyncio.new_event_loop

    def recorded_loop() -> asyncio.AbstractEventLoop:
        made.append(make_loop())
        return made[-1]

    asyncio.new_event_loop = recorded_loop
    asyncio.set_event_loop(asyncio.new_event_loop())
    try:
        yield
    finally:
        asyncio.new_event_loop = make_loop
        asyncio.set_event_loop(None)
        for loop in made:
            loop.close()


def record(program: Callable[[], object], preview: bool = False) -> Recorded:
    """What a program registers."""
    # Text made of an output by accident raises.
    with _loops(), mock.patch.dict(os.environ, {"PULUMI_ERROR_OUTPUT_STRING": "true"}):
        recorder = _Recorder(preview)
        monitor = _Monitor(recorder)
        pulumi.runtime.set_mocks(recorder, project="modelway", stack="test", preview=preview, monitor=monitor)

        def wrapped() -> None:
            program()

        try:
            pulumi.runtime.test(wrapped)()
        finally:
            pulumi.runtime.settings.reset_options()
    # The SDK registers in no fixed order.
    resources = sorted(recorder.resources, key=lambda resource: (resource.name, resource.typ))
    urns = sorted(monitor.get_registered_resources())
    return Recorded(resources, urns, monitor.options, sorted(recorder.calls))


def without(*keys: str, **changes: Any) -> dict[str, Any]:
    """The production cluster's arguments, less `keys`, with changes."""
    return {**{key: value for key, value in PRODUCTION.items() if key not in keys}, **changes}


def cluster(args: dict[str, Any] = PRODUCTION, preview: bool = False, name: str = "cluster") -> Recorded:
    """What a cluster registers."""
    return record(lambda: EksCluster(name, args), preview)  # type: ignore[arg-type]


def registry(args: dict[str, Any] = REGISTRY, preview: bool = False) -> Recorded:
    """What a registry registers."""
    return record(lambda: EcrRegistry("registry", args), preview)  # type: ignore[arg-type]
