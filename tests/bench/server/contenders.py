"""Who takes part, and how each is started."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.environments import environment
from tools.paths import PROJECT

# With a newer uvloop its worker processes do not start.
MLSERVER = ("mlserver==1.7.1", "onnxruntime==1.32.0", "uvloop==0.21.0")
ADMIN_PORT = 18400


@dataclass(frozen=True)
class Contender:
    """One server."""

    name: str
    port: int
    command: list[str]
    bodies: str
    path: str = "/predict"
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None


def _uvicorn(name: str, application: str, port: int, bodies: str = "short") -> Contender:
    options = [
        "--factory",
        "--no-access-log",
        "--log-level",
        "error",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--ws",
        "none",
    ]
    target = f"tests.bench.server.apps:{application}"
    return Contender(name, port, [sys.executable, "-m", "uvicorn", target, "--port", str(port), *options], bodies)


def ours(name: str, folder: Path, port: int, model: str = "onnx", **settings: str) -> Contender:
    """This server, with metrics and drift on and no access log, as by default."""
    environment = {
        "PYTHONPATH": str(PROJECT / "images/model-server"),
        "MODELWAY_MODEL_DIR": str(folder / model),
        "MODELWAY_PORT": str(port),
        "MODELWAY_ADMIN_PORT": str(port + ADMIN_PORT - 18100),
        "MODELWAY_WORKERS": "1",
        **settings,
    }
    return Contender(name, port, [sys.executable, "-m", "modelway_server"], "named", environment=environment)


def _mlserver(name: str, folder: Path, port: int, workers: int, batch: int) -> Contender:
    """MLServer with one of its documented settings; `batch` 0 is its default, without batching."""
    place = folder / name.replace(" ", "-")
    place.mkdir(exist_ok=True)
    server = {"http_port": port, "grpc_port": port + 100, "metrics_port": port + 200, "parallel_workers": workers}
    model = {"name": "bench", "implementation": "mlserver_onnx.OnnxModel"}
    limits = {"max_batch_size": batch, "max_batch_time": 0.001} if batch else {}
    (place / "settings.json").write_text(json.dumps({**server, "host": "127.0.0.1", "debug": False}))
    (place / "model-settings.json").write_text(json.dumps({**model, **limits}))
    command = [str(environment("mlserver", *MLSERVER) / "bin" / "mlserver"), "start", str(place)]
    variables = {"PYTHONPATH": str(Path(__file__).parent)}
    return Contender(name, port, command, "tensor", "/v2/models/bench/infer", variables, place)


def all_of(folder: Path) -> list[Contender]:
    """Every contender of the comparison, this server first."""
    return [
        ours("modelway", folder, 18100),
        _uvicorn("fastapi async, onnx", "fastapi_async", 18101),
        _uvicorn("fastapi def, sklearn", "fastapi_def", 18102),
        _mlserver("mlserver", folder, 18103, 0, 0),
        _mlserver("mlserver batch", folder, 18104, 0, 32),
        _mlserver("mlserver worker", folder, 18105, 1, 0),
        _uvicorn("uvicorn no-op", "nothing", 18106),
    ]
