"""Clients that mean no good, for as long as this process runs: `python -m tests.bench.server.abuse PORT`.

50 sockets that drip headers, 50 that post 100 MiB, 10 that send a body without end.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

HEAD = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
BLOCK = b"x" * 65536

Abuse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A header line a second, without end."""
    writer.write(HEAD)
    while True:
        await writer.drain()
        await asyncio.sleep(1)
        writer.write(b"a: b\r\n")


async def upload(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """100 MiB, whatever the server says."""
    writer.write(HEAD + b"content-length: %d\r\n\r\n" % (100 * 2**20))
    for _ in range(100 * 2**20 // len(BLOCK)):
        writer.write(BLOCK)
        await writer.drain()


async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Chunks of one byte."""
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\nx\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def repeat(port: int, abuse: Abuse) -> None:
    """The same again a second after the server has closed the connection."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await abuse(reader, writer)
            finally:
                writer.close()
        await asyncio.sleep(1)


async def main(port: int) -> None:
    """All of them at once."""
    crowd = [drip] * 50 + [upload] * 50 + [endless] * 10
    await asyncio.gather(*(repeat(port, abuse) for abuse in crowd))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
