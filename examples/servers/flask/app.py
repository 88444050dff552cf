"""A model behind Flask and gunicorn, which serves the same paths on both ports."""

from flask import Flask, Response, request
from model import MODEL, VERSION
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

app = Flask(__name__)


@app.post("/predict")
def predict() -> Response:
    """A prediction for one row or many."""
    status, answer = MODEL.respond(request.get_data())
    return Response(answer, status, {"x-modelway-version": VERSION}, content_type="application/json")


# The model is loaded before gunicorn's worker serves: whoever is answered at all is ready.
@app.get("/healthz")
@app.get("/readyz")
def ready() -> dict[str, str]:
    """For Kubernetes; only `/predict` is routed to users."""
    return {"status": "ok"}


@app.get("/metrics")
def metrics() -> Response:
    """For Prometheus; only `/predict` is routed to users."""
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
