"""A model behind FastAPI and uvicorn, on one port: deploy it with `container: {adminPort: 8080}`."""

import os

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from model import MODEL, VERSION
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

app = FastAPI(title="A model behind FastAPI")


@app.post("/predict")
async def predict(request: Request) -> Response:
    """A prediction for one row or many."""
    status, answer = await run_in_threadpool(MODEL.respond, await request.body())
    return Response(answer, status, {"x-modelway-version": VERSION}, "application/json")


# The model is loaded before the port listens: whoever is answered at all is ready.
@app.get("/healthz")
@app.get("/readyz")
async def ready() -> dict[str, str]:
    """For Kubernetes; never routed to users."""
    return {"status": "ok"}


@app.get("/metrics")
async def metrics() -> Response:
    """For Prometheus; never routed to users."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="0.0.0.0",  # noqa: S104
        port=int(os.environ.get("PORT", "8080")),
        # Longer than the gateway keeps an idle connection: else it writes into one that this server just closed.
        timeout_keep_alive=75,
        # SIGTERM: uvicorn accepts nothing more, and answers what it has.
        timeout_graceful_shutdown=30,
    )
