"""What tests ask of a schema for other languages."""

from collections.abc import Mapping
from typing import Any


def undescribed(schema: Mapping[str, Any]) -> list[str]:
    """Properties without a description, as `TOKEN.NAME`."""
    return [
        f"{token}.{name}"
        for section in ("resources", "types")
        for token, body in schema[section].items()
        for part in ("inputProperties", "properties")
        for name, definition in body.get(part, {}).items()
        if not definition.get("description")
    ]
