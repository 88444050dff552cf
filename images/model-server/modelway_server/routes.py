"""The hot routes: what both lanes answer with."""

from typing import Any

import orjson

from modelway_server.call import Call, Endpoint, Reply, check_json, read_body
from modelway_server.feedback import Feedback
from modelway_server.oip import infer_endpoint, metadata_endpoints
from modelway_server.service import Service

PREDICT = "/predict"
FEEDBACK = "/feedback"

HEALTH_PATHS = frozenset({"/v2/health/live", "/v2/health/ready"})
"""They need no API key."""


def infer_paths(service: Service) -> list[str]:
    """Paths of inference by the Open Inference Protocol."""
    model = f"/v2/models/{service.name}"
    return [f"{model}/infer", f"{model}/versions/{service.version}/infer"]


def prediction_paths(service: Service) -> frozenset[str]:
    """Paths whose requests are predictions: they show in the metrics."""
    return frozenset({PREDICT, *infer_paths(service)})


def hot_routes(service: Service) -> dict[tuple[str, str], Endpoint]:
    """Everything that the fast lane answers, by method and path."""
    infer = infer_endpoint(service)
    return {
        ("POST", PREDICT): predict_endpoint(service),
        **{("POST", path): infer for path in infer_paths(service)},
        **metadata_endpoints(service),
        **({("POST", FEEDBACK): feedback_endpoint(service, service.feedback)} if service.feedback else {}),
    }


def predict_endpoint(service: Service) -> Endpoint:
    """`POST /predict`: one row or many, by name."""
    settings, parse, name, version = service.settings, service.parser.parse, service.name, service.version

    async def predict(call: Call) -> Reply:
        check_json(call.head)
        rows, many = parse(await read_body(call, settings))
        output = await service.predict(rows, call.has_company())
        call.rows = rows
        call.ids, call.prediction = service.issue_ids(call.head, output.prediction), output.prediction[0]
        answer: dict[str, Any] = {"prediction": output.prediction if many else output.prediction[0]}
        if output.probability is not None:
            answer["probability"] = output.probability if many else output.probability[0]
        answer["id"] = call.ids if many else call.ids[0]
        answer["model"] = name
        answer["version"] = version
        return Reply(orjson.dumps(answer))

    return predict


def feedback_endpoint(service: Service, feedback: Feedback) -> Endpoint:
    """`POST /feedback`: what became of predictions."""

    async def score(call: Call) -> Reply:
        check_json(call.head)
        return Reply(orjson.dumps(feedback.score(await read_body(call, service.settings))))

    return score
