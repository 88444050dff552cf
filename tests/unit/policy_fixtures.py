"""The fixtures of the policy pack: objects that keep or break one rule."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from tools.paths import PROJECT

Object = dict[str, Any]


@dataclass(frozen=True)
class Fixture:
    """One set of objects, and the settings that it is judged with."""

    rule: str
    fails: bool
    number: int
    change: Mapping[str, Any]

    @property
    def name(self) -> str:
        """`RULE-fails-0`."""
        return f"{self.rule}-{'fails' if self.fails else 'passes'}-{self.number}"

    @property
    def options(self) -> Mapping[str, Any]:
        """Settings of rules."""
        return self.change.get("options", {})

    def objects(self) -> list[Object]:
        """The base with this fixture's change."""
        changed = {key(each): copy.deepcopy(each) for each in document()["base"]}
        for name in self.change.get("drop", ()):
            del changed[name]
        for name, pointers in self.change.get("remove", {}).items():
            for pointer in pointers:
                place, last = walk(changed[name], pointer)
                del place[last]
        for name, values in self.change.get("set", {}).items():
            for pointer, value in values.items():
                place, last = walk(changed[name], pointer)
                if isinstance(place, list) and last == len(place):
                    place.append(value)
                else:
                    place[last] = value
        added = self.change.get("add")
        return [*changed.values(), *([added] if added else [])]


@cache
def document() -> Any:
    """The file of the fixtures."""
    # Through JSON, so that what the file names twice is two objects.
    return json.loads(json.dumps(yaml.safe_load((PROJECT / "policies/fixtures.yaml").read_text())))


def fixtures() -> list[Fixture]:
    """Every fixture of every rule."""
    return [
        Fixture(rule, fails, number, change)
        for rule, kinds in document()["rules"].items()
        for fails, changes in ((False, kinds["passing"]), (True, kinds["failing"]))
        for number, change in enumerate(changes)
    ]


def key(data: Mapping[str, Any]) -> str:
    """`Kind/name`."""
    return f"{data['kind']}/{data['metadata']['name']}"


def walk(data: Any, pointer: str) -> tuple[Any, Any]:
    """Where a JSON pointer leads: what holds it, and its key or index there."""
    *way, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.removeprefix("/").split("/"))
    for part in way:
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data, int(last) if isinstance(data, list) else last
