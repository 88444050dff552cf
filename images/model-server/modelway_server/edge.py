"""The outermost layer of the public port: request ids, headers, metrics, access log; no stack trace passes it."""

import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelway_server import log
from modelway_server.service import Phase, Service

# Anything else could break a log line or be used to write headers.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~+/=-]{1,128}")


def request_id_of(scope: Scope) -> str:
    """The request id that `Edge` gave the request."""
    return str(scope["state"]["request_id"])


class Edge:
    """Wraps the application of the public port."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers["x-modelway-version"] = self._service.version
                if self._service.phase is Phase.DRAINING:
                    # The client opens its next connection, and the gateway sends that one elsewhere.
                    headers["connection"] = "close"
            await send(message)

        counted = scope["path"] == "/predict"
        started = time.perf_counter()
        if counted:
            self._service.metrics.in_flight.inc()
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            # The application has already answered 500; the reason belongs into the log only.
            log.LOGGER.exception("request failed", extra={"fields": {"request_id": request_id}})
        finally:
            seconds = time.perf_counter() - started
            if counted:
                self._service.metrics.in_flight.dec()
                self._service.metrics.request(status, seconds)
            if self._service.settings.access_log:
                self._log(scope, status, seconds, request_id)

    def _log(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        log.event(
            "request",
            method=scope["method"],
            path=scope["path"],
            code=status,
            duration_ms=round(seconds * 1000, 3),
            request_id=request_id,
            model=self._service.name,
            version=self._service.version,
        )
