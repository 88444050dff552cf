"""MLflow's model registry over its REST API, so that MLflow itself need not be installed.

`/api/2.0/mlflow/…` and the artifact proxy `/api/2.0/mlflow-artifacts/…` are documented; files are read through
`/model-versions/get-artifact`, which MLflow's own pages use and which also reaches files behind a bucket that only
the server may read. Credentials come from MLflow's own variables.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from infra.registries import Registered, RegistryError

API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts/artifacts/"
TIMEOUT_SECONDS = 30.0
PAGE = 200
UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow answers for a model or version, and for an alias, that is not there."""


class MlflowRegistry:
    """The MLflow server at `url`."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        headers, basic = {}, None
        if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            headers["authorization"] = f"Bearer {token}"
        elif user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
            basic = httpx.BasicAuth(user, os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
        self._client = httpx.Client(headers=headers, auth=basic, timeout=TIMEOUT_SECONDS, transport=transport)

    @property
    def label(self) -> str:
        """Kind and place, for people."""
        return f"mlflow {self._url}"

    def names(self) -> Sequence[str]:
        """All registered models, sorted."""
        return sorted(str(model["name"]) for model in self._all("registered-models/search", "registered_models", {}))

    def versions(self, name: str) -> Sequence[Registered]:
        """All versions of a model, the newest first; none of a model that is not registered."""
        model = self._ask("registered-models/get", {"name": name})
        if model is None:
            return []
        aliases = [(str(each["version"]), str(each["alias"])) for each in model["registered_model"].get("aliases", [])]
        quoted = name.replace("'", "''")
        found = self._all("model-versions/search", "model_versions", {"filter": f"name='{quoted}'"})
        newest = sorted(found, key=lambda each: int(each["version"]), reverse=True)
        return [
            self._registered({**each, "aliases": [alias for version, alias in aliases if version == each["version"]]})
            for each in newest
        ]

    def find(self, name: str, version: str | None, alias: str | None) -> Registered | None:
        """The version that a name or an alias stands for now."""
        if alias is not None:
            found = self._ask("registered-models/alias", {"name": name, "alias": alias})
        else:
            found = self._ask("model-versions/get", {"name": name, "version": version or ""})
        return None if found is None else self._registered(found["model_version"])

    def read(self, version: Registered, file: str) -> bytes | None:
        """A file of the version's artifact."""
        where = {"name": version.name, "version": version.version, "path": file}
        answer = self._get("/model-versions/get-artifact", where)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        self._check(answer)
        return answer.content

    def _registered(self, found: Mapping[str, Any]) -> Registered:
        name, version = str(found["name"]), str(found["version"])
        where = self._ask("model-versions/get-download-uri", {"name": name, "version": version})
        source = str((where or {}).get("artifact_uri") or found.get("source") or "")
        aliases = tuple(sorted(map(str, found.get("aliases", []))))
        return Registered(name, version, aliases, self._fetchable(source))

    def _fetchable(self, source: str) -> str:
        """`source` where pods reach it: what MLflow proxies, at its proxy; a path of its own machine, as it is."""
        parts = urlsplit(source)
        if parts.scheme == "mlflow-artifacts":
            return f"{self._url}{PROXY}{quote(parts.path.strip('/'))}"
        return f"{'file://' if source.startswith('/') else ''}{source.rstrip('/')}"

    def _all(self, what: str, key: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = ""
        while True:
            more = {"page_token": page} if page else {}
            answer = self._ask(what, {**parameters, **more, "max_results": str(PAGE)}) or {}
            found += answer.get(key, [])
            page = str(answer.get("next_page_token") or "")
            if not page:
                return found

    def _ask(self, what: str, parameters: Mapping[str, str]) -> dict[str, Any] | None:
        """The answer as a map; None when MLflow knows no such model, version or alias."""
        answer = self._get(f"{API}/{what}", parameters)
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST) and _code(answer) in UNKNOWN:
            return None
        self._check(answer)
        try:
            content = answer.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise RegistryError(f"{self._url} answers {what} with no JSON; is it an MLflow server?")
        return content

    def _get(self, path: str, parameters: Mapping[str, str]) -> httpx.Response:
        try:
            return self._client.get(self._url + path, params=dict(parameters))
        except httpx.HTTPError as error:
            raise RegistryError(f"{self._url} does not answer ({type(error).__name__})") from None

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        said = _code(answer) or answer.reason_phrase
        raise RegistryError(f"{self._url} answers {answer.status_code} ({said})")


def _code(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("error_code", ""))
    except (ValueError, AttributeError):
        return ""
