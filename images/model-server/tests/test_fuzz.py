"""Generated requests against a running server: nothing that a stranger sends breaks it or makes it grow.

2,000 requests, or 100,000 with `MODELWAY_TEST_COUNTS=full`. Bodies come from hypothesis; a part of the whole requests
is spoilt byte by byte and sent over a raw socket.
"""

import json
import os
import random
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_process import DEADLINE_SECONDS, Running, running
from server_testing import CLASSES, NAMES

COUNT = 100_000 if os.environ.get("MODELWAY_TEST_COUNTS") == "full" else 2_000
ALLOWED = {200, 400, 401, 404, 405, 408, 413, 415, 422, 431, 503, 504}
"""503 and 504 are said on purpose; 500 never is."""

JSON = {"content-type": "application/json"}
INFER = "/v2/models/sample/infer"
FUZZ = settings(
    max_examples=COUNT // 4,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Sums of the features are what the model computes: within these no answer can be infinite.
numbers = st.floats(-1e30, 1e30) | st.integers(-(10**12), 10**12)
wild = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner),
    max_leaves=12,
)
rows = st.fixed_dictionaries(dict.fromkeys(NAMES, numbers))
nearly = st.fixed_dictionaries(dict.fromkeys(NAMES, numbers | wild)) | st.dictionaries(st.sampled_from(NAMES), numbers)
named = rows | nearly | st.fixed_dictionaries({"rows": st.lists(rows | nearly, max_size=4) | wild}) | wild
tensor = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["features", *NAMES, "other"]),
        "shape": st.lists(st.integers(-1, 6), max_size=3) | st.just([1, 3]),
        "datatype": st.sampled_from(["FP16", "FP32", "FP64", "INT64", "UINT8", "BYTES", ""]),
        "data": st.lists(numbers, min_size=3, max_size=3) | st.lists(st.lists(numbers, max_size=4), max_size=3) | wild,
    }
)
outputs = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["prediction", "probability", "id", "x"])}), max_size=3
)
parameters = st.dictionaries(st.sampled_from(["binary_data_output", "classification", "x"]), wild, max_size=2)
tensors = st.fixed_dictionaries(
    {"inputs": st.lists(tensor, max_size=4)},
    optional={"outputs": outputs, "id": st.text(max_size=9), "parameters": parameters},
)
blobs = st.binary(max_size=64)


@pytest.fixture(scope="module")
def server(classification: Path) -> Iterator[Running]:
    limits = {"MODELWAY_MAX_ROWS": "50", "MODELWAY_MAX_BODY_BYTES": "65536", "MODELWAY_BODY_TIMEOUT_SECONDS": "0.5"}
    limits |= {"MODELWAY_HEADER_TIMEOUT_SECONDS": "0.5", "MODELWAY_DRAIN_SECONDS": "0"}
    with running(classification, **limits) as started:
        yield started


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=DEADLINE_SECONDS) as opened:
        yield opened


def check(answer: httpx.Response) -> None:
    assert answer.status_code in ALLOWED
    if answer.status_code != 200:
        body = answer.json()
        assert body["request_id"] == answer.headers["x-request-id"]
        assert "Traceback" not in body["error"]
        assert ".py" not in body["error"]


@FUZZ
@given(body=named)
def test_any_rows_are_answered_or_refused(client: httpx.Client, body: Any) -> None:
    answer = client.post("/predict", content=json.dumps(body), headers=JSON)
    check(answer)
    if answer.status_code == 200:
        found = answer.json()["prediction"]
        assert set(found if isinstance(found, list) else [found]) <= set(CLASSES)


@FUZZ
@given(body=tensors)
def test_any_tensors_are_answered_or_refused(client: httpx.Client, body: Any) -> None:
    check(client.post(INFER, content=json.dumps(body), headers=JSON))


@FUZZ
@given(header=tensors, blob=blobs, size=st.integers(0, 70), length=st.none() | st.integers(-1, 300))
def test_any_binary_tensors_are_answered_or_refused(
    client: httpx.Client, header: Any, blob: bytes, size: int, length: int | None
) -> None:
    for one in header["inputs"]:
        del one["data"]
        one["parameters"] = {"binary_data_size": size}
    text = json.dumps(header).encode()
    declared = {"inference-header-content-length": str(len(text) if length is None else length)}
    answer = client.post(INFER, content=text + blob, headers=declared)
    if answer.status_code != 200:
        check(answer)


REQUESTS = [
    b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b",
    b"POST /v2/models/sample/infer HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\nx-request-id: a\r\n\r\n%b",
    b"POST /predict HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b",
]
BODY = json.dumps(dict.fromkeys(NAMES, 1.0)).encode()
WHOLE = [request % (len(BODY), BODY) for request in REQUESTS] + [
    b"POST /predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nx: y\r\n\r\n"
    % (len(BODY), BODY),
    b"GET /docs?a=b HTTP/1.1\r\nhost: a\r\n\r\nGET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n",
]
PIECES = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\x00",
    b"\xff",
    b" ",
    b":",
    b"0",
    b"9" * 20,
    b"chunked",
    b"{",
    b"a" * 300,
    b"\r\n\r\n",
]


def spoilt(chance: random.Random) -> bytes:
    """A whole request with up to four pieces cut out, doubled, or put in."""
    data = bytearray(chance.choice(WHOLE))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        end = min(len(data), at + chance.randint(0, 8))
        data[at:end] = chance.choice([b"", bytes(data[at:end]) * 2, chance.choice(PIECES)])
        if not data:
            data = bytearray(b"\n")
    return bytes(data)


def test_spoilt_requests_are_answered_or_cut_off(server: Running) -> None:
    chance = random.Random(8)  # noqa: S311
    for _ in range(COUNT // 4):
        data = spoilt(chance)
        with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_SECONDS) as connection:
            received = b""
            with suppress(ConnectionError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(65536):
                    received += part
        codes = [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]
        assert set(codes) <= ALLOWED | {100}, data


def test_the_server_has_not_grown_nor_restarted(server: Running, client: httpx.Client) -> None:
    def memory() -> int:
        lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def again() -> None:
        chance = random.Random(9)  # noqa: S311
        for _ in range(COUNT // 4):
            row = {name: chance.choice([1.0, "x", None, chance.random()]) for name in NAMES}
            check(client.post("/predict", content=json.dumps({"rows": [row] * 20}), headers=JSON))

    again()
    before = memory()
    again()
    assert memory() < before * 1.1
    assert server.process.poll() is None
    assert 'modelway_requests_total{code="500",model="sample",version="v1"} 0.0' in server.metrics()


def test_nothing_of_it_was_logged(server: Running) -> None:
    server.process.send_signal(signal.SIGTERM)
    err = server.process.communicate(timeout=DEADLINE_SECONDS)[1].decode()
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["serving", "draining", "stopped"]
