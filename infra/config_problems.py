"""Turns what pydantic found in the stack config into one sentence per problem."""

import copy
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from tools.problem import Problem

TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "dict_type": "a map",
}


def problems_of(error: ValidationError, root: type[BaseModel]) -> list[Problem]:
    """Every error as a problem, in the order of the config."""
    return [_problem(details, root) for details in error.errors(include_url=False)]


def without_unknown(config: Mapping[str, Any], error: ValidationError) -> dict[str, Any] | None:
    """The config less its unknown keys, where nothing else is wrong with its types; else None."""
    found = error.errors(include_url=False)
    if any(details["type"] != "extra_forbidden" for details in found):
        return None
    rest: dict[str, Any] = copy.deepcopy(dict(config))
    for details in found:
        *way, name = (part for part in details["loc"] if not _is_added(part))
        place: Any = rest
        for part in way:
            place = place[part]
        del place[name]
    return rest


def _problem(details: ErrorDetails, root: type[BaseModel]) -> Problem:
    location = details["loc"]
    where = _where(location)
    kind, got = details["type"], _shown(details["input"])
    context = details.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(location, root)
    if kind == "missing":
        return Problem(where, "missing", "nothing", "a value", f"add {location[-1]}")
    if kind == "enum":
        allowed = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        return Problem(where, "unknown value", got, allowed, _suggestion(str(details["input"]), allowed.split(", ")))
    if kind == "value_error":
        what, allowed, fix = str(context["error"]).split("|")
        return Problem(where, what, got, allowed, fix)
    if kind in TYPES:
        return Problem(where, "wrong type", f"{got} ({type(details['input']).__name__})", TYPES[kind], "correct it")
    return Problem(where, "not allowed", got, _bound(kind, context), "correct it")


def _bound(kind: str, context: dict[str, Any]) -> str:
    bounds = {
        "greater_than_equal": "{ge} or more",
        "less_than_equal": "{le} or less",
        "too_short": "{min_length} or more entries",
        "too_long": "{max_length} or fewer entries",
        "string_pattern_mismatch": "text of the form {pattern}",
    }
    return bounds.get(kind, kind.replace("_", " ")).format(**context)


def _where(location: Sequence[int | str]) -> str:
    text = ""
    # What pydantic adds to the place of a map's key, or of one of several models, says nothing to a reader.
    for part in (part for part in location if not _is_added(part)):
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else f"modelway:{part}"
    return text or "config"


def _is_added(part: int | str) -> bool:
    return isinstance(part, str) and part.startswith("[")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"a map with {', '.join(map(str, value)) or 'nothing'}"
    return f"a list of {len(value)}" if isinstance(value, list) else repr(value)


def _unknown_key(location: Sequence[int | str], root: type[BaseModel]) -> Problem:
    keys = _keys(location[:-1], root)
    name = str(location[-1])
    for tag, others in _alternatives(location, root).items():
        if name in others:
            provider, other = str(location[-2]).strip("[]"), tag.strip("[]")
            got = f"{name} with provider {provider}" if provider != "other" else name
            what = f"a setting of {f'provider {other}' if other != 'other' else 'another provider'}"
            return Problem(_where(location), what, got, ", ".join(keys), f"remove {name}")
    return Problem(_where(location), "unknown key", repr(name), ", ".join(keys), _suggestion(name, keys))


def _suggestion(name: str, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, choices, n=1)
    return f"write {close[0]!r}" if close else "remove or correct it"


def _keys(location: Sequence[int | str], root: type[BaseModel]) -> list[str]:
    """Keys that are allowed at `location`."""
    return _aliases(_model_at(location, root))


def _model_at(location: Sequence[int | str], root: type[BaseModel]) -> type[BaseModel]:
    model, tagged = root, dict[str, type[BaseModel]]()
    for part in location:
        if isinstance(part, int):
            continue
        if part in tagged:
            model = tagged[part]
            continue
        field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        # A key of a map is no field: its values are what the map's own annotation says.
        model = (field and _model_in(field.annotation)) or model
        tagged = _tagged(field.annotation) if field else {}
    return model


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _alternatives(location: Sequence[int | str], root: type[BaseModel]) -> dict[str, list[str]]:
    """Keys of the other models of a choice, where the last part is a key of one of its models; by tag."""
    if len(location) < 3 or not _is_added(location[-2]):
        return {}
    field = next(
        f for name, f in _model_at(location[:-3], root).model_fields.items() if location[-3] in (name, f.alias)
    )
    return {tag: _aliases(model) for tag, model in _tagged(field.annotation).items() if tag != location[-2]}


def _tagged(annotation: Any) -> dict[str, type[BaseModel]]:
    """Models of a choice by their tags; empty where there is none."""
    found = {}
    for member in get_args(annotation):
        for mark in getattr(member, "__metadata__", ()):
            if isinstance(mark, Tag):
                found[mark.tag] = get_args(member)[0]
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)
