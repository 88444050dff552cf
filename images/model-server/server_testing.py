"""Small artifacts, and the server over them in this process, for tests; not part of the image."""

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import onnx
from modelway_server.app import create_app
from modelway_server.main import create_service
from modelway_server.service import Phase, Service
from modelway_server.settings import load
from onnx import TensorProto, helper

NAMES = ["mean radius", "model_config", "höhe"]
CLASSES: list[Any] = ["benign", "malignant", "unsure"]


def _save(nodes: list[onnx.NodeProto], outputs: list[onnx.ValueInfoProto]) -> bytes:
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(NAMES)])
    graph = helper.make_graph(nodes, "model", [features], outputs)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


def classifier() -> bytes:
    """Class i is the i-th feature's: the largest feature wins."""
    eye = [float(i == j) for i in range(3) for j in range(3)]
    node = helper.make_node(
        "LinearClassifier",
        ["features"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        coefficients=eye,
        intercepts=[0.0] * 3,
        classlabels_ints=[0, 1, 2],
        post_transform="SOFTMAX",
    )
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [None])
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3])
    return _save([node], [label, probabilities])


def regressor() -> bytes:
    """Sum of the features, plus 0.5."""
    node = helper.make_node(
        "LinearRegressor",
        ["features"],
        ["variable"],
        domain="ai.onnx.ml",
        coefficients=[1.0] * 3,
        intercepts=[0.5],
        targets=1,
    )
    return _save([node], [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])])


ONNX_CLASSIFIER = {"format": "onnx", "input": "features", "prediction": "label", "probability": "probabilities"}
ONNX_REGRESSOR = {"format": "onnx", "input": "features", "prediction": "variable", "probability": None}
FILES = {
    "onnx": "model.onnx",
    "xgboost": "model.json",
    "lightgbm": "model.txt",
    "skops": "model.skops",
    "pickle": "model.pickle",
}


def signature(task: str = "classification", **changes: Any) -> dict[str, Any]:
    """A signature as the pipeline writes it, of an ONNX model; `changes` replace its keys."""
    classify = task == "classification"
    document = {
        "format": 2,
        "task": task,
        "target": "diagnosis",
        "features": [{"name": name, "dtype": "float32", "minimum": -1.0, "maximum": 2.0} for name in NAMES],
        "classes": CLASSES if classify else None,
        "model": ONNX_CLASSIFIER if classify else ONNX_REGRESSOR,
    }
    return document | changes


def write_artifact(directory: Path, task: str = "classification", content: bytes | None = None, **changes: Any) -> Path:
    """An artifact as the pipeline writes it, with changes of its signature; an ONNX model unless `content` is given."""
    document = signature(task, **changes)
    if content is None:
        content = classifier() if task == "classification" else regressor()
    file = FILES.get(document["model"]["format"], "model")
    return write_files(directory, {file: content, "signature.json": json.dumps(document).encode()})


def write_files(directory: Path, files: Mapping[str, bytes]) -> Path:
    """Files, and the manifest that fits them."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    manifest = {
        "format": 1,
        "name": "sample",
        "version": "v1",
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in files.items()
        },
        "provenance": {"scikit-learn": importlib.metadata.version("scikit-learn")},
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


class Starter:
    """Starts servers as `python -m modelway_server` does, each in a process of its own, forked after the imports.

    With `warm` also after that of ONNX Runtime, and what the end of an interpreter takes apart stays: a server then
    costs a hundredth of a second.
    """

    _LIBRARIES = ("modelway_server.runtimes.onnx",)
    _PROGRAM = """
import atexit, gc, importlib, json, os, signal, sys
from modelway_server.main import main
for name in sys.argv[1:]:
    importlib.import_module(name)
gc.freeze()
for line in sys.stdin:
    folder, errors = json.loads(line)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
        os.environ["MODELWAY_MODEL_DIR"] = folder
        try:
            main()
        except SystemExit as end:
            if not sys.argv[1:]:
                raise
            atexit._run_exitfuncs()
            gc.collect()
            os._exit(end.code or 0)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

    def __init__(self, warm: bool = False) -> None:
        self._arguments = self._LIBRARIES if warm else ()

    def __enter__(self) -> "Starter":
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-c", self._PROGRAM, *self._arguments]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, directory: Path, errors: Path) -> tuple[int, str]:
        """Exit code (negative: the signal that ended it; -14 after 30 s) and standard error of a server that ends."""
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the process has no pipes")
        process.stdin.write(json.dumps([str(directory), str(errors)]) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        return code, errors.read_text()


def start(directory: Path, **environment: str) -> Service:
    """A serving `Service` over an artifact, without ports."""
    service = create_service(load({"MODELWAY_MODEL_DIR": str(directory), **environment}))
    service.phase = Phase.SERVING
    return service


def client_of(service: Service) -> httpx.AsyncClient:
    """Client of the public port."""
    transport = httpx.ASGITransport(create_app(service), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://server")
