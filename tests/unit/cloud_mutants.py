"""Takes one property at a time away from a recording."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.unit.cloud_testing import Recorded, Resource

DOCUMENTS = ("policy", "assumeRolePolicy", "configurationValues", "eventPattern")
NAMES_ONLY = ("tags", "description", "displayName")
"""What names a resource for people; a test of its own holds it."""

PLUMBING = ("Eip", "InternetGateway", "NatGateway", "RouteTable", "Alias", "Router")
"""Types without a property that hardens anything: addresses, tables that routes fill, other names of keys."""

OPTIONS = ("protect", "deleted_with", "replace_with", "ignore_changes")


@dataclass(frozen=True)
class Mutant:
    """A recording less one property."""

    where: str
    recorded: Recorded


def mutants(recorded: Recorded) -> Iterator[Mutant]:
    """Every mutant of a recording: inputs, parts of policies, options of the engine, whole resources."""
    for index, resource in enumerate(recorded.resources):
        if not resource.typ.startswith(("aws:", "gcp:")) or resource.typ.rpartition(":")[2] in PLUMBING:
            continue
        gone = [*recorded.resources[:index], *recorded.resources[index + 1 :]]
        yield Mutant(resource.name, replace(recorded, resources=gone))
        for path, inputs in removals(_opened(resource.inputs)):
            mutated = Resource(resource.typ, resource.name, _closed(inputs))
            resources = [*recorded.resources]
            resources[index] = mutated
            yield Mutant(f"{resource.name}.{path}", replace(recorded, resources=resources))
    for name, options in recorded.options.items():
        for option in OPTIONS:
            if options[option]:
                changed = {**recorded.options, name: {**options, option: None}}
                yield Mutant(f"{name}!{option}", replace(recorded, options=changed))


def _opened(inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs with policies as data; a list of one removes nothing more than its whole."""
    return {
        key: json.loads(value) if key in DOCUMENTS else copy.deepcopy(value)
        for key, value in inputs.items()
        if key not in NAMES_ONLY
    }


def _closed(inputs: dict[str, Any]) -> dict[str, Any]:
    return {key: json.dumps(value) if key in DOCUMENTS else value for key, value in inputs.items()}


def removals(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each copy of a value that lacks one leaf, one list element or one branch."""
    if isinstance(value, dict):
        for key in value:
            yield f"{path}{key}", {name: item for name, item in value.items() if name != key}
            for inner, item in removals(value[key], f"{path}{key}."):
                yield inner, {**value, key: item}
    elif isinstance(value, list) and (len(value) > 1 or any(isinstance(item, dict) for item in value)):
        for index in range(len(value)):
            yield f"{path}{index}", [*value[:index], *value[index + 1 :]]
            for inner, item in removals(value[index], f"{path}{index}."):
                yield inner, [*value[:index], item, *value[index + 1 :]]
    elif isinstance(value, bool):
        yield f"{path}not", not value
