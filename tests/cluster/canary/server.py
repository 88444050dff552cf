"""A model server without a model, for rollouts of versions that are bad in a known way.

It keeps the contract that a judge needs of any server: `POST /predict` on port 8080; `/healthz`, `/readyz` and
`/metrics` on port 9090, with the counters of split requests that `images/rollout-judge/README.md` names.
"""

import asyncio
import contextlib
import os
import random
import signal
from pathlib import Path

BEHAVIOUR = Path(__file__).with_name("behaviour").read_text()
VERSION = os.environ.get("MODELWAY_VERSION", "")
SLOW_SECONDS = float(os.environ.get("MODELWAY_SLOW_SECONDS", "0.1"))
ANSWER_SECONDS = 0.1 if BEHAVIOUR == "slow" else 0.02
ERROR_SHARE = 0.1 if BEHAVIOUR == "errors" else 0.0
MALIGNANT_SHARE = 0.0 if BEHAVIOUR == "constant" else 0.37
COUNTS = {
    "modelway_subjects_total": 0,
    "modelway_subject_errors_total": 0,
    f'modelway_subject_slow_total{{threshold="{SLOW_SECONDS:g}"}}': 0,
    'modelway_subject_predictions_total{prediction="benign"}': 0,
    'modelway_subject_predictions_total{prediction="malignant"}': 0,
}
TRIALS, ERRORS, SLOW, BENIGN, MALIGNANT = COUNTS


async def predict(headers: dict[str, str]) -> tuple[int, str]:
    """Answer, and count what the split brought."""
    failed, malignant = random.random() < ERROR_SHARE, random.random() < MALIGNANT_SHARE
    await asyncio.sleep(ANSWER_SECONDS)
    if headers.get("x-modelway-assignment") == "split":
        COUNTS[TRIALS] += 1
        COUNTS[SLOW] += ANSWER_SECONDS > SLOW_SECONDS
        COUNTS[ERRORS] += failed
        if not failed:
            COUNTS[MALIGNANT if malignant else BENIGN] += 1
    if failed:
        return 500, '{"error": "as asked for"}'
    return 200, f'{{"prediction": "{"malignant" if malignant else "benign"}"}}'


async def administer(path: str) -> tuple[int, str]:
    """Answer probes and Prometheus."""
    if path == "/metrics":
        return 200, "".join(f"{name} {count}\n" for name, count in COUNTS.items())
    return (200, "ok") if path in ("/healthz", "/readyz") else (404, "not found")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, public: bool) -> None:
    """Answer one connection's requests until it is closed."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            path = head[0].split(" ")[1]
            pairs = [line.partition(":") for line in head[1:] if line]
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            await reader.readexactly(int(headers.get("content-length", "0")))
            status, body = await (predict(headers) if public else administer(path))
            kind = "application/json" if public else "text/plain; version=0.0.4"
            writer.write(
                f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
                f"x-modelway-version: {VERSION}\r\n\r\n{body}".encode()
            )
            await writer.drain()
    writer.close()


async def main() -> None:
    """Serve both ports until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    for port, public in ((8080, True), (9090, False)):
        await asyncio.start_server(lambda r, w, public=public: serve(r, w, public), "0.0.0.0", port)
    await stop.wait()


asyncio.run(main())
