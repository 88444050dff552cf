"""Bytes as strangers send them: limits of size and time, and what is no HTTP."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from server_process import DEADLINE_SECONDS, Running, running
from server_testing import NAMES

BODY = json.dumps(dict.fromkeys(NAMES, 1.0)).encode()
HEAD = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
LENGTH = b"content-length: %d\r\n" % len(BODY)
GOOD = HEAD + LENGTH + b"\r\n" + BODY
LAST = HEAD + LENGTH + b"connection: close\r\n\r\n" + BODY
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server(classification: Path) -> Iterator[Running]:
    limits = {
        "MODELWAY_MAX_HEADER_BYTES": "2048",
        "MODELWAY_HEADER_TIMEOUT_SECONDS": "1.5",
        "MODELWAY_BODY_TIMEOUT_SECONDS": "1.5",
        "MODELWAY_MAX_BODY_BYTES": "4000",
        "MODELWAY_MAX_CONNECTIONS": "20",
        "MODELWAY_DRAIN_SECONDS": "0",
    }
    with running(classification, **limits) as started:
        yield started


def connect(server: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_SECONDS)


def read(connection: socket.socket) -> bytes:
    """All until the server closes."""
    received = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return received


def exchange(server: Running, *parts: bytes) -> bytes:
    with connect(server) as connection:
        for number, part in enumerate(parts):
            if number:
                time.sleep(0.01)
            with suppress(ConnectionError):
                connection.sendall(part)
        return read(connection)


def codes(received: bytes) -> list[int]:
    return [int(part.split(b" ", 1)[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


NO_HTTP = {
    "two lengths": HEAD + LENGTH + b"content-length: 3\r\n\r\n" + BODY,
    "length and chunks": HEAD + LENGTH + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "length with a sign": HEAD + b"content-length: +5\r\n\r\n12345",
    "negative length": HEAD + b"content-length: -5\r\n\r\n12345",
    "length in words": HEAD + b"content-length: 5 5\r\n\r\n12345",
    "length beyond all numbers": HEAD + b"content-length: 99999999999999999999999\r\n\r\n",
    "coding after chunked": HEAD + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "unknown coding": HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "space before the colon": HEAD + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    "folded header": HEAD + b"x: a\r\n b\r\n\r\n",
    "no colon": HEAD + b"nonsense\r\n\r\n",
    "NUL in a value": HEAD + b"x: a\x00b\r\n\r\n",
    "carriage return in a value": HEAD + b"x: a\rb\r\n\r\n",
    "bad chunk size": CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
    "chunk size beyond all numbers": CHUNKED + b"fffffffffffffffff\r\n",
    "no line end after a chunk": CHUNKED + b"3\r\nabcX0\r\n\r\n",
    "another version": b"GET / HTTP/3.7\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no method": b"{}\r\n\r\n",
    "path that is no ASCII": b"GET /h\xc3\xb6he HTTP/1.1\r\nhost: a\r\n\r\n",
    "a tunnel": b"CONNECT example.org:443 HTTP/1.1\r\nhost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_http_is_refused_and_the_connection_closed(server: Running, name: str) -> None:
    received = exchange(server, NO_HTTP[name])
    assert codes(received) == [400]
    head, _, body = received.partition(b"\r\n\r\n")
    answer = json.loads(body)
    assert set(answer) == {"error", "request_id"}
    assert f"x-request-id: {answer['request_id']}".encode() in head
    assert b"connection: close" in head


LARGE = {
    "one header": (HEAD + b"x: " + b"a" * 3000 + b"\r\n\r\n",),
    "one header in parts": (HEAD + b"x: " + b"a" * 1500, b"a" * 1500),
    "a path": (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",),
    "a path in parts": (b"GET /" + b"a" * 1500, b"a" * 1500),
    "many headers": (HEAD + b"a:b\r\n" * 101 + b"\r\n",),
    "trailers": (CHUNKED + b"1\r\n{\r\n0\r\n", *[b"x: a\r\n" * 100] * 5),
    "one trailer": (CHUNKED + b"1\r\n{\r\n0\r\nx: ", *[b"a" * 1000] * 4),
    "the extension of a chunk": (CHUNKED + b"1;", *[b"a" * 1000] * 4),
}


@pytest.mark.parametrize("name", LARGE)
def test_headers_and_trailers_have_a_size(server: Running, name: str) -> None:
    assert codes(exchange(server, *LARGE[name])) == [431]


def test_headers_of_the_allowed_size_pass(server: Running) -> None:
    assert codes(exchange(server, LAST.replace(b"host: a", b"host: a\r\nx: " + b"a" * 1500))) == [200]


def test_a_client_that_sends_nothing_is_cut_off(server: Running) -> None:
    assert exchange(server) == b""


@pytest.mark.parametrize("parts", [(b"P",), (HEAD,), (GOOD + HEAD,)])
def test_headers_have_a_time(server: Running, parts: tuple[bytes, ...]) -> None:
    assert codes(exchange(server, *parts))[-1] == 408


def test_dripping_headers_do_not_extend_their_time(server: Running) -> None:
    with connect(server) as connection:
        with suppress(ConnectionError):
            connection.sendall(HEAD)
            while True:
                connection.sendall(b"a: b\r\n")
                time.sleep(0.05)
        assert codes(read(connection)) in ([408], [])
    assert 'reason="header_timeout"' in server.metrics()


@pytest.mark.parametrize("head", [HEAD + LENGTH + b"\r\n", CHUNKED])
def test_a_body_has_a_time(server: Running, head: bytes) -> None:
    assert codes(exchange(server, head)) == [408]


def test_an_endless_body_is_refused_once_it_is_too_large(server: Running) -> None:
    chunk = b"ff\r\n" + b"x" * 255 + b"\r\n"
    assert codes(exchange(server, CHUNKED, *[chunk] * 20)) == [413]


def test_an_unread_body_after_the_answer_has_an_end(server: Running) -> None:
    head = b"POST /nothing HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(head)
        with suppress(ConnectionError):
            while True:
                connection.sendall(b"1\r\nx\r\n")
                time.sleep(0.1)
        assert codes(read(connection)) in ([404], [])


def test_trailers_are_no_headers(server: Running) -> None:
    chunk = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n"
    close = HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    received = exchange(server, close + chunk + b"x-request-id: from-a-trailer\r\ncontent-encoding: gzip\r\n\r\n")
    assert codes(received) == [200]
    assert b"from-a-trailer" not in received


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    marked = [GOOD.replace(b"host: a", b"host: a\r\nx-request-id: r%d" % number) for number in range(8)]
    received = exchange(server, b"".join(marked) + LAST)
    assert codes(received) == [200] * 9
    positions = [received.index(b"x-request-id: r%d\r\n" % number) for number in range(8)]
    assert positions == sorted(positions)


def test_too_many_pipelined_requests_are_refused(server: Running) -> None:
    assert len(codes(exchange(server, GOOD * 200))) < 50


def test_garbage_after_a_request_does_not_cost_its_answer(server: Running) -> None:
    assert codes(exchange(server, GOOD + b"\x00garbage\r\n\r\n"))[0] == 200


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (LAST.replace(b"HTTP/1.1", b"HTTP/1.0"), [200]),
        (LAST.replace(b"/predict", b"/pre%64ict"), [200]),
        (LAST.replace(b"/predict", b"/predict?a=b#c"), [200]),
        (LAST.replace(b"/predict", b"http://a/predict"), [200]),
        (LAST.replace(b"/predict", b"/predict/../predict"), [404]),
        (LAST.replace(b"/predict", b"/predict%00"), [404]),
        (LAST.replace(b"/predict", b"/%ff%fe"), [404]),
        (LAST.replace(b"POST", b"DELETE"), [405]),
        (b"HEAD /docs HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", [405]),
        (b"OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", [404]),
        (b"GET /v2 HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n", [200]),
        (HEAD + b"expect: 100-continue\r\nconnection: close\r\n" + LENGTH + b"\r\n" + BODY, [200]),
    ],
)
def test_unusual_requests_are_answered(server: Running, request_bytes: bytes, expected: list[int]) -> None:
    assert [code for code in codes(exchange(server, request_bytes)) if code != 100] == expected


def test_a_client_that_ends_its_side_still_gets_its_answer(server: Running) -> None:
    with connect(server) as connection:
        connection.sendall(GOOD)
        connection.shutdown(socket.SHUT_WR)
        assert codes(read(connection)) == [200]


def test_one_connection_too_many_is_refused_and_the_others_go_on(server: Running) -> None:
    held = [connect(server) for _ in range(19)]
    try:
        for connection in held:
            connection.sendall(GOOD)
            assert codes(connection.recv(65536)) == [200]
        with connect(server) as one, connect(server) as other:
            assert 503 in [*codes(read(one)), *codes(read(other))]
        held[0].sendall(LAST)
        assert codes(read(held[0])) == [200]
    finally:
        for connection in held:
            connection.close()


def test_nothing_of_this_was_logged_or_harmed_the_server(server: Running) -> None:
    assert codes(exchange(server, LAST)) == [200]
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    err = server.process.communicate(timeout=DEADLINE_SECONDS)[1].decode()
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["serving", "draining", "stopped"]
