"""One table of cases for both lanes: whether a route is hot must not be seen from outside."""

import asyncio
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from modelway_server.app import create_app
from modelway_server.service import Phase, Service
from server_testing import CLASSES, NAMES, start

ROW: dict[str, Any] = dict(zip(NAMES, (1.5, 0, -1), strict=True))
TENSOR = {"name": "features", "shape": [1, 3], "datatype": "FP32", "data": [1.5, 0, -1]}
COLUMNS = [{"name": name, "shape": [1], "datatype": "FP64", "data": [ROW[name]]} for name in NAMES]
INFER = "/v2/models/sample/infer"
BLOB = np.array([[1.5, 0, -1]], dtype="<f4").tobytes()
HEADER = json.dumps(
    {"inputs": [{k: TENSOR[k] for k in ("name", "shape", "datatype")} | {"parameters": {"binary_data_size": 12}}]}
).encode()


class Case(NamedTuple):
    method: str
    path: str
    content: bytes | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    status: int = 200


def post(body: Any, status: int = 200, path: str = "/predict", **headers: str) -> Case:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Case("POST", path, content, {name.replace("_", "-"): value for name, value in headers.items()}, status)


def infer(body: Any, status: int = 200, **headers: str) -> Case:
    return post(body, status, INFER, **headers)


def feedback(body: Any, status: int = 200, **headers: str) -> Case:
    return post(body, status, "/feedback", **headers)


FORGED = {"id": "A" * 80, "truth": CLASSES[0]}
CASES = [
    post(ROW),
    post({"rows": [ROW, ROW]}),
    post({"rows": [ROW] * 3}, content_type="application/json; charset=utf-8"),
    post(dict(reversed(ROW.items()))),
    post(b' \n{"rows" :[' + json.dumps(ROW).encode() + b"]}"),
    post(b"", 400),
    post(b"{", 400),
    post(b"[" * 1000, 400),
    post(b'{"h\xff": 1}', 400),
    post([ROW], 422),
    post({}, 422),
    post({**ROW, "x": 1}, 422),
    post({**ROW, "höhe": "1"}, 422),
    post({"rows": []}, 422),
    post({"rows": [ROW] * 4}, 422),
    post({"rows": [ROW], "x": 1}, 422),
    post(ROW, 415, content_type="text/plain"),
    post(ROW, 415, content_encoding="gzip"),
    post(b"x" * 2001, 413),
    post(ROW, x_request_id="mine"),
    post(ROW, x_request_id="not mine"),
    infer({"inputs": [TENSOR]}),
    infer({"inputs": COLUMNS, "id": "one", "outputs": [{"name": "prediction"}]}),
    infer({"inputs": [TENSOR | {"data": [[1.5, 0, -1]]}], "parameters": {"binary_data_output": True}}),
    infer(HEADER + BLOB, inference_header_content_length=str(len(HEADER)), content_type="application/octet-stream"),
    infer({"inputs": []}, 422),
    infer({"inputs": [TENSOR | {"shape": [1, 2]}]}, 422),
    infer(b"{", 400),
    infer(HEADER + BLOB, 400, inference_header_content_length="9999"),
    post({"inputs": [TENSOR]}, path="/v2/models/sample/versions/v1/infer"),
    post({"inputs": [TENSOR]}, 404, "/v2/models/sample/versions/v2/infer"),
    post({"inputs": [TENSOR]}, 404, "/v2/models/other/infer"),
    Case("GET", "/v2"),
    Case("GET", "/v2/health/live"),
    Case("GET", "/v2/health/ready"),
    Case("GET", "/v2/models/sample"),
    Case("GET", "/v2/models/sample/ready"),
    Case("GET", "/v2/models/sample/versions/v1"),
    Case("GET", "/v2/models/sample/versions/v1/ready"),
    Case("GET", "/v2/models/other", status=404),
    Case("GET", "/predict", status=405),
    Case("GET", INFER, status=405),
    Case("PUT", "/v2/models/sample", status=405),
    Case("GET", "/", status=404),
    Case("GET", "/v2/models/sample/", status=404),
    post(ROW, 404, "/predict/"),
    Case("GET", "/docs"),
    Case("GET", "/openapi.json"),
    feedback(FORGED, 404),
]

WITH_A_KEY = [
    feedback({"items": [FORGED, FORGED]}),
    feedback(FORGED, 403),
    feedback({"truth": CLASSES[0]}, 422),
    feedback({"items": []}, 422),
    feedback({"items": [FORGED] * 201}, 413),
    feedback(b"{", 400),
    feedback(FORGED, 415, content_type="text/plain"),
    Case("GET", "/feedback", status=405),
    Case("GET", "/openapi.json"),
]


