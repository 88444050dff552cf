"""From the engine's protocol to plain objects."""

from typing import Any

from google.protobuf import struct_pb2

from modelway_policies.objects import UNKNOWN

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - marks a secret, and is none
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
"""Unknown values by their type (sdk/go/common/resource/plugin/rpc.go of Pulumi)."""


def kind_of(token: str) -> str | None:
    """Kind of a resource of the Kubernetes provider; None for others, and for patches of objects."""
    provider, _, rest = token.partition(":")
    version, _, kind = rest.partition(":")
    # A patch holds a part of an object, and the rest of it is not here to be judged.
    return kind if provider == "kubernetes" and "/" in version and not kind.endswith("Patch") else None


def plain(value: Any) -> Any:
    """A protobuf Struct, list or Value as plain data; secrets are opened, unknown values become `UNKNOWN`."""
    if isinstance(value, struct_pb2.Struct):
        fields = value.fields
        if _SIGNATURE not in fields:
            return {name: plain(item) for name, item in fields.items()}
        if fields[_SIGNATURE].string_value in (_SECRET, _OUTPUT):
            return plain(fields["value"]) if "value" in fields else UNKNOWN
        return None  # Assets, archives and references to resources are no part of a Kubernetes object.
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain(value.struct_value)
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind in (None, "null_value"):
        return None
    found = getattr(value, kind)
    if isinstance(found, float) and found.is_integer():
        return int(found)
    return UNKNOWN if kind == "string_value" and found in _UNKNOWN else found
