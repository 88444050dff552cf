"""The admin port: `/metrics`, `/healthz`, `/readyz`."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from modelway_server.service import Phase


def create_admin(
    registry: CollectorRegistry,
    phase: Callable[[], Phase],
    before_scrape: Callable[[], None] = lambda: None,
    hangs: Callable[[], bool] = lambda: False,
) -> Starlette:
    """The ASGI application of the admin port.

    `before_scrape` brings the registry up to date; `hangs` says whether only a new process can help.
    """

    async def metrics(request: Request) -> Response:
        before_scrape()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    async def healthz(_request: Request) -> Response:
        if hangs():
            return JSONResponse({"status": "the model does not return"}, status_code=503)
        return JSONResponse({"status": "alive"})

    async def readyz(_request: Request) -> Response:
        now = phase()
        return JSONResponse({"status": now.value}, status_code=200 if now is Phase.SERVING else 503)

    return Starlette(routes=[Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)])
