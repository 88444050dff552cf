"""Asks the served models: addresses, rows to ask with, and the `curl` line that does the same."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from infra.config_schema import ModelSettings
from infra.names import MODELS_NAMESPACE
from pipeline.provenance import REFERENCE, build_folder
from tools.problem import Problem, ProblemError
from tools.progress import Progress

VERSION_HEADER = "x-model-version"
ANSWER_SECONDS = 30.0
READY_SECONDS = 180.0
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Address:
    """Where and how to ask one model."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def curl(self, row: Row) -> str:
        """A command for a POSIX shell that asks with `row`."""
        headers = {"content-type": "application/json", **self.headers}
        flags = " ".join(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items())
        return f"curl -sS {self.url} {flags} -d {shlex.quote(json.dumps(row))}"


def address(gateway_url: str, model: ModelSettings, version: str | None, by: str = "path") -> Address:
    """The address of a model, or of one version of it by `path` or by `header`.

    Raises:
        ProblemError: the model has no such version.
    """
    known = [each.name for each in model.versions]
    if version is not None and version not in known:
        fix = "name one of these, or leave --version out for the split"
        problem = Problem("--version", f"no such version of {model.name}", f"'{version}'", ", ".join(known), fix)
        raise ProblemError([problem])
    prefix = "" if model.path_prefix == "/" else model.path_prefix or f"/{model.name}"
    headers = {"host": model.host} if model.host else {}
    if version is None:
        return Address(f"{gateway_url}{prefix}/predict", headers)
    if by == "header":
        return Address(f"{gateway_url}{prefix}/predict", {**headers, VERSION_HEADER: version})
    return Address(f"{gateway_url}{prefix}/{version}/predict", headers)


def reference_row(model: ModelSettings, kubectl: Sequence[str] = ()) -> Row | None:
    """A real row: the first held-out one that `package` left, else the example of the server's own description."""
    for version in model.versions:
        file = build_folder(model.name, version.name) / REFERENCE
        if file.exists():
            rows: list[Row] = json.loads(file.read_text())["rows"]
            return rows[0]
    return _described_row(model, kubectl) if kubectl else None


def _described_row(model: ModelSettings, kubectl: Sequence[str]) -> Row | None:
    service = f"{model.name}-{model.versions[0].name}:http"
    path = f"/api/v1/namespaces/{MODELS_NAMESPACE}/services/{service}/proxy/openapi.json"
    asked = subprocess.run([*kubectl, "--request-timeout=10s", "get", "--raw", path], capture_output=True, check=False)
    return next(_examples(json.loads(asked.stdout)), None) if asked.returncode == 0 else None


def _examples(document: Any) -> Iterator[Row]:
    """Rows that an OpenAPI document gives as examples of a request."""
    for schema in document.get("components", {}).get("schemas", {}).values():
        for example in [schema.get("example"), *schema.get("examples", ())]:
            if isinstance(example, dict) and example and all(isinstance(v, int | float) for v in example.values()):
                yield example


def read_row(text: str, stdin: Any) -> Row:
    """The row of `--row`: JSON, `-` for standard input, or a file.

    Raises:
        ProblemError: no such file, or no JSON object in it.
    """
    if text == "-":
        where, content = "standard input", stdin.read()
    elif text.lstrip().startswith("{"):
        where, content = "--row", text
    elif Path(text).is_file():
        where, content = text, Path(text).read_text()
    else:
        raise ProblemError([Problem("--row", "no such file", f"'{text}'", "a file, JSON or -", "correct the path")])
    try:
        row = json.loads(content)
    except json.JSONDecodeError as error:
        row = f"{error.msg} in line {error.lineno}"
    if not isinstance(row, dict):
        fix = 'write {"feature": number, …}'
        raise ProblemError([Problem(where, "no row", str(row)[:80], "a JSON object", fix)])
    return row


def ask(where: Address, row: Row) -> Any:
    """The model's answer to `row`.

    Raises:
        ProblemError: no connection, or any status but 200; it says what the server said.
    """
    try:
        answer = httpx.post(where.url, json=row, headers=dict(where.headers), timeout=ANSWER_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        problem = Problem(where.url, "no answer", str(error), "a served model", "run `modelway status` to see why")
        raise ProblemError([problem]) from None
    if answer.status_code != httpx.codes.OK:
        got = f"{answer.status_code}: {_reason(answer)}"
        raise ProblemError(
            [Problem(where.url, "no prediction", got, "200", "correct the row, or see `modelway status`")]
        )
    return answer.json()


def _reason(answer: httpx.Response) -> str:
    """What the server says was wrong: the field `error` of its answer, else the text."""
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500].strip() or "no text"


def wait_for(addresses: Mapping[str, tuple[Address, Row | None]], progress: Progress) -> None:
    """Return when every address answers a prediction; the gateway learns of new routes some seconds later.

    Raises:
        ProblemError: one does not within 180 s; it names the last answer.
    """
    deadline = time.monotonic() + READY_SECONDS
    with progress.step("waiting until the URLs answer") as step, httpx.Client(trust_env=False) as client:
        for name, (where, row) in addresses.items():
            # Envoy takes routes asynchronously and has no event to wait on: ask until it answers.
            while (last := _state(client, where, row)) is not None:
                step.update(f"{name}: {last}")
                if time.monotonic() > deadline:
                    fix = "run `modelway status` to see why, then the same command again"
                    raise ProblemError([Problem(where.url, "does not answer", last, "200 within 180 s", fix)])
                time.sleep(0.2)


def _state(client: httpx.Client, where: Address, row: Row | None) -> str | None:
    """None when the address serves; else what it said."""
    try:
        answer = client.post(where.url, json=row or {}, headers=dict(where.headers), timeout=5)
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    # Without a row to ask with, 422 proves that the model's own server answered.
    served = answer.status_code in ((200,) if row else (200, 422))
    return None if served else f"status {answer.status_code}"
