import asyncio
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from modelway_server.runtimes import Model
from modelway_server.service import Phase, Service
from server_testing import CLASSES, NAMES, client_of, start

ROW: dict[str, Any] = dict(zip(NAMES, (1.5, 0, -1), strict=True))


def post(service: Service, **request: Any) -> httpx.Response:
    return ask(service, "POST", "/predict", **request)


def ask(service: Service, method: str, path: str, **request: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        async with client_of(service) as client:
            answer: httpx.Response = await client.request(method, path, **request)
            return answer

    return asyncio.run(send())


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def test_one_row_is_answered_with_single_values(service: Service) -> None:
    answer = post(service, json=ROW)
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["prediction", "probability", "id", "model", "version"]
    assert body["prediction"] == CLASSES[0]
    assert body["probability"] == pytest.approx(softmax([1.5, 0, -1]), abs=1e-6)
    assert (body["model"], body["version"], len(body["id"])) == ("sample", "v1", 32)


def test_rows_are_answered_with_lists_in_order(service: Service) -> None:
    body = post(service, json={"rows": [ROW, ROW | {"höhe": 7}]}).json()
    assert body["prediction"] == [CLASSES[0], CLASSES[2]]
    assert [len(row) for row in body["probability"]] == [3, 3]
    assert len(set(body["id"])) == 2
    assert (body["model"], body["version"]) == ("sample", "v1")


def test_the_order_of_the_keys_does_not_matter(service: Service) -> None:
    turned = dict(reversed(ROW.items()))
    assert post(service, json=turned).json()["prediction"] == post(service, json=ROW).json()["prediction"]


def test_a_regression_has_no_probability(regression: Path) -> None:
    service = start(regression)
    assert post(service, json=ROW).json()["prediction"] == 1.0
    body = post(service, json={"rows": [ROW, ROW]}).json()
    assert body["prediction"] == [1.0, 1.0]
    assert "probability" not in body


def test_names_of_the_environment_replace_those_of_the_artifact(classification: Path) -> None:
    service = start(classification, MODELWAY_MODEL="other", MODELWAY_VERSION="v7")
    answer = post(service, json=ROW)
    assert (answer.json()["model"], answer.json()["version"]) == ("other", "v7")
    assert answer.headers["x-modelway-version"] == "v7"


def test_rows_beyond_the_inline_limit_give_the_same_answer(service: Service) -> None:
    before = post(service, json={"rows": [ROW] * 3}).json()
    service._direct_rows = 1
    after = post(service, json={"rows": [ROW] * 3}).json()
    assert before | {"id": None} == after | {"id": None}


@pytest.mark.parametrize(
    ("milliseconds", "settings", "waits"),
    [(0.01, {}, False), (0.5, {}, False), (0.5, {"MODELWAY_BATCH_WAIT_MICROSECONDS": "100"}, True), (5, {}, True)],
)
def test_a_lone_request_waits_for_nothing_unless_the_model_is_slow_or_it_is_told_to(
    classification: Path, monkeypatch: pytest.MonkeyPatch, milliseconds: float, settings: dict[str, str], waits: bool
) -> None:
    service = start(classification, **settings)
    monkeypatch.setattr(service.model, "warm_up", lambda rows: rows * milliseconds / 1000)
    service.warm_up()
    rows = np.zeros((1, 3), dtype=np.float32)

    async def suspends() -> bool:
        answer = service.predict(rows)
        try:
            answer.send(None)
        except StopIteration:
            return False
        answer.close()
        return True

    assert asyncio.run(suspends()) == waits


FIELD_ERRORS: list[tuple[Any, list[Any], str, str]] = [
    ({**ROW, "höhe": "1"}, ["höhe"], "Input should be a valid number", "float_type"),
    ({**ROW, "höhe": True}, ["höhe"], "Input should be a valid number", "float_type"),
    ({**ROW, "höhe": None}, ["höhe"], "Input should be a valid number", "float_type"),
    ({**ROW, "höhe": [1]}, ["höhe"], "Input should be a valid number", "float_type"),
    ({**ROW, "höhe": math.nan}, ["höhe"], "Input should be a finite number", "finite_number"),
    ({**ROW, "höhe": -math.inf}, ["höhe"], "Input should be a finite number", "finite_number"),
    ({NAMES[0]: 1, NAMES[1]: 1}, ["höhe"], "the feature is missing", "missing"),
    ({**ROW, "mean radios": 1}, ["mean radios"], "unknown feature, did you mean 'mean radius'?", "extra_forbidden"),
    ({**ROW, "x": 1}, ["x"], "unknown feature", "extra_forbidden"),
    ([ROW], [], "should be an object with a number per feature", "model_type"),
    (None, [], "should be an object with a number per feature", "model_type"),
    ({"rows": []}, ["rows"], "should have 1 to 3 rows", "too_short"),
    ({"rows": [ROW] * 4}, ["rows"], "should have 1 to 3 rows", "too_long"),
    ({"rows": ROW}, ["rows"], "Input should be a valid list", "list_type"),
    ({"rows": [ROW, 1]}, ["rows", 1], "should be an object with a number per feature", "model_type"),
    ({"rows": [ROW, {**ROW, "höhe": "a"}]}, ["rows", 1, "höhe"], "Input should be a valid number", "float_type"),
    (
        {"rows": [ROW], "höhe": 1},
        ["höhe"],
        "stands beside 'rows': send one row, or put every row into 'rows'",
        "extra_forbidden",
    ),
]


@pytest.mark.parametrize(("body", "loc", "message", "kind"), FIELD_ERRORS)
def test_a_body_that_does_not_fit_names_the_field(
    service: Service, body: Any, loc: list[Any], message: str, kind: str
) -> None:
    answer = post(service, content=json.dumps(body))
    assert answer.status_code == 422
    assert answer.json() == {
        "error": ".".join(["body", *map(str, loc)]) + f": {message}",
        "request_id": answer.headers["x-request-id"],
        "detail": [{"loc": ["body", *loc], "msg": message, "type": kind}],
    }


@pytest.mark.parametrize("number", ["1e39", "1e400", "-1e400", "1" + "0" * 400])
def test_a_number_beyond_float32_is_refused(service: Service, number: str) -> None:
    answer = post(service, content=json.dumps(ROW).replace("1.5", number))
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "mean radius"]


