"""The public port: `/predict`, `/docs`, `/openapi.json`."""

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from modelway_server.edge import Edge, request_id_of
from modelway_server.errors import ApiError, ErrorAnswer, answer
from modelway_server.requests import answer_model
from modelway_server.service import Service

REFUSALS = {
    400: "The body is not JSON.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not sent as application/json, or is compressed.",
    422: "The body does not fit the signature; `detail` names the values.",
    500: "The server failed; its log has the reason under the request id.",
}


def create_app(service: Service) -> ASGIApp:
    """The ASGI application of the public port."""
    app = FastAPI(
        title=service.name,
        version=service.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Relative: right behind any prefix that a gateway strips.
        servers=[{"url": service.settings.root_path or "."}],
    )
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    app.add_exception_handler(Exception, _internal_error)
    _add_predict(app, service)
    _add_docs(app, service)
    return Edge(app, service)


def _add_predict(app: FastAPI, service: Service) -> None:
    @app.post(
        "/predict",
        response_model=answer_model(service.model.signature),
        responses={code: {"model": ErrorAnswer, "description": text} for code, text in REFUSALS.items()},
        summary="Predict one row, or many",
    )
    async def predict(request: Request) -> Response:
        body = await read_body(request, service)
        return Response(to_json(await service.predict(body)), media_type="application/json")


def _add_docs(app: FastAPI, service: Service) -> None:
    document = to_json(_openapi(app, service))

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return Response(document, media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        # Swagger UI's script and style come from FastAPI's public CDN, the only thing external to the server.
        return get_swagger_ui_html(openapi_url="openapi.json", title=service.name, swagger_favicon_url="data:,")


def _openapi(app: FastAPI, service: Service) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes, servers=app.servers)
    kinds, schemas = models_json_schema(
        [(service.parser.row, "validation"), (service.parser.rows, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    document["components"]["schemas"].update(schemas["$defs"])
    document["paths"]["/predict"]["post"]["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": {"oneOf": list(kinds.values())}}},
    }
    return document


async def read_body(request: Request, service: Service) -> bytes:
    """The body, refused as soon as it is known to be too large, too slow or no JSON."""
    limit, timeout_seconds = service.settings.max_body_bytes, service.settings.body_timeout_seconds
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        raise ApiError(415, f"the content-type is {media[:100]!r}, send application/json")
    coding = request.headers.get("content-encoding", "identity").lower()
    if coding != "identity":
        raise ApiError(415, f"the body is encoded as {coding[:100]!r}, send it as it is")
    # An unread rest of the body would be taken for the next request: such a connection is closed.
    close = {"connection": "close"}
    too_large = ApiError(413, f"the body is larger than {limit} bytes", headers=close)
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise too_large
    chunks, size = [], 0
    try:
        async with asyncio.timeout(timeout_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise too_large
                chunks.append(chunk)
    except TimeoutError:
        raise ApiError(408, f"the body did not arrive in {timeout_seconds:g} s", headers=close) from None
    return b"".join(chunks)


async def _api_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return answer(error, request_id_of(request.scope))


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        text = f"{request.method} is not possible here, use {allowed}"
    elif error.status_code == 404:
        text = "there is nothing at this path: POST rows to /predict, or read /docs"
    else:
        text = str(error.detail)
    return answer(ApiError(error.status_code, text, headers=error.headers), request_id_of(request.scope))


async def _client_gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)


async def _internal_error(request: Request, _error: Exception) -> Response:
    return answer(ApiError(500, "the server failed; see its log for this request id"), request_id_of(request.scope))
