"""The public port: an ordinary FastAPI application, behind the lane that answers its hot routes."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from modelway_server.call import Call, Endpoint, Reply, reply_to
from modelway_server.errors import INTERNAL, ApiError, ErrorAnswer
from modelway_server.feedback import FeedbackAnswer, Item, Items
from modelway_server.lane import Lane
from modelway_server.oip import InferAnswer, InferRequest
from modelway_server.requests import answer_model
from modelway_server.routes import FEEDBACK, HEALTH_PATHS, PREDICT, hot_routes, prediction_paths
from modelway_server.service import Service

REFUSALS = {
    400: "The body is not JSON.",
    401: "The API key is missing or unknown.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not sent as application/json, or is compressed.",
    422: "The body does not fit the signature; `detail` names the values.",
    500: "The server failed; its log has the reason under the request id.",
    503: "Too many requests; try again after `Retry-After` seconds.",
    504: "The model did not answer in time.",
}
FEEDBACK_REFUSALS = {code: REFUSALS[code] for code in (400, 401, 408, 413, 415, 422)} | {
    403: "The id was not signed by this service.",
    409: "There was feedback on this prediction before.",
    410: "The prediction is too old.",
    421: "The prediction is of a version with other classes.",
}


def create_app(service: Service, fast: bool = True) -> ASGIApp:
    """The ASGI application of the public port; without `fast` the framework answers all routes, for comparison."""
    app = FastAPI(
        title=service.name,
        version=service.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # A redirect would name the host that the client sent, without the prefix that the gateway stripped.
        redirect_slashes=False,
        # Relative: right behind any prefix that a gateway strips.
        servers=[{"url": service.settings.root_path or "."}],
    )
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)
    hot = hot_routes(service)
    _add_predict(app, service, hot["POST", PREDICT])
    if ("POST", FEEDBACK) in hot:
        _add_feedback(app, hot["POST", FEEDBACK])
    _add_oip(app, service, hot)
    _add_docs(app, service)
    return Lane(app, service, hot if fast else {}, prediction_paths(service), HEALTH_PATHS)


def _response(reply: Reply) -> Response:
    """A reply as the framework sends it."""
    response = Response(reply.body, reply.status, media_type=reply.media.decode())
    response.raw_headers.extend(reply.headers)
    return response


async def _answer(request: Request, endpoint: Endpoint) -> Response:
    call = _call_of(request)
    try:
        return _response(await endpoint(call))
    except ApiError as error:
        return _refused(error, request)


def _refused(error: ApiError, request: Request) -> Response:
    return _response(reply_to(error, _call_of(request).request_id))


def _call_of(request: Request) -> Call:
    call: Call = request.scope["state"]["call"]
    return call


def _add_predict(app: FastAPI, service: Service, endpoint: Endpoint) -> None:
    @app.post(
        PREDICT,
        response_model=answer_model(service.model.signature),
        responses=_refusals(),
        summary="Predict one row, or many",
    )
    async def predict(request: Request) -> Response:
        return await _answer(request, endpoint)


def _add_feedback(app: FastAPI, endpoint: Endpoint) -> None:
    responses = _refusals(FEEDBACK_REFUSALS)

    @app.post(FEEDBACK, response_model=FeedbackAnswer, responses=responses, summary="Say what became of a prediction")
    async def feedback(request: Request) -> Response:
        return await _answer(request, endpoint)


def _add_oip(app: FastAPI, service: Service, hot: Mapping[tuple[str, str], Endpoint]) -> None:
    """The Open Inference Protocol; names that are not served are 404."""

    async def of_server(request: Request) -> Response:
        return await _answer(request, hot[request.method, request.scope["path"]])

    async def of_version(request: Request, model: str, version: str) -> Response:
        if (model, version) == (service.name, service.version):
            return await of_server(request)
        text = f"there is no model {model[:100]!r} with version {version[:100]!r} here"
        return _refused(ApiError(404, text), request)

    async def of_model(request: Request, model: str) -> Response:
        return await of_version(request, model, service.version)

    for path in ("/v2", *sorted(HEALTH_PATHS)):
        app.get(path, response_model=dict[str, Any], summary="Health or metadata of the server")(of_server)
    for path, endpoint in (("/v2/models/{model}", of_model), ("/v2/models/{model}/versions/{version}", of_version)):
        app.get(path, response_model=dict[str, Any], summary="Metadata of the model")(endpoint)
        app.get(f"{path}/ready", response_model=dict[str, Any], summary="Readiness of the model")(endpoint)
        options: dict[str, Any] = {"response_model": InferAnswer, "responses": _refusals(), "summary": "Infer"}
        app.post(f"{path}/infer", **options)(endpoint)


def _refusals(texts: Mapping[int, str] = REFUSALS) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": ErrorAnswer, "description": text} for code, text in texts.items()}


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
    # The endpoints read the bodies themselves, so the framework does not know their types.
    bodies: dict[str, tuple[type[BaseModel], ...]] = {
        PREDICT: (service.parser.row, service.parser.rows),
        FEEDBACK: (Item, Items),
    }
    models: list[type[BaseModel]] = [InferRequest, *(model for pair in bodies.values() for model in pair)]
    kinds, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    document["components"]["schemas"].update(schemas["$defs"])
    for path, operations in document["paths"].items():
        if "post" in operations:
            found = [kinds[model, "validation"] for model in bodies.get(path, (InferRequest,))]
            content = {"application/json": {"schema": {"oneOf": found} if len(found) > 1 else found[0]}}
            operations["post"]["requestBody"] = {"required": True, "content": content}
    return document


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
    refusal = ApiError(error.status_code, text, headers=error.headers)
    return _refused(refusal, request)


async def _internal_error(request: Request, _error: Exception) -> Response:
    return _refused(INTERNAL, request)
