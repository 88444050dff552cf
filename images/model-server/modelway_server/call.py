"""One request as both lanes see it, its body read within the limits, and the reply to it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from modelway_server.errors import ApiError
from modelway_server.runtimes import Prediction
from modelway_server.settings import Settings

JSON = b"application/json"

BODY_IS_THERE = "modelway.body"
"""Extension of the scope: the whole body had arrived before the application was called, so reading cannot wait."""

CLOSE = (b"connection", b"close")
"""While draining: the client opens its next connection, and the gateway sends that one elsewhere."""

WHOLE_ANSWER = "modelway.answer"
"""Extension of the scope: sends a whole answer at once, `(status, header lines, body) -> done`.

The two messages of ASGI are two system calls and two packets. False: not possible now, send the messages.
"""

REQUESTS = "modelway.requests"
"""Extension of the scope: the requests that this process is answering, this one among them."""

# An unread rest of a body would hold up the connection: it is closed.
_CLOSE = {"connection": "close"}


class Call:
    """One request."""

    __slots__ = ("answered", "head", "ids", "prediction", "receive", "request_id", "rows", "scope", "status")

    def __init__(self, scope: Scope, receive: Receive, head: dict[bytes, bytes], request_id: str) -> None:
        self.scope = scope
        self.receive = receive
        self.head = head
        """Headers by lower-case name; of several with one name, the last."""
        self.request_id = request_id
        self.status = 500
        """Code of the answer; 499 when the client left before it."""
        self.answered = False
        """An answer has begun, so no other can be sent."""
        self.ids: list[str] | None = None
        """Prediction ids of the answer, for the log."""
        self.prediction: Prediction | None = None
        """The answer's first prediction, for the count of subjects."""
        self.rows: Any = None
        """Rows of the request, for the log where it may have them."""

    def has_company(self) -> bool:
        """Whether other requests are there as well, so that waiting for each other may pay."""
        requests = self.scope.get("extensions", {}).get(REQUESTS)
        return requests is not None and len(requests) > 1


class Reply(NamedTuple):
    """A whole answer."""

    body: bytes
    media: bytes = JSON
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


Endpoint = Callable[[Call], Awaitable[Reply]]
"""Answers one request or raises `ApiError`; the same for both lanes."""


def reply_to(error: ApiError, request_id: str) -> Reply:
    """`error` as a reply."""
    headers = tuple((name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items())
    return Reply(error.body(request_id), JSON, error.status, headers)


def check_json(head: dict[bytes, bytes]) -> None:
    """Refuse with 415 a body that is announced as anything but plain JSON."""
    if head.get(b"content-type", JSON) != JSON:
        media = head[b"content-type"].partition(b";")[0].strip().lower().decode("latin-1")
        if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
            raise ApiError(415, f"the content-type is {media[:100]!r}, send application/json")
    check_coding(head)


def check_coding(head: dict[bytes, bytes]) -> None:
    """Refuse with 415 a compressed body."""
    if b"content-encoding" in head:
        coding = head[b"content-encoding"].decode("latin-1").lower()
        if coding != "identity":
            raise ApiError(415, f"the body is encoded as {coding[:100]!r}, send it as it is")


async def read_body(call: Call, settings: Settings) -> bytes:
    """The body, refused as soon as it is known to be too large (413) or too slow (408)."""
    limit = settings.max_body_bytes
    length = call.head.get(b"content-length", b"0")
    if len(length) > 6 and length.isdigit() and int(length) > limit:
        raise too_large(limit)
    if BODY_IS_THERE in call.scope.get("extensions", ()):
        message = await call.receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            body: bytes = message["body"]
            if len(body) > limit:
                raise too_large(limit)
            return body
        raise ClientDisconnect
    return await _read_slowly(call, limit, settings.body_timeout_seconds)


async def _read_slowly(call: Call, limit: int, timeout_seconds: float) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_seconds):
            more = True
            while more:
                message = await call.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > limit:
                    raise too_large(limit)
    except TimeoutError:
        raise ApiError(408, f"the body did not arrive in {timeout_seconds:g} s", headers=_CLOSE) from None
    return bytes(body)


def too_large(limit: int) -> ApiError:
    """The refusal of a body of more than `limit` bytes."""
    return ApiError(413, f"the body is larger than {limit} bytes", headers=_CLOSE)
