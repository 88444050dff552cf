"""Stack config, validated: every problem is found before anything is created, and all are reported together."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from infra.alerting import WHERE, plain_secret_problems
from infra.config_consistency import consistency_problems, raw_consistency_problems
from infra.config_problems import problems_of, without_unknown
from infra.config_schema import DIGEST, ModelSettings, Settings, VersionSettings
from infra.config_section import ENCRYPTED
from infra.fetching import source_problems, with_sources
from infra.logs import WHERE as LOGS
from infra.logs import plain_log_problems
from infra.rollout import rolled_back
from tools.paths import images_lock
from tools.problem import Problem, ProblemError

PROJECT_NAME = "modelway"


def load(raw: Mapping[str, Any], stack: str) -> Settings:
    """Settings of a stack from its config; raises `ProblemError` with every problem of the config.

    `raw` maps `modelway:KEY` to plain data; keys of other namespaces are left alone.
    """
    settings = _parsed(raw, stack)
    if problems := source_problems(settings, stack):
        raise ProblemError(problems + consistency_problems(settings, stack))
    settings = with_sources(settings, stack)
    if problems := consistency_problems(settings, stack):
        raise ProblemError(problems)
    return rolled_back(settings)


def _parsed(raw: Mapping[str, Any], stack: str | None = None) -> Settings:
    """Types alone; where a `stack` has unknown keys, the rest is held to its rules, so that all is told at once."""
    own = {key.partition(":")[2]: value for key, value in raw.items() if key.startswith(f"{PROJECT_NAME}:")}
    try:
        return Settings.model_validate(own)
    except ValidationError as error:
        problems, rest = problems_of(error, Settings), without_unknown(own, error)
        if stack is None or rest is None:
            raise ProblemError(problems + raw_consistency_problems(own)) from None
        raise ProblemError(problems + consistency_problems(Settings.model_validate(rest), stack)) from None


def load_file(path: Path, stack: str) -> Settings:
    """Settings from a stack file, without an engine; encrypted values stand for themselves."""
    raw, problems = _raw_config_of(path), list[Problem]()
    try:
        settings = load(_plain(raw), stack)
    except ProblemError as error:
        problems += error.problems
    if problems := problems + plain_secret_problems(raw.get(WHERE)) + plain_log_problems(raw.get(LOGS)):
        raise ProblemError(problems)
    return settings


def as_written(path: Path) -> Settings:
    """Settings from a stack file that no rule but the types has checked: with models that the lock does not know."""
    return _parsed(_plain(_raw_config_of(path)))


def _raw_config_of(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8-sig")) or {}
        config = document.get("config") or {}
    except (yaml.YAMLError, AttributeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        raise ProblemError(
            [
                Problem(
                    f"{path.name}{line}", "not a stack file", "no valid YAML", "a map with `config`", "correct the file"
                )
            ]
        ) from None
    return dict(config)


def _plain(value: Any) -> Any:
    """Encrypted values cannot be read here; their presence is enough to validate the rest."""
    if isinstance(value, dict):
        return ENCRYPTED if set(value) == {"secure"} else {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def resolve_image(model: ModelSettings, version: VersionSettings, lock: Mapping[str, str]) -> str:
    """The version's image by digest; raises `ProblemError` when the lock file does not know it."""
    if DIGEST.fullmatch(version.image):
        return version.image
    if version.image in lock:
        return lock[version.image]
    raise ProblemError([_unknown_image(model, version)])


def read_lock(path: Path | None = None) -> dict[str, str]:
    """What `package` recorded: image name and tag to reference by digest; empty when there is no such file."""
    path = path or images_lock()
    if not path.exists():
        return {}
    content: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _unknown_image(model: ModelSettings, version: VersionSettings) -> Problem:
    return Problem(
        f"modelway:models {model.name}.{version.name}.image",
        "image was never packaged here",
        repr(version.image),
        "a digest, or a name that the lock file knows",
        f"run `python -m pipeline package --name {model.name} --version {version.name} …`, "
        "or write REPOSITORY@sha256:DIGEST",
    )
