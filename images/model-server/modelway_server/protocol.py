"""HTTP/1.1 on one connection: uvicorn's protocol with the limits that it lacks.

A client that sends its headers slowly or without end, more headers than allowed, trailers without end, requests
without waiting for answers, or that does not read its answers, costs a bounded time and a bounded memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from modelway_server.call import BODY_IS_THERE, REQUESTS, WHOLE_ANSWER
from modelway_server.errors import ApiError
from modelway_server.settings import Settings

LINGER_SECONDS = 5.0
LINGER_BYTES = 2**24
LINGER_PAUSE_SECONDS = 0.1
"""Between two reads of bytes that are dropped: a sender that does not stop must not take the time of the others."""
MAX_HEADERS = 100
MAX_PIPELINED = 16

_VERSIONS = ("1.1", "1.0")
_CLOSE = b"connection: close\r\n"
_IDLE, _HEAD, _BODY = range(3)


class _RefusedError(Exception):
    """Ends the parsing from within one of the parser's callbacks."""


@dataclass(frozen=True)
class Limits:
    """What connections share."""

    settings: Settings
    refused: Callable[[str], None]
    """Told the reason when a limit ends a connection."""
    request_ids: Callable[[], str]
    """Makes an id for an answer without a request."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    limits: ClassVar[Limits]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._stage = _IDLE
        self._head_bytes = 0
        self._quiet_bytes = 0
        self._body_came = False
        self._large = False
        self._ending = False
        self._linger_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._refusal: ApiError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection if there is room for one more, and start the time for its first headers."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.settings.max_connections:
            self._refuse(ApiError(503, "the server has too many connections", headers={"retry-after": "1"}))
            self._count("connections")
        else:
            self._timer = self.loop.call_later(self.limits.settings.header_timeout_seconds, self._slow_head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_timer()
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came in; what is then still incomplete is bounded in size and time."""
        if self._ending or self.transport.is_closing():
            return
        if self._linger_bytes:
            self._drop(len(data))
            return
        before = self._stage
        self._large = len(data) > self.limits.settings.max_header_bytes
        self._body_came = False
        super().data_received(data)
        if self._ending or self.transport.is_closing():
            return
        if self._stage == _IDLE:
            if self._timer is not None:
                self._stop_timer()
        else:
            self._bound(before, len(data))

    def _bound(self, before: int, size: int) -> None:
        if self._stage == _HEAD:
            self._head_bytes = self._head_bytes + size if before == _HEAD else size
            if self._head_bytes > self.limits.settings.max_header_bytes:
                self._refuse(self._large_head())
            elif self._timer is None:
                self._timer = self.loop.call_later(self.limits.settings.header_timeout_seconds, self._slow_head)
            return
        self._quiet_bytes = self._quiet_bytes + size if before == _BODY and not self._body_came else 0
        if self._quiet_bytes > self.limits.settings.max_header_bytes:
            # Trailers, or the extension of a chunk, without end.
            self._refuse(self._large_head())
        elif self.cycle.response_complete:
            if self._timer is None:
                self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        elif self._timer is not None:
            # The application watches the time of the body.
            self._stop_timer()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that ends its side after a whole request still gets its answer: True keeps the connection."""
        if self._stage != _IDLE or self.cycle is None or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        self._ending = True
        return True

    def on_message_begin(self) -> None:
        """A request begins."""
        self._stage = _HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse too many headers, or start the request."""
        self._stage = _BODY
        headers = self.headers
        if len(headers) > MAX_HEADERS or (self._large and self._size_of_head() > self.limits.settings.max_header_bytes):
            self._refusal = self._large_head()
            raise _RefusedError
        if len(self.pipeline) > MAX_PIPELINED or self.parser.get_http_version() not in _VERSIONS:
            raise _RefusedError
        super().on_headers_complete()
        extensions: dict[str, Any] = {WHOLE_ANSWER: partial(self._answer, self.cycle), REQUESTS: self.tasks}
        self.scope["extensions"] = extensions
        # Trailers come through the same callback: they are no headers, and there may be no end of them.
        self.headers = _NO_TRAILERS

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_came = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._stage = _IDLE
        self.scope["extensions"][BODY_IS_THERE] = {}
        super().on_message_complete()

    def _answer(self, cycle: RequestResponseCycle, status: int, lines: bytes, body: bytes) -> bool:
        """What two calls of `cycle.send` do, in one write; `lines` says of the connection only that it closes."""
        if cycle.response_started or self.flow.write_paused or cycle.scope["method"] == "HEAD":
            return False
        if cycle.disconnected:
            return True
        unread = self._stage == _BODY and cycle is self.cycle
        if _CLOSE in lines:
            cycle.keep_alive = False
        elif unread or not cycle.keep_alive:
            cycle.keep_alive = False
            lines += _CLOSE
        default = [b"%b: %b\r\n" % header for header in cycle.default_headers]
        self.transport.write(b"".join([STATUS_LINE[status], *default, lines, b"\r\n", body]))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if unread:
            self._linger()
        else:
            if not cycle.keep_alive:
                self.transport.close()
            cycle.on_response()
        return True

    def _linger(self) -> None:
        """Wait a bounded time for the client to stop sending, and drop what it sends.

        A connection that is closed with unread bytes is reset, and the reset overtakes the answer.
        """
        self._linger_bytes = LINGER_BYTES
        self._stop_timer()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        self.flow.resume_reading()

    def _drop(self, size: int) -> None:
        self._linger_bytes -= size
        if self._linger_bytes <= 0:
            self.transport.abort()
        else:
            self.flow.pause_reading()
            self.loop.call_later(LINGER_PAUSE_SECONDS, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Give a client that is still sending its body a short time to end it."""
        super().on_response_complete()
        if self._stage == _BODY and self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """The client does not read: give it the time that it would have for a body."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.limits.settings.body_timeout_seconds, self._slow_reader)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no request, or too many, in the one shape of errors, and close."""
        del msg
        refusal, self._refusal = self._refusal, None
        if refusal is None:
            self._count("http")
        else:
            self._count("header_size")
        self._refuse(refusal or ApiError(400, "the request is not HTTP/1.1"))

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _large_head(self) -> ApiError:
        limit = self.limits.settings.max_header_bytes
        return ApiError(431, f"the headers are more than {limit} bytes or {MAX_HEADERS} fields")

    def _slow_head(self) -> None:
        self._timer = None
        self._count("header_timeout")
        if self._stage == _HEAD:
            seconds = self.limits.settings.header_timeout_seconds
            self._refuse(ApiError(408, f"the headers did not arrive in {seconds:g} s"))
        else:
            self.transport.abort()

    def _slow_reader(self) -> None:
        self._write_timer = None
        self._count("slow_reader")
        self.transport.abort()

    def _refuse(self, error: ApiError) -> None:
        """End the connection with an answer; after requests that are still being answered, without one."""
        self._stop_timer()
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            # The last that was understood: those before it are answered in order, then the connection closes.
            self.cycle.keep_alive = False
            self._ending = True
            return
        request_id = self.limits.request_ids()
        body = error.body(request_id)
        fields = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "x-request-id": request_id,
            "connection": "close",
            **(error.headers or {}),
        }
        lines = [f"{name}: {value}\r\n".encode() for name, value in fields.items()]
        self.transport.write(b"".join([STATUS_LINE[error.status], *lines, b"\r\n", body]))
        self.transport.close()

    def _count(self, reason: str) -> None:
        self.limits.refused(reason)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_NO_TRAILERS: Any = deque(maxlen=0)


def limited(shared: Limits) -> type[LimitedProtocol]:
    """The protocol with its limits, as uvicorn takes it: a class."""

    class Limited(LimitedProtocol):
        limits = shared

    return Limited
