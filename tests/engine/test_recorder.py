"""The recorder sees a replacement for each property that a provider marks so, and for no other."""

from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation as auto

from tests.engine.cloud_stacks import clouds
from tests.engine.conftest import Stack
from tests.engine.force_new import FORCE_NEW

pytestmark = pytest.mark.engine
RULES = {
    f"{token.rpartition(':')[2]}-{path}": (token, path) for token, marked in FORCE_NEW.items() for path in marked.paths
}


def properties(path: str, value: str) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: properties(rest, value) if rest else value, "tags": {"changed": value}}


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_each_marked_property_replaces_and_no_tag_does(
    tmp_path: Path,
    pulumi_command: auto.PulumiCommand,
    environment: dict[str, str],
    empty_stack: Path,
    cloud: str,
) -> None:
    made = clouds(tmp_path / "clouds", environment)
    own = {key: value for key, value in made.work.environment.items() if key != "PULUMI_BACKEND_URL"}
    stack = Stack(tmp_path / "stack", pulumi_command, own, empty_stack)
    rules = {name: rule for name, rule in RULES.items() if rule[0].startswith(f"{cloud}:")}

    def program(value: str, tag: str) -> None:
        for name, (token, path) in rules.items():
            pulumi.CustomResource(token, name, {**properties(path, value), "tags": {"changed": tag}})

    stack.up(lambda: program("one", "one"))
    assert stack.preview(lambda: program("one", "two")) == {"same": 1, "update": len(rules)}
    assert stack.preview(lambda: program("two", "one")) == {"same": 1, "replace": len(rules)}