def test_of_many_wrong_values_twenty_are_listed(service: Service) -> None:
    body = post(service, json={f"x{number}": 1 for number in range(60)}).json()
    assert len(body["detail"]) == 20
    assert body["error"] == "body.mean radius: the feature is missing (and 62 more)"


def test_of_many_wrong_rows_the_first_is_listed(classification: Path) -> None:
    body = post(start(classification), json={"rows": [ROW, {}, {}]}).json()
    assert [detail["loc"][:3] for detail in body["detail"]] == [["body", "rows", 1]] * 3


def test_a_row_with_far_too_many_values_is_counted_and_not_listed(service: Service) -> None:
    body = post(service, json={f"x{number}": 1 for number in range(104)}).json()
    assert body["error"] == "body: should have 3 values, not 104"


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"h\xff": 1}', b"[" * 1000, b"{'a': 1}", b'"\\ud800"', b"\xef\xbb\xbf{}"]
)
def test_what_is_no_json_is_malformed(service: Service, content: bytes) -> None:
    answer = post(service, content=content)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the body is not JSON: ")


def test_a_form_is_no_json(service: Service) -> None:
    answer = post(service, data={"a": "b"})
    assert answer.status_code == 415
    assert answer.json()["error"] == ("the content-type is 'application/x-www-form-urlencoded', send application/json")


def test_a_compressed_body_is_refused(service: Service) -> None:
    answer = post(service, content=b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["error"]) == (415, "the body is encoded as 'gzip', send it as it is")


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "application/vnd.api+json", "APPLICATION/JSON"])
def test_any_json_content_type_is_taken(service: Service, media: str) -> None:
    assert post(service, content=json.dumps(ROW), headers={"content-type": media}).status_code == 200


