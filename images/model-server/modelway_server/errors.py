"""The one shape of an error answer: `{"error": sentence, "request_id": id}`, and `detail` where fields are at fault."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

KINDS = {
    400: "malformed",
    404: "not_found",
    405: "method",
    408: "timeout",
    413: "too_large",
    415: "media_type",
    422: "validation",
    499: "client_gone",
    500: "internal",
}
"""Value of the label `kind` of `modelway_errors_total` by status code; 499: the client left before the answer."""


LINGER_SECONDS = 5.0
LINGER_BYTES = 2**26


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


class _LingeringResponse(JSONResponse):
    """Sends the answer at once but ends it when the client has stopped sending.

    A connection that is closed with unread bytes is reset, and the reset overtakes the answer.
    """

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                unread, message = LINGER_BYTES, await receive()
                while message.get("more_body", False) and unread > 0:
                    unread -= len(message["body"])
                    message = await receive()
        await send({"type": "http.response.body", "body": b""})


def answer(error: ApiError, request_id: str) -> JSONResponse:
    """`error` as a response."""
    body: dict[str, Any] = {"error": error.error, "request_id": request_id}
    if error.detail is not None:
        body["detail"] = list(error.detail)
    kind = _LingeringResponse if error.status == 413 else JSONResponse
    return kind(body, status_code=error.status, headers=error.headers)
