"""Records what a cloud's components register, in preview and in up; ids are Terraform references."""

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pulumi
from pulumi.runtime import mocks

UNKNOWN = "unknown"


def snake(name: str) -> str:
    """`vpcConfig` as `vpc_config`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


AWS_TYPES = {
    "aws:amp/alertManagerDefinition:AlertManagerDefinition": "aws_prometheus_alert_manager_definition",
    "aws:amp/ruleGroupNamespace:RuleGroupNamespace": "aws_prometheus_rule_group_namespace",
    "aws:amp/workspace:Workspace": "aws_prometheus_workspace",
    "aws:amp/workspaceConfiguration:WorkspaceConfiguration": "aws_prometheus_workspace_configuration",
    "aws:cloudwatch/logGroup:LogGroup": "aws_cloudwatch_log_group",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "aws_iam_openid_connect_provider",
    "aws:cloudwatch/eventRule:EventRule": "aws_cloudwatch_event_rule",
    "aws:cloudwatch/eventTarget:EventTarget": "aws_cloudwatch_event_target",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "aws_vpc_security_group_ingress_rule",
}
GOOGLE_TYPES = {
    "gcp:artifactregistry/repository:Repository": "google_artifact_registry_repository",
    "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding": "google_artifact_registry_repository_iam_binding",
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": "google_kms_crypto_key_iam_member",
    "gcp:dns/dnsManagedZoneIamMember:DnsManagedZoneIamMember": "google_dns_managed_zone_iam_member",
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": "google_iam_workload_identity_pool",
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": "google_iam_workload_identity_pool_provider",
    "gcp:projects/iAMCustomRole:IAMCustomRole": "google_project_iam_custom_role",
    "gcp:projects/iAMMember:IAMMember": "google_project_iam_member",
    "gcp:projects/service:Service": "google_project_service",
    "gcp:projects/serviceIdentity:ServiceIdentity": "google_project_service_identity",
    "gcp:serviceaccount/account:Account": "google_service_account",
    "gcp:serviceaccount/iAMBinding:IAMBinding": "google_service_account_iam_binding",
    "gcp:storage/bucketIAMMember:BucketIAMMember": "google_storage_bucket_iam_member",
}
"""Terraform's names where they do not follow from Pulumi's."""


def terraform_type(token: str) -> str:
    """Terraform's name of a Pulumi type: `aws:kms/key:Key` is `aws_kms_key`; EC2's have no prefix."""
    if found := AWS_TYPES.get(token) or GOOGLE_TYPES.get(token):
        return found
    cloud, _, rest = token.partition(":")
    module, _, name = rest.partition("/")
    kind = snake(name.rpartition(":")[2])
    if cloud == "gcp":
        return f"google_{module}_{kind}"
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


@dataclass(frozen=True)
class Cloud:
    """How a cloud answers."""

    computed: Mapping[str, tuple[str, ...]]
    """Outputs that exist only after a creation, by type; each is a reference to itself."""
    states: Mapping[str, Mapping[str, Any]]
    """Other outputs that only a creation gives, by type."""
    call: Callable[[mocks.MockCallArgs], tuple[str, dict[str, Any]]]
    """What was asked, and the answer; a `LookupError` is a question that the cloud refuses."""


class _Recorder(pulumi.runtime.Mocks):
    def __init__(self, cloud: Cloud, preview: bool) -> None:
        self.cloud = cloud
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
        for output in self.cloud.computed.get(args.typ, ()):
            state.setdefault(output, f"${{{address}.{snake(output)}}}")
        for output, value in self.cloud.states.get(args.typ, {}).items():
            state[output] = value
        return f"${{{address}.id}}", state

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any] | tuple[dict[str, Any], list[tuple[str, str]] | None]:
        try:
            asked, answer = self.cloud.call(args)
        except LookupError as error:
            return {}, [("", str(error))]
        self.calls.append(asked)
        return answer


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


def record(cloud: Cloud, program: Callable[[], object], preview: bool = False) -> Recorded:
    """What a program registers."""
    # Text made of an output by accident raises.
    with _loops(), mock.patch.dict(os.environ, {"PULUMI_ERROR_OUTPUT_STRING": "true"}):
        recorder = _Recorder(cloud, preview)
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


def behind(recorded: Recorded, name: str) -> set[str]:
    """All that a resource waits for, directly or not."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        for other in recorded.options.get(todo.pop(), {}).get("depends_on", []):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def chain(recorded: Recorded, name: str, known: dict[str, list[str]] | None = None) -> list[str]:
    """The longest way to a resource, counted in resources."""
    known = {} if known is None else known
    if name not in known:
        ways = [chain(recorded, other, known) for other in recorded.options.get(name, {}).get("depends_on", [])]
        known[name] = [*max(ways, key=len, default=[]), name]
    return known[name]
