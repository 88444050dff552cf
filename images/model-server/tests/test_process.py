"""The server as a process: ports, signals, exit codes."""

import asyncio
import json
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from server_process import DEADLINE_SECONDS, Running, launch, running
from server_testing import NAMES

ROW = dict.fromkeys(NAMES, 1.0)


@dataclass
class Load:
    """Clients that send one request after another; a closed connection is opened again while the drain lasts."""

    port: int
    answers: int = 0
    closes: int = 0
    failures: list[str] = field(default_factory=list)
    stopping: bool = False

    async def client(self) -> None:
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(limits=limits, trust_env=False) as client:
            while not self.stopping:
                try:
                    answer = await client.post(f"http://127.0.0.1:{self.port}/predict", json=ROW)
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                    continue
                self.answers += 1
                self.closes += answer.headers.get("connection") == "close"
                if answer.status_code != 200:
                    self.failures.append(str(answer.status_code))


def test_sigterm_under_load_fails_no_request(classification: Path) -> None:
    async def scenario(server: Running) -> Load:
        load = Load(server.port)
        clients = [asyncio.create_task(load.client()) for _ in range(8)]
        while load.answers < 100:
            await asyncio.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        while load.closes < 20:
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(server.ready) == 503
        load.stopping = True
        await asyncio.gather(*clients)
        return load

    with running(classification, MODELWAY_DRAIN_SECONDS="2") as server:
        load = asyncio.run(scenario(server))
        assert load.failures == []
        assert server.process.wait(DEADLINE_SECONDS) == 0


def test_a_request_in_flight_at_sigterm_is_finished(classification: Path) -> None:
    body = json.dumps(ROW).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with (
        running(classification, MODELWAY_DRAIN_SECONDS="0") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_SECONDS) as connection,
    ):
        connection.sendall(head.encode() + body[:5])
        server.wait_for('modelway_requests_in_flight{model="sample",version="v1"} 1.0')
        server.process.send_signal(signal.SIGTERM)
        server.wait_until(503)
        connection.sendall(body[5:])
        answer = b""
        while part := connection.recv(65536):
            answer += part
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close" in answer.lower()
        assert server.process.wait(DEADLINE_SECONDS) == 0


def test_a_client_that_leaves_is_counted_and_not_logged(classification: Path) -> None:
    with running(classification, MODELWAY_DRAIN_SECONDS="0") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_SECONDS) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
        server.wait_for('modelway_errors_total{kind="client_gone",model="sample",version="v1"} 1.0')
        server.process.send_signal(signal.SIGTERM)
        err = server.process.communicate(timeout=DEADLINE_SECONDS)[1].decode()
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["serving", "draining", "stopped"]


def test_a_second_signal_ends_the_drain(classification: Path) -> None:
    with running(classification, MODELWAY_DRAIN_SECONDS="3600") as server:
        server.process.send_signal(signal.SIGTERM)
        server.wait_until(503)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(DEADLINE_SECONDS) == 0


def test_an_idle_connection_stays_open_and_a_large_upload_gets_its_answer(classification: Path) -> None:
    with running(classification) as server, httpx.Client(trust_env=False) as client:
        url = f"http://127.0.0.1:{server.port}/predict"
        assert client.post(url, json=ROW).status_code == 200
        for _ in range(20):
            assert client.post(url, content=b"x" * 4_000_000).status_code == 413
        assert client.post(url, json=ROW).status_code == 200


def test_a_missing_model_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    process = launch(tmp_path).process
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, out) == (1, b"")
    assert err.decode() == (
        f"{tmp_path}/manifest.json: cannot be read: got no such file or directory, allowed a readable file; "
        "check MODELWAY_MODEL_DIR or package the model again.\n"
    )


def test_a_port_in_use_ends_the_start_with_one_sentence(classification: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = launch(classification, MODELWAY_PORT=str(port)).process
        err = process.communicate(timeout=DEADLINE_SECONDS)[1]
    assert process.returncode == 1
    assert err.decode() == (
        f"MODELWAY_PORT: cannot listen: got 127.0.0.1:{port} (address already in use), allowed a free port; "
        "choose another.\n"
    )


def test_the_server_leaves_no_file_and_no_telemetry_identity(classification: Path, tmp_path: Path) -> None:
    with running(classification, HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"), CI="") as server:
        httpx.post(f"http://127.0.0.1:{server.port}/predict", json=ROW, trust_env=False)
    assert list(tmp_path.rglob("*")) == []


def test_the_log_of_a_request_has_no_feature_value(classification: Path) -> None:
    with running(classification, MODELWAY_ACCESS_LOG="1", MODELWAY_DRAIN_SECONDS="0") as server:
        url = f"http://127.0.0.1:{server.port}/predict?key=77.25"
        trace = {"traceparent": f"00-{'4b' * 16}-{'0f' * 8}-01"}
        headers = {"x-request-id": "one", "x-modelway-assignment": "pinned", **trace}
        httpx.post(url, json=ROW | {"höhe": 77.25}, headers=headers, trust_env=False)
        server.process.send_signal(signal.SIGTERM)
        err = server.process.communicate(timeout=DEADLINE_SECONDS)[1].decode()
    lines = [json.loads(line) for line in err.splitlines()]
    (request,) = [line for line in lines if line["event"] == "request"]
    assert (request["method"], request["path"], request["code"]) == ("POST", "/predict", 200)
    assert (request["request_id"], request["model"], request["version"]) == ("one", "sample", "v1")
    assert request["assignment"] == "pinned"
    assert (request["trace_id"], request["span_id"]) == ("4b" * 16, "0f" * 8)
    files = json.loads((classification / "manifest.json").read_text())["files"]
    assert request["digest"] in {file["sha256"] for file in files.values()}
    assert "77.25" not in err


@pytest.mark.parametrize(
    "given",
    [{}, {"traceparent": f"00-{'0' * 32}-{'0f' * 8}-01"}, {"traceparent": '00-"}-1'}],
    ids=["none", "zeros", "junk"],
)
def test_a_trace_context_that_is_none_leaves_no_field(classification: Path, given: dict[str, str]) -> None:
    with running(classification, MODELWAY_ACCESS_LOG="1", MODELWAY_DRAIN_SECONDS="0") as server:
        httpx.post(f"http://127.0.0.1:{server.port}/predict", json=ROW, headers=given, trust_env=False)
        server.process.send_signal(signal.SIGTERM)
        err = server.process.communicate(timeout=DEADLINE_SECONDS)[1].decode()
    (request,) = [line for line in map(json.loads, err.splitlines()) if line["event"] == "request"]
    assert not {"trace_id", "span_id"} & set(request)


def collected(server: Running) -> float:
    """Objects that the garbage collector of the server has freed so far."""
    lines = server.metrics().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("python_gc_objects_collected_total{"))


@pytest.mark.parametrize(
    ("body", "code"),
    [(ROW, 200), ({"rows": [ROW, ROW]}, 200), ({"nothing": 1}, 422)],
    ids=["row", "rows", "refusal"],
)
def test_a_request_leaves_nothing_to_the_garbage_collector(classification: Path, body: object, code: int) -> None:
    content = json.dumps(body).encode()
    head = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    sixteen = (head % len(content) + content) * 16
    with running(classification) as server:
        before = collected(server)
        with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_SECONDS) as connection:
            for _ in range(400):
                connection.sendall(sixteen)
                answers = b""
                while answers.count(b"x-request-id: ") < 16:
                    answers += connection.recv(2**20)
                assert answers.count(b"HTTP/1.1 %d " % code) == 16
        assert collected(server) == before
