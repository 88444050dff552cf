"""`predict`: one row to one served model."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelway.gateway.policy import KEY_HEADER

from infra import machine
from infra.config_schema import Access, ModelSettings, Settings
from infra.deploy import Job, toolset
from infra.edge import access_of
from infra.predictions import Row, address, ask, read_row, reference_row
from infra.tls import authority_file
from tools.problem import Problem, ProblemError

KEY_VARIABLE = "MODELWAY_API_KEY"
"""Holds the key or token for a keyed model: on a command line every user of the machine could read it."""


def predict(work: Job, model_name: str, version: str | None, row: str | None, by: str) -> Any:
    """The answer of a model to `row`, else to a real row, through the gateway.

    Raises:
        ProblemError: no such model or version, no way to it from here, no row, not deployed, or no prediction.
    """
    from infra.engine.session import stack_outputs

    model = _model(work, model_name)
    credentials = credentials_of(work.settings, model, os.environ)
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
    trusted = authority_file(work, machine.kubectl(work.settings))
    return ask(replace(where, headers={**where.headers, **credentials}, trusted=trusted), asked)


def credentials_of(settings: Settings, model: ModelSettings, environment: Mapping[str, str]) -> dict[str, str]:
    """Headers that let a request to `model` in; raises `ProblemError` for an internal model, and without a key."""
    access, auth = access_of(settings, model), settings.gateway.auth
    where = f"modelway:models {model.name}.access"
    if access is Access.INTERNAL:
        allowed, fix = "a public or keyed model", "ask from a pod, or change access"
        raise ProblemError([Problem(where, "only pods of the cluster reach it", "internal", allowed, fix)])
    if model.ingress is not None:
        where, got = f"modelway:models {model.name}.ingress", model.ingress.class_name
        fix = f"ask {model.host} at that controller"
        raise ProblemError([Problem(where, "another controller serves it", got, "a model of the gateway", fix)])
    if access is Access.PUBLIC or auth is None:
        return {}
    credential = environment.get(KEY_VARIABLE)
    kind, fix = ("token", "export one of the issuer's") if auth.jwt else ("key", "export one of `modelway keys add`")
    if not credential:
        raise ProblemError(
            [Problem(KEY_VARIABLE, f"missing for keyed model {model.name}", "nothing", f"a {kind}", fix)]
        )
    return {"authorization": f"Bearer {credential}"} if auth.jwt else {(auth.header or KEY_HEADER).lower(): credential}


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