def answers(service: Service, case: Case) -> list[httpx.Response]:
    async def send() -> list[httpx.Response]:
        found = []
        for fast in (True, False):
            transport = httpx.ASGITransport(create_app(service, fast), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                request = {"content": case.content, "headers": case.headers}
                found.append(await client.request(case.method, case.path, **request))
        return found

    return asyncio.run(send())


def seen(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """What a client sees, without what is new in each answer."""
    body = re.sub(rb"[0-9a-f]{32}", b"ID", answer.content)
    return answer.status_code, body, dict(answer.headers) | {"x-request-id": "", "date": ""}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method}-{case.path}-{case.status}")
def test_both_lanes_give_the_same_answer(service: Service, case: Case) -> None:
    fast, framework = answers(service, case)
    assert fast.status_code == case.status
    assert seen(fast) == seen(framework)


@pytest.mark.parametrize("case", WITH_A_KEY, ids=lambda case: f"{case.method}-{case.path}-{case.status}")
def test_both_lanes_give_the_same_answer_where_feedback_is_taken(scored: Service, case: Case) -> None:
    fast, framework = answers(scored, case)
    assert fast.status_code == case.status
    assert seen(fast) == seen(framework)


def test_both_lanes_count_feedback_once(scored: Service) -> None:
    first, second = (scored.ids.issue(CLASSES[0]) for _ in range(2))
    fast, framework = answers(scored, feedback({"id": first, "truth": CLASSES[0]}))
    assert (fast.status_code, framework.status_code) == (200, 409)
    fast, framework = answers(scored, feedback({"id": second, "truth": "none of them"}))
    assert (fast.status_code, seen(fast)) == (422, seen(framework))


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.DRAINING])
def test_both_lanes_follow_the_phase(service: Service, phase: Phase) -> None:
    service.phase = phase
    for path, status in (("/v2/health/live", 200), ("/v2/health/ready", 503), ("/v2/models/sample/ready", 503)):
        fast, framework = answers(service, Case("GET", path))
        assert fast.status_code == status
        assert seen(fast) == seen(framework)
        assert ("connection" in fast.headers) is (phase is Phase.DRAINING)


def test_every_hot_route_is_declared_and_counted_alike(service: Service) -> None:
    document = json.loads(answers(service, Case("GET", "/openapi.json"))[0].content)
    assert {path: sorted(operations) for path, operations in document["paths"].items()} == {
        "/predict": ["post"],
        "/v2": ["get"],
        "/v2/health/live": ["get"],
        "/v2/health/ready": ["get"],
        "/v2/models/{model}": ["get"],
        "/v2/models/{model}/ready": ["get"],
        "/v2/models/{model}/infer": ["post"],
        "/v2/models/{model}/versions/{version}": ["get"],
        "/v2/models/{model}/versions/{version}/ready": ["get"],
        "/v2/models/{model}/versions/{version}/infer": ["post"],
    }


def test_a_failure_is_the_same_answer_on_both_lanes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_rows: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(service.model, "predict", fail)
    fast, framework = answers(service, post(ROW))
    assert fast.status_code == 500
    assert seen(fast) == seen(framework)
    assert b"secret" not in fast.content


def test_too_many_requests_at_once_are_told_when_to_come_back(service: Service) -> None:
    service.in_flight = 512
    fast, framework = answers(service, post(ROW))
    assert (fast.status_code, fast.headers["retry-after"]) == (503, "1")
    assert seen(fast) == seen(framework)


def test_keys_are_asked_for_on_both_lanes(classification: Any, tmp_path: Any) -> None:
    digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"  # of the word "key"
    (tmp_path / "keys").write_text(f"# first\nmine:{digest}\n{'0' * 64}\n")
    service = start(classification, MODELWAY_API_KEY_FILE=str(tmp_path / "keys"))
    expected = {
        (): 401,
        ("x-api-key", "other"): 401,
        ("authorization", "Basic key"): 401,
        ("x-api-key", "key"): 200,
        ("authorization", "Bearer key"): 200,
        ("authorization", "bearer key"): 200,
    }
    for pair, status in expected.items():
        headers = {pair[0]: pair[1]} if pair else {}
        fast, framework = answers(service, Case("POST", "/predict", json.dumps(ROW).encode(), headers))
        assert fast.status_code == status
        assert seen(fast) == seen(framework)
    refused = answers(service, Case("GET", "/docs"))[0]
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert answers(service, Case("GET", "/v2/health/ready"))[0].status_code == 200
