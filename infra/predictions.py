"""Asks the served models: addresses, rows to ask with, and the `curl` line that does the same."""

import json
import shlex
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from infra.config_schema import ModelSettings, RuntimeName
from infra.names import MODELS_NAMESPACE
from infra.serving import base_path
from pipeline.provenance import REFERENCE, build_folder
from tools.problem import Problem, ProblemError
from tools.progress import Progress

PREDICT = "/predict"
VERSION_HEADER = "x-model-version"
ANSWER_SECONDS = 30.0
READY_SECONDS = 180.0
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Address:
    """Where and how to ask one model."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    foreign: bool = False
    """Whether a server that is not ours may answer, whose statuses say less."""
    method: str = "POST"
    trusted: Path | None = None
    """Certificate of the authority behind the gateway's; None: those that this machine trusts anyway."""
    refusals: frozenset[int] = frozenset()
    """Statuses by which the gateway shows that it guards the model, from whoever may not ask."""

    def curl(self, row: Row) -> str:
        """A command for a POSIX shell that asks with `row`."""
        headers = {"content-type": "application/json", **self.headers}
        flags = " ".join(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items())
        trust = f"--cacert {shlex.quote(str(self.trusted))} " if self.trusted else ""
        return f"curl -sS {trust}{self.url} {flags} -d {shlex.quote(json.dumps(row))}"

    def verify(self) -> ssl.SSLContext:
        """What a client checks the gateway's certificate against."""
        return ssl.create_default_context(cafile=self.trusted)


def address(gateway_url: str, model: ModelSettings, version: str | None, by: str = "path") -> Address:
    """The address of a model, or of one version of it by `path` or by `header`.

    Raises:
        ProblemError: the model has no such version, or no `/predict`.
    """
    known = [*(each.name for each in model.versions), *model.aliases]
    if version is not None and version not in known:
        fix = "name one of these, or leave --version out for the split"
        problem = Problem("--version", f"no such version of {model.name}", f"'{version}'", ", ".join(known), fix)
        raise ProblemError([problem])
    if (base := base_path(model, version and model.aliases.get(version, version))) != PREDICT:
        what, fix = f"{model.name} has no {PREDICT}", f"ask {_prefix(model)}{base} with a client of its protocol"
        raise ProblemError([Problem("MODEL", what, base, "runtime modelway or container", fix)])
    headers = {"host": model.host} if model.host else {}
    foreign = any(each.runtime is not RuntimeName.MODELWAY for each in model.versions)
    if version is None:
        return Address(f"{gateway_url}{_prefix(model)}{PREDICT}", headers, foreign)
    if by == "header":
        return Address(f"{gateway_url}{_prefix(model)}{PREDICT}", {**headers, VERSION_HEADER: version}, foreign)
    return Address(f"{gateway_url}{_prefix(model)}/{version}{PREDICT}", headers, foreign)


def probe_address(gateway_url: str, model: ModelSettings, version: str | None) -> Address:
    """Where a model, or one version of it, shows that it is served: at `/predict`, else at what its protocol has."""
    path = _PROBES.get(base_path(model, version))
    if path is None:
        return address(gateway_url, model, version)
    pinned = "" if version is None else f"/{version}"
    headers = {"host": model.host} if model.host else {}
    return Address(f"{gateway_url}{_prefix(model)}{pinned}{path}", headers, foreign=True, method="GET")


_PROBES = {"/v2": "/v2/health/ready", "/v1": "/v1/models"}
"""By what stands for the model in its URL."""


def _prefix(model: ModelSettings) -> str:
    return "" if model.path_prefix == "/" else model.path_prefix or f"/{model.name}"


def reference_row(model: ModelSettings, kubectl: Sequence[str] = ()) -> Row | None:
    """A real row: the first held-out one that `package` left, else the example of the server's own description."""
    for version in model.versions:
        file = build_folder(model.name, version.name) / REFERENCE
        if file.exists():
            rows: list[Row] = json.loads(file.read_text())["rows"]
            return rows[0]
    return _described_row(model, kubectl) if kubectl else None


def _described_row(model: ModelSettings, kubectl: Sequence[str]) -> Row | None:
    own = [version.name for version in model.versions if version.runtime is RuntimeName.MODELWAY]
    if not own:
        return None
    service = f"{model.name}-{own[0]}:http"
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
        answer = httpx.post(
            where.url,
            json=row,
            headers=dict(where.headers),
            timeout=ANSWER_SECONDS,
            trust_env=False,
            verify=where.verify(),
        )
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
    # All are answered by one gateway.
    verify = next((where.verify() for where, _ in addresses.values()), True)
    client = httpx.Client(trust_env=False, verify=verify)
    with progress.step("waiting until the URLs answer") as step, client:
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
    body = (row or {}) if where.method == "POST" else None
    try:
        answer = client.request(where.method, where.url, json=body, headers=dict(where.headers), timeout=5)
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return None if _served(where, row, answer.status_code) else f"status {answer.status_code}"


def _served(where: Address, row: Row | None, status: int) -> bool:
    if status in where.refusals:
        return True
    if row or where.method == "GET":
        return status == httpx.codes.OK
    if where.foreign:
        # The gateway answers 404 without a route and 5xx without a pod; anything else is the server's opinion of `{}`.
        return status < httpx.codes.INTERNAL_SERVER_ERROR and status != httpx.codes.NOT_FOUND
    # Without a row to ask with, 422 proves that the model's own server answered.
    return status in (httpx.codes.OK, httpx.codes.UNPROCESSABLE_ENTITY)
