"""Writes recorded inputs of cloud resources as Terraform, which judges that are not ours can read.

`pulumi_aws` and `pulumi_gcp` are bridged from Terraform's providers: names differ by case, blocks of at most one element
are plain objects there, and some repeated blocks have a plural name. HCL and not its JSON form, because checkov leaves the
policies of the latter unjudged (3.3.30: 165 checks against 195 for the same resources).
"""

import json
import re
from collections.abc import Collection, Iterable
from typing import Any

from tests.unit.cloud_testing import Resource, snake, terraform_type

ACCOUNT = "111122223333"
BLOCKS = {
    "encryptionConfigurations": "encryption_configuration",
    "podIdentityAssociations": "pod_identity_association",
    "taints": "taint",
    "cidrBlocks": "cidr_blocks",
    "cleanupPolicies": "cleanup_policies",
    "denies": "deny",
    "guestAccelerators": "guest_accelerator",
    "secondaryIpRanges": "secondary_ip_range",
    "subnetworks": "subnetwork",
}
"""Repeated blocks that Pulumi names in the plural."""

DOCUMENTS = ("policy", "assumeRolePolicy")
"""Texts that hold a policy; Terraform writes them as `jsonencode(...)`."""

MAPS = ("tags", "labels", "resourceLabels", "metadata", "attributeMapping", "dimensions", "userLabels")
"""Maps whose keys are the user's."""

SECRET = "4dabf18193072939515e22adb298388d"
"""Key of the engine's signatures, here always that of a secret."""

REFERENCE = re.compile(r"\$\{((?:aws|google)_\w+)\.([\w-]+)\.(\w+)\}")


def write(resources: Iterable[Resource], protected: Collection[str] = ()) -> str:
    """One Terraform module of all cloud resources; the engine deletes none of the `protected`."""
    lines: list[str] = []
    for resource in resources:
        if resource.typ.startswith(("aws:", "gcp:")):
            body = {key: value for key, value in resource.inputs.items() if value is not None}
            if resource.name in protected:
                body["lifecycle"] = {"preventDestroy": True}
            lines += _block(f'resource "{terraform_type(resource.typ)}" "{resource.name}"', body, "")
    return "\n".join(lines) + "\n"


def _block(head: str, body: dict[str, Any], indent: str) -> list[str]:
    lines = [f"{indent}{head} {{"]
    for key, given in body.items():
        name, value = BLOCKS.get(key) or snake(key), _revealed(given)
        if isinstance(value, dict) and key not in MAPS:
            lines += _block(name, value, f"{indent}  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                lines += _block(name, item, f"{indent}  ")
        elif key in DOCUMENTS and isinstance(value, str):
            lines.append(f"{indent}  {name} = jsonencode({_literal(json.loads(arns(value)))})")
        else:
            lines.append(f"{indent}  {name} = {_literal(value)}")
    return [*lines, f"{indent}}}"]


def _revealed(value: Any) -> Any:
    """What the engine marks as a secret, without the mark."""
    return value["value"] if isinstance(value, dict) and SECRET in value else value


def arns(document: str) -> str:
    """ARNs for references, which checkov cannot follow inside a policy."""
    return REFERENCE.sub(lambda found: f"arn:aws:x:eu-west-1:{ACCOUNT}:{found[1]}/{found[2]}", document)


def _literal(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str) and REFERENCE.fullmatch(value):
        return value[2:-1]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return json.dumps(value)
