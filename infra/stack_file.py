"""Writes one line of a stack file and leaves every other byte of it as it is, comments and order included."""

from pathlib import Path

import yaml

from infra.settings import load_file
from tools.problem import Problem, ProblemError

KEY = "rollBackTo"


def roll_back(file: Path, stack: str, model: str, version: str) -> int:
    """Write `rollBackTo: VERSION` into the model's entry and return the number of the line that says so.

    Raises:
        ProblemError: the file is none that this can be written into, or the stack with it would be refused. The file
            then is as it was.
    """
    before = file.read_bytes().decode("utf-8-sig")
    text, line = written(before, model, version, file.name)
    draft = file.with_name(f".{file.name}.draft")
    try:
        draft.write_text(text, encoding="utf-8", newline="")
        load_file(draft, stack)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return line


def written(text: str, model: str, version: str, name: str) -> tuple[str, int]:
    """The text of a stack file with `rollBackTo: version` in the entry of `model`, and the number of that line."""
    entry = _entry(text, model, name)
    for key, value in entry.value:
        if key.value == KEY:
            start, end = value.start_mark, value.end_mark
            return text[: start.index] + version + text[end.index :], start.line + 1
    start = entry.start_mark
    if entry.flow_style:
        return f"{text[: start.index + 1]}{KEY}: {version}, {text[start.index + 1 :]}", start.line + 1
    newline = "\r\n" if "\r\n" in text else "\n"
    return f"{text[: start.index]}{KEY}: {version}{newline}{' ' * start.column}{text[start.index :]}", start.line + 1


def _entry(text: str, model: str, name: str) -> yaml.MappingNode:
    """The node of the model's entry."""
    config = _value(yaml.compose(text, Loader=yaml.SafeLoader), "config")
    models = _value(config, "modelway:models")
    for entry in models.value if isinstance(models, yaml.SequenceNode) else ():
        found = _value(entry, "name")
        if isinstance(entry, yaml.MappingNode) and found is not None and found.value == model:
            return entry
    allowed, fix = "a list under modelway:models with this model", f"write {KEY} yourself"
    raise ProblemError([Problem(name, f"no entry of model {model}", "none", allowed, fix)])


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)
