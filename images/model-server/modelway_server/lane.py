"""The public port's outermost layer: request ids, access, limits, metrics and log, and the fast lane.

Hot routes are found by one look-up and answered here; every other request goes to the framework's application,
which declares the hot routes as well and answers them with the same endpoints.
"""

import re
import time
from collections.abc import Mapping
from typing import NoReturn

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelway_server import log, trace_context
from modelway_server.call import CLOSE, WHOLE_ANSWER, Call, Endpoint, Reply, reply_to
from modelway_server.errors import INTERNAL, ApiError, overload
from modelway_server.metrics import known_assignment
from modelway_server.runtimes import NonFiniteError, UndeclaredError
from modelway_server.service import Phase, Service
from modelway_server.subjects import ASSIGNMENT, SPLIT

# Anything else could break a log line or be used to write headers.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~+/=-]{1,128}")


class Lane:
    """Wraps the application of the public port.

    `counted` are the paths whose requests are predictions: they show in the metrics and count for the limit.
    `open_paths` need no API key.
    """

    def __init__(
        self,
        app: ASGIApp,
        service: Service,
        hot: Mapping[tuple[str, str], Endpoint],
        counted: frozenset[str],
        open_paths: frozenset[str],
    ) -> None:
        self._app = app
        self._service = service
        self._hot = dict(hot)
        self._counted = counted
        self._open = open_paths
        self._limit = service.settings.max_concurrency
        self._shadow = service.settings.shadow
        self._version = (b"x-modelway-version", service.version.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        service, path = self._service, scope["path"]
        started = time.perf_counter()
        head = dict(scope["headers"])
        given = head.get(b"x-request-id")
        known = given is not None and _REQUEST_ID.fullmatch(given)
        call = Call(scope, receive, head, given.decode() if given and known else service.request_ids())
        counted = path in self._counted
        if counted:
            service.in_flight += 1
        try:
            if service.keys is not None and path not in self._open:
                service.keys.check(head)
            if service.in_flight > self._limit and counted:
                self._overload()
            endpoint = self._hot.get((scope["method"], path))
            if endpoint is None:
                await self._framework(call, send)
            else:
                await self._send(await endpoint(call), call, send)
        except ClientDisconnect:
            call.status = 499
        except Exception as error:
            await self._failed(error, call, send)
        finally:
            seconds = time.perf_counter() - started
            if counted:
                service.in_flight -= 1
                self._count(call, seconds)
            if service.settings.access_log:
                self._log(call, seconds, self._assignment(head))
            # What sends the whole answer refers to the request, and that to the scope: without this, every request
            # leaves objects to the garbage collector, whose visits are then most of the 99th percentile.
            scope.get("extensions", {}).clear()

    def _count(self, call: Call, seconds: float) -> None:
        """Count and record a request for a prediction that just ended."""
        service, head, assignment = self._service, call.head, self._assignment(call.head)
        service.metrics.request(call.status, seconds, assignment)
        if (client := head.get(b"x-modelway-client")) is not None:
            service.metrics.client(client)
        if service.subjects is not None:
            service.subjects.request(head, call.status, seconds, call.prediction)
        if service.tracer is not None:
            service.tracer.record(call, seconds, known_assignment(assignment))

    def _assignment(self, head: Mapping[bytes, bytes]) -> bytes | None:
        """The gateway's reason for this version; a copy for a shadow says the reason of its original."""
        given = head.get(ASSIGNMENT)
        return b"shadow" if given == SPLIT and self._shadow else given

    def _overload(self) -> NoReturn:
        raise overload(f"{self._limit} requests are being answered")

    async def _send(self, reply: Reply, call: Call, send: Send) -> None:
        call.status = reply.status
        headers = [
            (b"content-length", b"%d" % len(reply.body)),
            (b"content-type", reply.media),
            *reply.headers,
            (b"x-request-id", call.request_id.encode()),
            self._version,
        ]
        if self._service.phase is Phase.DRAINING:
            headers.append(CLOSE)
        extensions = call.scope.get("extensions")
        if extensions and WHOLE_ANSWER in extensions:
            lines = b"".join([b"%b: %b\r\n" % header for header in headers])
            if extensions[WHOLE_ANSWER](reply.status, lines, reply.body):
                return
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _framework(self, call: Call, send: Send) -> None:
        """Let the framework answer, and add the headers that every answer has."""
        state = call.scope.setdefault("state", {})
        state["call"] = call

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                call.answered = True
                headers = [*message["headers"], (b"x-request-id", call.request_id.encode()), self._version]
                if self._service.phase is Phase.DRAINING:
                    headers.append(CLOSE)
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(call.scope, call.receive, send_on)
        finally:
            # It refers to the scope that refers to it.
            del state["call"]

    async def _failed(self, error: Exception, call: Call, send: Send) -> None:
        fields = {"request_id": call.request_id}
        if isinstance(error, NonFiniteError | UndeclaredError):
            # Values of a stranger can cause it: one line, no trace.
            log.LOGGER.error(str(error), extra={"fields": fields})
        elif not isinstance(error, ApiError):
            log.LOGGER.error("request failed", exc_info=error, extra={"fields": fields})
        if not call.answered:
            known = error if isinstance(error, ApiError) else INTERNAL
            await self._send(reply_to(known, call.request_id), call, send)

    def _log(self, call: Call, seconds: float, assignment: bytes | None) -> None:
        more: dict[str, object] = {"prediction_ids": call.ids} if call.ids else {}
        if (trace := trace_context.PARENT.fullmatch(call.head.get(trace_context.HEADER, b""))) is not None:
            more |= {"trace_id": trace[1].decode(), "span_id": trace[2].decode()}
        if call.rows is not None and self._service.settings.log_features:
            more["features"] = call.rows.tolist()
        log.event(
            "request",
            method=call.scope["method"],
            path=call.scope["path"],
            code=call.status,
            duration_ms=round(seconds * 1000, 3),
            request_id=call.request_id,
            model=self._service.name,
            version=self._service.version,
            digest=self._service.model.digest,
            assignment=known_assignment(assignment),
            **more,
        )
