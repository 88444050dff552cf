"""Looks into an ONNX file before ONNX Runtime does, and refuses what a table's model has no need of."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from modelway_server.artifact import REBUILD
from modelway_server.startup import StartupError, sentence

OPERATORS = {"": 28, "ai.onnx": 28, "ai.onnx.ml": 5}
"""Operator domains that are opened, with the newest version that the pinned ONNX Runtime knows."""

_LABELS = ("classlabels_ints", "classlabels_int64s")
"""Attributes in which the classifiers of ai.onnx.ml keep the classes that they answer with."""
_PASSING = frozenset({"ArrayFeatureExtractor", "Cast", "Identity", "Reshape"})
"""Operators that take classes from their first input and answer with no other."""
_INT64 = 7

# The part of onnx.proto (github.com/onnx/onnx) that can lead out of the file, run code or declare what is not there;
# protobuf skips every other field. A star: repeated. `Any`: only whether it is there counts.
_SCHEMA: dict[str, dict[str, tuple[int, str]]] = {
    "Model": {
        "opset_import": (8, "*Operators"),
        "graph": (7, "Graph"),
        "functions": (25, "*Any"),
    },
    "Operators": {"domain": (1, "string"), "version": (2, "int64")},
    "Graph": {
        "node": (1, "*Node"),
        "initializer": (5, "*Tensor"),
        "sparse_initializer": (15, "*Any"),
    },
    "Node": {
        "input": (1, "*string"),
        "output": (2, "*string"),
        "op_type": (4, "string"),
        "domain": (7, "string"),
        "attribute": (5, "*Attribute"),
    },
    "Attribute": {
        "name": (1, "string"),
        "ints": (8, "*int64"),
        "t": (5, "Tensor"),
        "g": (6, "Graph"),
        "tensors": (10, "*Tensor"),
        "graphs": (11, "*Graph"),
        "sparse_tensor": (22, "Any"),
        "sparse_tensors": (23, "*Any"),
    },
    "Tensor": {
        "dims": (1, "*int64"),
        "data_type": (2, "int32"),
        "int64_data": (7, "*int64"),
        "name": (8, "string"),
        "raw_data": (9, "bytes"),
        "external_data": (13, "*Entry"),
        "data_location": (14, "int32"),
    },
    "Entry": {"key": (1, "string"), "value": (2, "string")},
    "Any": {},
}


def check_file(file: str, content: bytes, prediction: str, classes: int | None) -> None:
    """Raise `StartupError` unless everything that the model needs is in `content` itself and known to ONNX Runtime.

    Also for an output `prediction` that can name another class than the first `classes`; None for a regression.
    Raises protobuf's `DecodeError` for what is no protobuf.
    """
    model = _MODEL()
    model.ParseFromString(content)
    for what, got, allowed in _faults(model, len(content)):
        raise StartupError(sentence(file, what, got, allowed, REBUILD))
    if classes is None:
        return
    undeclared = [label for label in _labels(model.graph, prediction) if not 0 <= label < classes]
    if undeclared:
        # A warm-up may not meet it: then the request that does would fail.
        what, allowed = "answers something else than its signature says", "one answer per row and class"
        raise StartupError(sentence(file, what, f"class {undeclared[0]} of {classes}", allowed, REBUILD))


def _labels(graph: Any, name: str) -> Sequence[int]:
    """Classes that the tensor `name` can hold, where a classifier or a table of constants says so; else none."""
    nodes = {output: node for node in graph.node for output in node.output}
    # Each node leads to one before it; a graph that goes in circles is left to ONNX Runtime, which refuses it.
    for _ in range(len(graph.node)):
        node = nodes.get(name)
        if node is None or node.op_type not in _PASSING or not node.input:
            break
        name = node.input[0]
    if name in nodes:
        return [label for part in nodes[name].attribute if part.name in _LABELS for label in part.ints]
    table = next((tensor for tensor in graph.initializer if tensor.name == name), None)
    if table is None or table.data_type != _INT64:
        return ()
    labels: list[int] = np.frombuffer(table.raw_data, "<i8").tolist() if table.raw_data else list(table.int64_data)
    return labels


def _faults(model: Any, size: int) -> Iterator[tuple[str, str, str]]:
    """Per fault: what is wrong, what was found, what would be right."""
    if model.functions:
        yield "brings operators of its own", f"{len(model.functions)} functions", "the operators of ONNX"
    for operators in model.opset_import:
        newest = OPERATORS.get(operators.domain)
        if newest is not None and not 1 <= operators.version <= newest:
            name = operators.domain or "ai.onnx"
            yield "needs other operators", f"{name} version {operators.version}", f"version 1 to {newest}"
    for part in _parts(model.graph):
        kind = type(part).DESCRIPTOR.name
        if kind == "Node" and part.domain not in OPERATORS:
            allowed = "operators of ai.onnx and ai.onnx.ml"
            yield "uses a custom operator", f"{part.domain}.{part.op_type}", allowed
        elif kind == "Tensor":
            yield from _faults_of_tensor(part, size)
        elif kind == "Any":
            yield "has a sparse tensor", "one that may be larger than the file", "dense tensors"


def _faults_of_tensor(tensor: Any, size: int) -> Iterator[tuple[str, str, str]]:
    # Two 4-bit numbers share a byte: no element takes less.
    elements = math.prod(tensor.dims)
    if tensor.external_data or tensor.data_location:
        place = next((entry.value for entry in tensor.external_data if entry.key == "location"), "elsewhere")
        yield "keeps weights outside of the file", repr(place), "all weights in the file itself"
    elif min(tensor.dims, default=0) < 0 or elements > 2 * size:
        got = f"tensor {tensor.name!r} of {' x '.join(map(str, tensor.dims))}"
        yield "declares more than it holds", got, f"tensors within its {size} bytes"


def _parts(graph: Any) -> Iterator[Any]:
    """Every node and tensor of a graph and of the graphs inside it."""
    yield from graph.initializer
    yield from graph.sparse_initializer
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from attribute.tensors
            yield from attribute.sparse_tensors
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor
            inner = [attribute.g] if attribute.HasField("g") else []
            for part in (*inner, *attribute.graphs):
                yield from _parts(part)


def _message_class() -> Any:
    """The class that parses a model: `_SCHEMA` as protobuf wants it."""
    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": kinds.TYPE_STRING,
        "bytes": kinds.TYPE_BYTES,
        "int64": kinds.TYPE_INT64,
        "int32": kinds.TYPE_INT32,
    }
    # Version 2: a field that is there can be told from one that is not.
    file = descriptor_pb2.FileDescriptorProto(name="modelway/onnx.proto", package="modelway", syntax="proto2")
    for name, fields in _SCHEMA.items():
        kind = file.message_type.add(name=name)
        for field, (number, text) in fields.items():
            label = kinds.LABEL_REPEATED if text.startswith("*") else kinds.LABEL_OPTIONAL
            wanted = text.removeprefix("*")
            entry = kind.field.add(name=field, number=number, label=label)
            if wanted in scalars:
                entry.type = scalars[wanted]
            else:
                entry.type, entry.type_name = kinds.TYPE_MESSAGE, f".modelway.{wanted}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("modelway.Model"))


_MODEL = _message_class()
