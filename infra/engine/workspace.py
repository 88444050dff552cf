"""The work folder of a stack: copies of the tracked files, where the engine may write its salt and edits."""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from tools.paths import PROJECT, state_dir
from tools.problem import Problem, ProblemError

ENCRYPTION_KEYS = ("secretsprovider", "encryptedkey", "encryptionsalt")
"""Top-level keys of a stack file that say how its secrets are encrypted; the engine writes them."""


@dataclass(frozen=True)
class StackFiles:
    """The tracked files of one stack and the folder the engine works in."""

    name: str
    """The stack: `local`, `node`, `aws-production`."""
    project_file: Path
    """`Pulumi.yaml` of the checkout."""
    stack_file: Path
    """`stacks/Pulumi.<name>.yaml` of the checkout."""

    @property
    def work_folder(self) -> Path:
        """Where the engine runs, in the user's state folder."""
        return state_dir().resolve() / "stacks" / self.name

    @property
    def work_stack_file(self) -> Path:
        """The engine's own copy of the stack file."""
        return self.work_folder / "stacks" / self.stack_file.name


def stack_names(project: Path = PROJECT) -> list[str]:
    """Every stack that the checkout describes, sorted."""
    return sorted(
        file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in (project / "stacks").glob("Pulumi.*.yaml")
    )


def stack_files(name: str, project: Path = PROJECT) -> StackFiles:
    """The files of stack `name`.

    Raises:
        ProblemError: no such stack; the sentence suggests the nearest name.
    """
    known = stack_names(project)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        fix = f"did you mean `{near[0]}`?" if near else f"write stacks/Pulumi.{name}.yaml or choose one of these"
        problem = Problem("STACK", "no such stack", f"'{name}'", ", ".join(known) or "none yet", fix.removesuffix("?"))
        raise ProblemError([problem])
    return StackFiles(name, project / "Pulumi.yaml", project / "stacks" / f"Pulumi.{name}.yaml")


def prepare(files: StackFiles) -> Path:
    """Bring the work folder up to date with the tracked files and return it.

    The tracked config wins; the salt and, with it, secrets that were set in the work folder stay.
    """
    files.work_stack_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = files.work_stack_file.read_text() if files.work_stack_file.exists() else ""
    _write(files.work_folder / "Pulumi.yaml", files.project_file.read_text())
    _write(files.work_stack_file, merged(files.stack_file.read_text(), own))
    return files.work_folder


def merged(tracked: str, own: str) -> str:
    """The stack file for the engine: `tracked`, plus the encryption keys and secrets of the copy `own`.

    A tracked file with encryption keys of its own is taken as it is. Merges YAML nodes, not values, so that
    every scalar reads for the engine exactly as in the tracked file (`yes` stays `yes`).
    """
    tracked_node, own_node = _mapping(tracked), _mapping(own)
    if any(key in ENCRYPTION_KEYS for key in _keys(tracked_node)):
        return tracked
    kept = [pair for pair in own_node.value if pair[0].value in ENCRYPTION_KEYS]
    if not kept:
        return tracked
    config = _child(tracked_node, "config")
    known = set(_keys(config))
    config.value += [
        pair for pair in _child(own_node, "config").value if pair[0].value not in known and _is_secret(pair[1])
    ]
    tracked_node.value += kept
    return yaml.serialize(tracked_node, Dumper=yaml.SafeDumper)


def _mapping(text: str) -> yaml.MappingNode:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return node if isinstance(node, yaml.MappingNode) else yaml.MappingNode("tag:yaml.org,2002:map", [])


def _keys(node: yaml.MappingNode) -> list[str]:
    return [key.value for key, _ in node.value]


def _child(node: yaml.MappingNode, name: str) -> yaml.MappingNode:
    for key, value in node.value:
        if key.value == name and isinstance(value, yaml.MappingNode):
            return value
    child = yaml.MappingNode("tag:yaml.org,2002:map", [])
    node.value = [pair for pair in node.value if pair[0].value != name]
    node.value.append((yaml.ScalarNode("tag:yaml.org,2002:str", name), child))
    return child


def _is_secret(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and _keys(node) == ["secure"]


def _write(file: Path, text: str) -> None:
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    draft.replace(file)
