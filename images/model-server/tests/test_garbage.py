"""What a request leaves behind: nothing that only the garbage collector frees.

Its visits take milliseconds in which nobody is answered. Here it is off, and then says how much it finds.
"""

import gc
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop
from modelway_server.app import create_app
from modelway_server.listener import Listener
from modelway_server.protocol import Limits
from modelway_server.service import Service
from server_process import DEADLINE_SECONDS
from server_testing import CLASSES, NAMES, start

COUNT = 64
ROW = dict.fromkeys(NAMES, 1.0)
TENSOR: dict[str, Any] = {"name": "features", "shape": [1, 3], "datatype": "FP32"}
INFER = "/v2/models/sample/infer"
BLOB = np.ones(3, dtype="<f4").tobytes()
BINARY = json.dumps(
    {"inputs": [TENSOR | {"parameters": {"binary_data_size": len(BLOB)}}], "parameters": {"binary_data_output": True}}
).encode()


@contextmanager
def listening(service: Service) -> Iterator[int]:
    """Port of a server over `service` in a thread of its own."""
    held = socket.create_server(("127.0.0.1", 0))
    listener = Listener(create_app(service), Limits(service.settings, service.metrics.refused, service.request_ids))
    thread = threading.Thread(target=lambda: uvloop.run(listener.serve([held])))
    thread.start()
    try:
        yield held.getsockname()[1]
    finally:
        listener.should_exit = True
        thread.join(DEADLINE_SECONDS)


def http(path: str, body: object, **headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"host": "a", "content-length": str(len(content)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content


def status(connection: socket.socket) -> int:
    """Of the next answer, which is read whole."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(65536)
        assert part, head
        head += part
    head, _, body = head.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1])


def ask(port: int, requests: list[bytes], code: int) -> None:
    """Send requests one after another, on one connection where it stays open; each is answered with `code`."""
    connection: socket.socket | None = None
    for request in requests:
        connection = connection or socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        connection.sendall(request)
        assert status(connection) == code
        if code == CLOSES:
            connection.close()
            connection = None
    if connection:
        connection.close()


def garbage(port: int, requests: list[bytes], code: int) -> int:
    """Objects that only the garbage collector frees after the second half of the requests."""
    # What is made once, at the first request of a kind, is not meant.
    ask(port, requests[:COUNT], code)
    gc.disable()
    try:
        gc.collect()
        ask(port, requests[COUNT:], code)
        return gc.collect()
    finally:
        gc.enable()


CLOSES = 413
SAME: dict[str, tuple[bytes, int]] = {
    "row": (http("/predict", ROW), 200),
    "rows": (http("/predict", {"rows": [ROW, ROW]}), 200),
    "no JSON": (http("/predict", b"{"), 400),
    "misfit": (http("/predict", {"nothing": 1}), 422),
    "media type": (http("/predict", ROW, content_type="text/plain"), 415),
    "too large": (http("/predict", b"x" * 2001), 413),
    "another path": (http("/other", ROW), 404),
    "tensor": (http(INFER, {"inputs": [TENSOR | {"data": [1, 1, 1]}]}), 200),
    "binary tensor": (http(INFER, BINARY + BLOB, inference_header_content_length=str(len(BINARY))), 200),
    "tensor that does not fit": (http(INFER, {"inputs": []}), 422),
    "forged feedback": (http("/feedback", {"id": "A" * 80, "truth": CLASSES[0]}), 403),
    "feedback that does not fit": (http("/feedback", {"truth": 1}), 422),
}


@pytest.mark.parametrize("name", SAME)
def test_a_request_leaves_no_cycle(scored: Service, name: str) -> None:
    request, code = SAME[name]
    with listening(scored) as port:
        assert garbage(port, [request] * 2 * COUNT, code) < COUNT


@pytest.mark.parametrize("body", [lambda one: one, lambda one: {"items": [one]}], ids=["item", "items"])
def test_feedback_leaves_no_cycle(scored: Service, body: Callable[[dict[str, Any]], object]) -> None:
    ids = scored.ids.issue_many([CLASSES[0]] * 2 * COUNT)
    with listening(scored) as port:
        requests = [http("/feedback", body({"id": name, "truth": CLASSES[0]})) for name in ids]
        assert garbage(port, requests, 200) < COUNT


def test_repeated_feedback_leaves_no_cycle(scored: Service) -> None:
    item = {"id": scored.ids.issue(CLASSES[0]), "truth": CLASSES[0]}
    with listening(scored) as port:
        ask(port, [http("/feedback", item)], 200)
        assert garbage(port, [http("/feedback", item)] * 2 * COUNT, 409) < COUNT


def test_a_refusal_for_too_many_requests_leaves_no_cycle(scored: Service) -> None:
    scored.in_flight = scored.settings.max_concurrency
    with listening(scored) as port:
        assert garbage(port, [SAME["row"][0]] * 2 * COUNT, 503) < COUNT


@pytest.mark.parametrize(("code", "settings"), [(503, {"MODELWAY_MAX_QUEUE_ROWS": "1"}), (504, {})])
def test_a_refusal_by_the_queue_leaves_no_cycle(classification: Path, code: int, settings: dict[str, str]) -> None:
    service = start(classification, MODELWAY_PREDICT_TIMEOUT_SECONDS="0.01", **settings)
    gate = threading.Event()
    predict = service.model.predict

    def stuck(rows: Any) -> Any:
        gate.wait(DEADLINE_SECONDS)
        return predict(rows)

    service.model.predict = stuck  # type: ignore[method-assign]
    service._direct_rows = service._batch_rows = 0
    try:
        with listening(service) as port:
            # One that the model keeps, and one that waits for it: both are given up.
            ask(port, [SAME["row"][0]] * 2, 504)
            assert garbage(port, [SAME["row"][0]] * 2 * COUNT, code) < COUNT
            gate.set()
    finally:
        gate.set()
