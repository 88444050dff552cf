"""Clients that are slow or endless on purpose; how much they slow others down is measured by `make bench-server`."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

import httpx
from server_process import DEADLINE_SECONDS, Running, running
from server_testing import NAMES

ROW = dict.fromkeys(NAMES, 1.0)
HEAD = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
BLOCK = b"x" * 65536


async def drip(writer: asyncio.StreamWriter) -> None:
    """Headers without end."""
    writer.write(HEAD)
    while True:
        writer.write(b"a: b\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)


async def upload(writer: asyncio.StreamWriter) -> None:
    """100 MiB."""
    writer.write(HEAD + b"content-length: %d\r\n\r\n" % (100 * 2**20))
    for _ in range(100 * 2**20 // len(BLOCK)):
        writer.write(BLOCK)
        await writer.drain()
        # A server that reads at once never lets `drain` wait: the others here would starve.
        await asyncio.sleep(0)


async def endless(writer: asyncio.StreamWriter) -> None:
    """A body without end, a byte at a time."""
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\nx\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silent(_writer: asyncio.StreamWriter) -> None:
    """Nothing at all."""


async def greedy(writer: asyncio.StreamWriter) -> None:
    """Requests whose answers are never read."""
    body = json.dumps(ROW).encode()
    one = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    while True:
        writer.write(one * 8)
        await writer.drain()
        await asyncio.sleep(0)


Abuse = Callable[[asyncio.StreamWriter], Coroutine[None, None, None]]


async def outcome(port: int, abuse: Abuse) -> str:
    """How the server ended it: the status of its answer, or `cut off`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)

    async def send() -> None:
        with suppress(ConnectionError):
            await abuse(writer)

    sending = asyncio.create_task(send())
    received = b""
    try:
        async with asyncio.timeout(3 * DEADLINE_SECONDS):
            if abuse is greedy:
                await sending
                return "cut off"
            with suppress(ConnectionError):
                while part := await reader.read(65536):
                    received += part
    finally:
        sending.cancel()
        writer.close()
    return received.split(b" ")[1].decode() if received else "cut off"


async def good(server: Running, stop: asyncio.Event) -> int:
    """Well-behaved requests until `stop`; each must be answered."""
    count = 0
    async with httpx.AsyncClient(trust_env=False, timeout=3 * DEADLINE_SECONDS) as client:
        while not stop.is_set():
            answer = await client.post(f"{server.url}/predict", json=ROW)
            assert answer.status_code == 200, answer.text
            count += 1
    return count


def test_every_slow_or_endless_client_is_ended_and_the_others_are_served(classification: Path) -> None:
    limits = {"MODELWAY_HEADER_TIMEOUT_SECONDS": "3", "MODELWAY_BODY_TIMEOUT_SECONDS": "3"}

    async def scenario(server: Running) -> tuple[dict[str, set[str]], int]:
        stop = asyncio.Event()
        serving = [asyncio.create_task(good(server, stop)) for _ in range(4)]
        crowd = {drip: 50, upload: 50, endless: 10, silent: 10, greedy: 2}
        found = {}
        for abuse, count in crowd.items():
            found[abuse.__name__] = set(await asyncio.gather(*(outcome(server.port, abuse) for _ in range(count))))
        stop.set()
        return found, sum(await asyncio.gather(*serving))

    with running(classification, **limits) as server:
        found, served = asyncio.run(scenario(server))
        assert found["drip"] <= {"408", "cut off"}
        assert found["upload"] <= {"413", "cut off"}
        assert "413" in found["upload"]
        assert found["endless"] <= {"408", "cut off"}
        assert found["silent"] == {"cut off"}
        assert found["greedy"] == {"cut off"}
        assert served > 0
        server.wait_for('modelway_requests_in_flight{model="sample",version="v1"} 0.0')
        assert server.process.poll() is None
