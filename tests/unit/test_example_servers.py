"""The servers in `examples/servers` keep the contract of `runtime: container`."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from onnx import TensorProto, helper

SERVERS = Path(__file__).resolve().parents[2] / "examples/servers"
NAMES = ("fastapi", "flask", "tornado")
COMMANDS = {name: ["app.py"] for name in NAMES} | {"flask": ["-m", "gunicorn", "app:app"]}
MANY_ROWS = 100_000
"""Enough to be still answered when the signal comes."""


@dataclass(frozen=True)
class Server:
    """A running example."""

    process: subprocess.Popen[bytes]
    url: str
    admin: str


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two features; the larger one's class wins."""
    folder = tmp_path_factory.mktemp("model")
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 2])
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
    ]
    node = helper.make_node(
        "LinearClassifier",
        ["features"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        coefficients=[1.0, 0.0, 0.0, 1.0],
        intercepts=[0.0, 0.0],
        classlabels_ints=[0, 1],
        post_transform="SOFTMAX",
    )
    graph = helper.make_graph([node], "model", [features], outputs)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    (folder / "model.onnx").write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    signature = {"features": [{"name": "a"}, {"name": "b"}], "classes": ["left", "right"]}
    (folder / "signature.json").write_text(json.dumps(signature))
    return folder


def free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@pytest.fixture(params=NAMES)
def server(request: pytest.FixtureRequest, model: Path) -> Iterator[Server]:
    """Each example in turn, ready, as its image starts it."""
    port, admin_port = free_ports()
    if request.param == "fastapi":
        admin_port = port
    own = {"PORT": str(port), "ADMIN_PORT": str(admin_port), "MODEL_FOLDER": str(model)}
    names = {"MODELWAY_MODEL": "iris", "MODELWAY_VERSION": "v7"}
    with subprocess.Popen(
        [sys.executable, *COMMANDS[request.param]], cwd=SERVERS / request.param, env={**os.environ, **own, **names}
    ) as process:
        running = Server(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}")
        try:
            wait_until_ready(running)
            yield running
        finally:
            process.kill()


def wait_until_ready(running: Server) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.process.poll() is None:
        try:
            if httpx.get(f"{running.admin}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the server did not get ready")


def metric(running: Server, name: str) -> float:
    page = httpx.get(f"{running.admin}/metrics", trust_env=False).text
    return sum(float(value) for value in re.findall(rf"^{name}\{{.*\}} (\S+)$", page, re.MULTILINE))


def test_a_server_answers_as_modelways_own_does(server: Server) -> None:
    def ask(body: object) -> httpx.Response:
        return httpx.post(f"{server.url}/predict", json=body, trust_env=False)

    one = ask({"a": 1.0, "b": 3.0})
    assert (one.status_code, one.headers["x-modelway-version"]) == (200, "v7")
    assert one.json()["prediction"] == "right"
    assert one.json()["probability"] == pytest.approx([0.1192, 0.8808], abs=1e-4)
    many = ask({"rows": [{"a": 2, "b": 1}, {"a": 1, "b": 2}]}).json()
    assert (many["prediction"], many["model"], many["version"]) == (["left", "right"], "iris", "v7")
    for wrong in ({"a": 1}, {"rows": 1}, [], {"rows": [{"a": "x", "b": 1}]}):
        refused = ask(wrong)
        assert (refused.status_code, list(refused.json())) == (422, ["error"])
    assert httpx.get(f"{server.admin}/healthz", trust_env=False).status_code == 200
    assert metric(server, "modelway_requests_total") == 6
    assert metric(server, "modelway_request_duration_seconds_count") == 6
    assert metric(server, "modelway_model_info") == 1


def test_a_server_that_is_told_to_end_finishes_what_it_has_begun(server: Server) -> None:
    body = json.dumps({"rows": [{"a": 1.0, "b": 2.0}] * MANY_ROWS})
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(httpx.post, f"{server.url}/predict", content=body, timeout=60, trust_env=False)
        while metric(server, "modelway_requests_in_flight") == 0 and not answer.done():
            pass
        assert not answer.done()
        server.process.send_signal(signal.SIGTERM)
        assert len(answer.result().json()["prediction"]) == MANY_ROWS
    assert server.process.wait(30) in (0, -signal.SIGTERM)


def test_what_the_examples_share_is_the_same_in_each() -> None:
    for file in ("model.py", "model.in", "model.txt"):
        assert len({(SERVERS / name / file).read_text() for name in NAMES}) == 1
    shared = {(SERVERS / name / "Dockerfile").read_text().partition("EXPOSE")[0] for name in NAMES}
    assert len(shared) == 1