def test_a_declared_size_over_the_limit_is_refused_unread(service: Service) -> None:
    answer = post(service, content=b"x" * 2001)
    assert (answer.status_code, answer.json()["error"]) == (413, "the body is larger than 2000 bytes")
    assert answer.headers["connection"] == "close"


def test_a_body_without_declared_size_is_counted(service: Service) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1_000_000

    answer = post(service, content=endless())
    assert (answer.status_code, answer.json()["error"]) == (413, "the body is larger than 2000 bytes")


def test_a_body_that_does_not_end_times_out(classification: Path) -> None:
    service = start(classification, MODELWAY_BODY_TIMEOUT_SECONDS="0.05")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    answer = post(service, content=chunks())
    assert (answer.status_code, answer.json()["error"]) == (408, "the body did not arrive in 0.05 s")


def test_another_method_is_refused_with_the_right_one(service: Service) -> None:
    answer = ask(service, "GET", "/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json() == {
        "error": "GET is not possible here, use POST",
        "request_id": answer.headers["x-request-id"],
    }


def test_another_path_is_not_found(service: Service) -> None:
    answer = ask(service, "GET", "/metrics")
    assert answer.status_code == 404
    assert answer.json()["error"] == "there is nothing at this path: POST rows to /predict, or read /docs"


def test_a_failure_shows_no_trace(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_self: Model, _rows: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Model, "predict", fail)
    answer = post(service, json=ROW, headers={"x-request-id": "abc"})
    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "the server failed; see its log for this request id", "request_id": "abc"},
    )
    (record,) = [record for record in caplog.records if record.name == "modelway"]
    assert record.exc_info is not None
    assert vars(record)["fields"] == {"request_id": "abc"}


def test_an_answer_that_is_no_number_is_a_failure(regression: Path) -> None:
    huge = dict.fromkeys(NAMES, 3.0e38)
    assert post(start(regression), json=huge).status_code == 500


def test_an_undeclared_class_is_a_failure_of_one_line(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    # Values of a stranger may lead to it: a trace per request would fill the log.
    service.model._engine = lambda rows: (np.full(len(rows), 7), np.zeros((len(rows), 3)))
    assert post(service, json=ROW).status_code == 500
    (record,) = [record for record in caplog.records if record.name == "modelway"]
    assert (record.getMessage(), record.exc_info) == ("class 7 of 3", None)


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("a b", False), ("x" * 129, False), ("", False)])
def test_a_harmless_request_id_is_echoed(service: Service, given: str, kept: bool) -> None:
    answer = post(service, json=ROW, headers={"x-request-id": given})
    assert (answer.headers["x-request-id"] == given) is kept
    assert answer.headers["x-request-id"]


def test_while_draining_requests_are_answered_and_connections_closed(service: Service) -> None:
    service.phase = Phase.DRAINING
    answer = post(service, json=ROW)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_the_documentation_names_every_feature_and_works_behind_a_prefix(service: Service) -> None:
    document = ask(service, "GET", "/openapi.json").json()
    assert document["servers"] == [{"url": "."}]
    schemas = document["components"]["schemas"]
    assert list(schemas["Row"]["properties"]) == NAMES
    assert schemas["Row"]["required"] == NAMES
    assert schemas["Row"]["additionalProperties"] is False
    assert schemas["Row"]["properties"]["höhe"]["description"] == "float32; -1 to 2 in the training data"
    assert schemas["Rows"]["properties"]["rows"]["maxItems"] == 3
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"oneOf": [{"$ref": "#/components/schemas/Row"}, {"$ref": "#/components/schemas/Rows"}]}
    assert "url: 'openapi.json'" in ask(service, "GET", "/docs").text


def test_a_root_path_is_the_server_of_the_documentation(classification: Path) -> None:
    service = start(classification, MODELWAY_ROOT_PATH="/breast-cancer/v1")
    assert ask(service, "GET", "/openapi.json").json()["servers"] == [{"url": "/breast-cancer/v1"}]
