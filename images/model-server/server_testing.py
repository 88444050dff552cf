"""Small artifacts, and the server over them in this process, for tests; not part of the image."""

import hashlib
import json
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


def write_artifact(directory: Path, task: str = "classification", **changes: Any) -> Path:
    """An artifact as the pipeline writes it; `changes` replace keys of the signature."""
    directory.mkdir(parents=True, exist_ok=True)
    classify = task == "classification"
    signature = {
        "format": 1,
        "task": task,
        "target": "diagnosis",
        "features": [{"name": name, "dtype": "float32", "minimum": -1.0, "maximum": 2.0} for name in NAMES],
        "classes": CLASSES if classify else None,
        "onnx": {
            "input": "features",
            "prediction": "label" if classify else "variable",
            "probability": "probabilities" if classify else None,
        },
    } | changes
    files = {"model.onnx": classifier() if classify else regressor(), "signature.json": json.dumps(signature).encode()}
    write_files(directory, files)
    return directory


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Files, and the manifest that fits them."""
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
        "provenance": {},
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))


def start(directory: Path, **environment: str) -> Service:
    """A serving `Service` over an artifact, without ports."""
    service = create_service(load({"MODELWAY_MODEL_DIR": str(directory), **environment}))
    service.phase = Phase.SERVING
    return service


def client_of(service: Service) -> httpx.AsyncClient:
    """Client of the public port."""
    transport = httpx.ASGITransport(create_app(service), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://server")
