import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from modelway_server.service import Service
from server_testing import CLASSES, NAMES, client_of, start

INFER = "/v2/models/sample/infer"
VALUES = [[1.5, 0.0, -1.0], [0.0, 2.0, 0.5]]


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "features", "shape": [2, 3], "datatype": "FP32", "data": VALUES} | changes


def infer(service: Service, body: Any, blob: bytes = b"", **headers: str) -> httpx.Response:
    async def send() -> httpx.Response:
        async with client_of(service) as client:
            content = json.dumps(body).encode()
            if blob:
                headers["inference-header-content-length"] = str(len(content))
            answer: httpx.Response = await client.post(INFER, content=content + blob, headers=headers)
            return answer

    return asyncio.run(send())


def outputs(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output for output in answer.json()["outputs"]}


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor()],
        [tensor(data=[value for row in VALUES for value in row])],
        [tensor(datatype="FP64")],
        [
            {"name": name, "shape": [2], "datatype": "FP32", "data": [row[column] for row in VALUES]}
            for column, name in reversed(list(enumerate(NAMES)))
        ],
        [
            {"name": name, "shape": [2, 1], "datatype": "FP64", "data": [[row[column]] for row in VALUES]}
            for column, name in enumerate(NAMES)
        ],
    ],
)
def test_every_form_of_the_same_rows_gives_the_same_answer(service: Service, inputs: list[Any]) -> None:
    answer = infer(service, {"id": "mine", "inputs": inputs})
    body, found = answer.json(), outputs(answer)
    assert (body["model_name"], body["model_version"], body["id"]) == ("sample", "v1", "mine")
    assert found["prediction"] == {"name": "prediction", "datatype": "BYTES", "shape": [2], "data": CLASSES[:2]}
    expected = np.exp(VALUES) / np.exp(VALUES).sum(axis=1, keepdims=True)
    assert found["probability"]["shape"] == [2, 3]
    assert found["probability"]["data"] == pytest.approx(expected.reshape(-1).tolist(), abs=1e-6)
    assert len(set(found["id"]["data"])) == 2


@pytest.mark.parametrize("kind", [("FP32", "<f4"), ("FP64", "<f8"), ("FP16", "<f2"), ("INT64", "<i8"), ("INT8", "i1")])
def test_numbers_of_every_type_are_read_from_bytes(service: Service, kind: tuple[str, str]) -> None:
    blob = np.array([[1, 0, -1]], dtype=kind[1]).tobytes()
    header = {"name": "features", "shape": [1, 3], "datatype": kind[0], "parameters": {"binary_data_size": len(blob)}}
    assert outputs(infer(service, {"inputs": [header]}, blob))["prediction"]["data"] == [CLASSES[0]]


def test_answers_come_as_bytes_behind_the_json_in_the_order_asked_for(service: Service) -> None:
    asked = [
        {"name": "probability", "parameters": {"binary_data": True}},
        {"name": "id", "parameters": {"binary_data": False}},
        {"name": "prediction", "parameters": {"binary_data": True}},
    ]
    answer = infer(service, {"inputs": [tensor()], "outputs": asked})
    length = int(answer.headers["inference-header-content-length"])
    first, second, third = json.loads(answer.content[:length])["outputs"]
    blob = answer.content[length:]
    assert answer.headers["content-type"] == "application/octet-stream"
    assert [first["parameters"], third["parameters"]] == [{"binary_data_size": 24}, {"binary_data_size": 23}]
    assert np.frombuffer(blob[:24], "<f4").reshape(2, 3).argmax(axis=1).tolist() == [0, 1]
    assert blob[24:] == b"\x06\x00\x00\x00benign\x09\x00\x00\x00malignant"
    assert len(second["data"]) == 2


def test_a_regression_answers_with_values_alone(regression: Path) -> None:
    found = outputs(infer(start(regression), {"inputs": [tensor()]}))
    assert list(found) == ["prediction", "id"]
    assert (found["prediction"]["datatype"], found["prediction"]["data"]) == ("FP32", [1.0, 3.0])


REFUSED: list[tuple[dict[str, Any], bytes, str]] = [
    ({"inputs": [tensor(name="other")]}, b"", "inputs.0.name: should be 'features' alone, or each feature once"),
    ({"inputs": [tensor(), tensor()]}, b"", "inputs.0.name: should be 'features' alone, or each feature once"),
    ({"inputs": [tensor(shape=[2])]}, b"", "inputs.0.data: 6 values do not fill the shape [2]"),
    ({"inputs": [tensor(shape=[3, 2])]}, b"", "inputs.0.shape: should be [rows, 3]"),
    ({"inputs": [tensor(shape=[0, 3], data=[])]}, b"", "inputs.0.shape: should have 1 to 3 rows"),
    ({"inputs": [tensor(shape=[4, 3], data=[0] * 12)]}, b"", "inputs.0.shape: should have 1 to 3 rows"),
    ({"inputs": [tensor(data=[[1, 2, 3], [1, 2]])]}, b"", "inputs.0.data: the rows are not of one length"),
    ({"inputs": [tensor(data=[1e39] * 6)]}, b"", "inputs.0.data: every value should be finite and fit FP32"),
    ({"inputs": [tensor(data=None)]}, b"", "inputs.0.data: the values are missing"),
    ({"inputs": [tensor(datatype="BYTES")]}, b"", "inputs.0.datatype: should be one of FP16, FP32, FP64"),
    ({"inputs": [tensor()], "outputs": [{"name": "x"}]}, b"", "outputs.0.name: should be one of prediction"),
    (
        {"inputs": [tensor()], "outputs": [{"name": "prediction", "parameters": {"classification": 1}}]},
        b"",
        "outputs.0.parameters: classification is not possible here",
    ),
    (
        {"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 99}}]},
        b"x" * 12,
        "inputs.0.parameters: binary_data_size is not the size of the bytes that follow",
    ),
    (
        {"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 11}}]},
        b"x" * 11,
        "inputs.0.parameters: binary_data_size is no multiple of the type's size",
    ),
    (
        {"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}]},
        np.array([1, np.nan, 1], "<f4").tobytes(),
        "inputs.0.data: every value should be finite and fit FP32",
    ),
    (
        {"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP16", "parameters": {"binary_data_size": 6}}]},
        np.array([1, np.inf, 1], "<f2").tobytes(),
        "inputs.0.data: every value should be finite and fit FP32",
    ),
]


@pytest.mark.parametrize(("body", "blob", "sentence"), REFUSED, ids=[case[2] for case in REFUSED])
def test_what_does_not_fit_is_named(service: Service, body: dict[str, Any], blob: bytes, sentence: str) -> None:
    answer = infer(service, body, blob)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"body.{sentence}")
    assert answer.json()["detail"][0]["loc"][0] == "body"


def test_bytes_behind_the_last_tensor_are_malformed(service: Service) -> None:
    answer = infer(service, {"inputs": [tensor()]}, b"more")
    assert (answer.status_code, answer.json()["error"]) == (400, "4 bytes follow the last tensor")
