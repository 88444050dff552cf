"""`predict`: one row to one served model."""

import sys
from dataclasses import replace
from typing import Any

from infra import machine
from infra.config_schema import ModelSettings
from infra.deploy import Job, toolset
from infra.engine.session import stack_outputs
from infra.predictions import Row, address, ask, read_row, reference_row
from infra.tls import authority_file
from tools.problem import Problem, ProblemError


def predict(work: Job, model_name: str, version: str | None, row: str | None, by: str) -> Any:
    """The answer of a model to `row`, else to a real row, through the gateway.

    Raises:
        ProblemError: no such model or version, no row, not deployed, or no prediction.
    """
    model = _model(work, model_name)
    address("", model, version, by)
    asked = read_row(row, sys.stdin) if row is not None else _real_row(work, model)
    outputs = stack_outputs(work.files, toolset(work, quiet=True)) or {}
    if "gateway_url" not in outputs:
        stack = work.files.name
        problem = Problem(
            f"stack {stack}", "it is not deployed", "no gateway", "a served model", f"run `modelway up {stack}`"
        )
        raise ProblemError([problem])
    where = address(str(outputs["gateway_url"]), model, version, by)
    return ask(replace(where, trusted=authority_file(work, machine.kubectl(work.settings))), asked)


def _model(work: Job, name: str) -> ModelSettings:
    models = {model.name: model for model in work.settings.models}
    if name not in models:
        fix = "name one of these"
        problem = Problem("MODEL", f"no such model in stack {work.files.name}", f"'{name}'", ", ".join(models), fix)
        raise ProblemError([problem])
    return models[name]


def _real_row(work: Job, model: ModelSettings) -> Row:
    row = reference_row(model, machine.kubectl(work.settings))
    if row is None:
        fix = "give --row '{\"feature\": number, …}'"
        raise ProblemError([Problem("--row", f"no row of {model.name} is known here", "none", "a row of numbers", fix)])
    return row
