"""Queries to Prometheus over HTTP."""

from collections.abc import Sequence
from typing import Any

import httpx2

from rollout_judge.reading import Series, UnavailableError

TIMEOUT_SECONDS = 2.0
"""Of one query: all of a look together take less than the Lease lasts."""


class HttpPrometheus:
    """One Prometheus server."""

    def __init__(self, url: str) -> None:
        """`url`: with a path before `/api` where it has one."""
        self._client = httpx2.Client(base_url=url.rstrip("/"), timeout=TIMEOUT_SECONDS, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def now(self) -> float:
        """Its clock; raises `UnavailableError`."""
        return float(self._ask("time()")[0])

    def query(self, expression: str) -> Sequence[Series]:
        """Result of an instant query; raises `UnavailableError`."""
        found: Sequence[Series] = self._ask(expression)
        return found

    def _ask(self, expression: str) -> Any:
        try:
            return self._result(expression)
        except httpx2.HTTPError as error:
            raise UnavailableError(f"Prometheus does not answer: {type(error).__name__}") from None
        except (KeyError, TypeError, ValueError, IndexError):
            raise UnavailableError("Prometheus answers what is no result") from None

    def _result(self, expression: str) -> Any:
        answer = self._client.post("/api/v1/query", data={"query": expression})
        if answer.status_code != httpx2.codes.OK:
            raise UnavailableError(f"Prometheus answers {answer.status_code}")
        document = answer.json()
        if document["status"] != "success":
            raise UnavailableError("Prometheus answers what is no result")
        return document["data"]["result"]
