"""Several processes on one port."""

import os
import signal
import socket
import time
from pathlib import Path

import httpx
from server_process import DEADLINE_SECONDS, Running, launch, running
from server_testing import NAMES, write_artifact

ROW = dict.fromkeys(NAMES, 1.0)
LABELS = 'model="sample",version="v1"'


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def metrics_folder(pid: int) -> Path:
    """Where a worker keeps what it counts."""
    names = [line.split()[-1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return next(Path(name).parent for name in names if "modelway-metrics-" in name)


def predict(server: Running, times: int) -> None:
    for _ in range(times):
        assert httpx.post(f"{server.url}/predict", json=ROW, trust_env=False).status_code == 200


def test_the_counts_of_all_workers_add_up_also_when_one_dies(classification: Path) -> None:
    with running(classification, MODELWAY_WORKERS="2") as server:
        first = children(server.process.pid)
        assert len(first) == 2
        predict(server, 40)
        server.wait_for(f'modelway_requests_total{{code="200",{LABELS}}} 40.0')
        os.kill(min(first), signal.SIGKILL)
        server.wait_for(f"modelway_worker_restarts_total{{{LABELS}}} 1.0")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while server.ready() != 200 or len(children(server.process.pid)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert len(children(server.process.pid) & first) == 1
        predict(server, 10)
        server.wait_for(f'modelway_requests_total{{code="200",{LABELS}}} 50.0')
        assert server.metrics().count("modelway_model_info{") == 1
        assert server.metrics().count("\nprocess_resident_memory_bytes ") == 1


def test_sigterm_drains_all_workers_and_leaves_nothing(classification: Path) -> None:
    with running(classification, MODELWAY_WORKERS="2", MODELWAY_DRAIN_SECONDS="2") as server:
        workers = children(server.process.pid)
        folder = metrics_folder(min(workers))
        assert folder.is_dir()
        server.process.send_signal(signal.SIGTERM)
        server.wait_until(503)
        answer = httpx.post(f"{server.url}/predict", json=ROW, trust_env=False)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert server.process.wait(DEADLINE_SECONDS) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not folder.exists()


def test_workers_end_when_their_parent_is_killed_and_leave_nothing(classification: Path) -> None:
    with running(classification, MODELWAY_WORKERS="2", MODELWAY_DRAIN_SECONDS="0") as server:
        workers = children(server.process.pid)
        folder = metrics_folder(min(workers))
        server.process.kill()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline, "workers outlived their parent"
            time.sleep(0.05)
        assert not folder.exists()


def test_what_stops_every_worker_is_said_once(tmp_path: Path) -> None:
    artifact = write_artifact(tmp_path)
    (artifact / "model.onnx").write_bytes(b"x")
    process = launch(artifact, MODELWAY_WORKERS="3").process
    err = process.communicate(timeout=DEADLINE_SECONDS)[1].decode()
    assert process.returncode == 1
    assert err.count("is not the file that was packaged") == 1
    assert "Traceback" not in err


def test_a_port_in_use_stops_the_workers_before_they_start(classification: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        process = launch(classification, MODELWAY_WORKERS="2", MODELWAY_PORT=str(port)).process
        err = process.communicate(timeout=DEADLINE_SECONDS)[1].decode()
    assert process.returncode == 1
    assert err.startswith(f"MODELWAY_PORT: cannot listen: got 127.0.0.1:{port}")
