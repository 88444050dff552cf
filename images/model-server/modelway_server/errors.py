"""The one shape of an error answer: `{"error": sentence, "request_id": id}`, and `detail` where fields are at fault."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import BaseModel

KINDS = {
    400: "malformed",
    401: "unauthorized",
    404: "not_found",
    405: "method",
    408: "timeout",
    413: "too_large",
    415: "media_type",
    422: "validation",
    499: "client_gone",
    500: "internal",
    503: "overload",
    504: "deadline",
}
"""Value of the label `kind` of `modelway_errors_total` by status code; 499: the client left before the answer."""


class FieldError(BaseModel):
    """One value that is wrong, in FastAPI's shape."""

    loc: list[str | int]
    """Path to the value: `["body", "rows", 3, "mean radius"]`."""
    msg: str
    """What is wrong."""
    type: str
    """Pydantic's name for it: `missing`, `extra_forbidden`, `float_type`, …"""


class ErrorAnswer(BaseModel):
    """Body of every answer that is no prediction."""

    error: str
    """What is wrong, in one sentence."""
    request_id: str
    """The `x-request-id` of the answer, to find the request in logs."""
    detail: list[FieldError] | None = None
    """With status 422: the values at fault, at most 20."""


class ApiError(Exception):
    """Ends a request with an error answer."""

    def __init__(
        self,
        status: int,
        error: str,
        detail: Sequence[Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.detail = detail
        self.headers = headers

    def body(self, request_id: str) -> bytes:
        """The error answer as JSON."""
        content: dict[str, Any] = {"error": self.error, "request_id": request_id}
        if self.detail is not None:
            content["detail"] = list(self.detail)
        return orjson.dumps(content)


INTERNAL = ApiError(500, "the server failed; see its log for this request id")
"""What an answer says of a failure: nothing that helps an attacker."""


def overload(what: str) -> ApiError:
    """503: try again in a second."""
    return ApiError(503, f"the server is busy: {what}", headers={"retry-after": "1"})
