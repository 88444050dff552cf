"""ONNX files that lead out, ask for too much or answer nonsense."""

from typing import Any

import onnx
from onnx import TensorProto, helper
from server_testing import NAMES, classifier, regressor

OPERATORS = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]


def _model(nodes: list[Any], initializers: list[Any] = [], operators: list[Any] = OPERATORS, **changes: Any) -> bytes:  # noqa: B006
    """A regression over `nodes`, which make `variable` from `features`."""
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, changes.pop("shape", [None, len(NAMES)]))
    answer = helper.make_tensor_value_info("variable", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "model", [features], [answer], initializers)
    model = helper.make_model(graph, opset_imports=operators, ir_version=8, **changes)
    content: bytes = model.SerializeToString()
    return content


def _node(kind: str, *inputs: str, domain: str = "", output: str = "variable", **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), [output], domain=domain, **attributes)


def _sum(weights: str = "weights") -> list[Any]:
    return [_node("MatMul", "features", weights)]


def _external(place: str) -> bytes:
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[3, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=place)
    return _model(_sum(), [tensor])


def _declared(*dims: int) -> bytes:
    return _model(_sum(), [TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=dims)])


def _weights(*values: float) -> bytes:
    return _model(_sum(), [helper.make_tensor("weights", TensorProto.FLOAT, [3, 1], values)])


def _other_classes(labels: list[int]) -> bytes:
    model = onnx.load_from_string(classifier())
    (attribute,) = (entry for entry in model.graph.node[0].attribute if entry.name == "classlabels_ints")
    attribute.ints[:] = labels
    content: bytes = model.SerializeToString()
    return content


def _nested(depth: int) -> bytes:
    """Graphs in graphs, as bytes: no library writes them."""
    content = b""
    for _ in range(depth):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # Attribute.g, Node.attribute, Graph.node
            content = tag + _length(content) + content
    # Model.ir_version 8, Model.graph
    return b"\x08\x08\x3a" + _length(content) + content


def _length(content: bytes) -> bytes:
    size, prefix = len(content), b""
    while size > 127:
        prefix, size = prefix + bytes([size & 127 | 128]), size >> 7
    return prefix + bytes([size])


def _filled(side: int) -> bytes:
    """A few bytes that ask for a square of `side` × `side` numbers."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [side, side])
    nodes = [
        _node("ConstantOfShape", "shape", output="square"),
        _node("ReduceMax", "square", output="zero", keepdims=0),
        _node("Add", "features", "zero"),
    ]
    return _model(nodes, [shape])


def contents() -> dict[str, tuple[bytes, str]]:
    """Content and task of each case, by name."""
    tree = {
        "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [0, 0, 0],
        "nodes_values": [0.5, 0.0, 0.0], "nodes_modes": ["BRANCH_LEQ", "BRANCH_LEQ", "LEAF"],
        "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 0, 0], "target_treeids": [0], "target_nodeids": [2],
        "target_ids": [0], "target_weights": [1.0], "n_targets": 1,
    }  # fmt: skip
    branch = helper.make_graph([_node("Run", domain="evil")], "branch", [], [])
    function = helper.make_function("own", "f", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], OPERATORS)
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("i", TensorProto.INT64, [1], [0]),
        [10**9],
    )
    regressions = {
        "cut": regressor()[:100],
        "noise": b"\x08\x08" + bytes(range(256)) * 10,
        "graphs in graphs": _nested(1000),
        "weights in ../../secret": _external("../../secret"),
        "weights in a file beside it": _external("weights.bin"),
        "operator of its own": _model([_node("Run", "features", domain="evil")]),
        "operator in a branch": _model([_node("If", "features", then_branch=branch, else_branch=branch)]),
        "function of its own": _model([_node("Identity", "features")], functions=[function]),
        "operators of the future": _model([_node("Identity", "features")], operators=[helper.make_opsetid("", 99)]),
        "terabytes declared": _declared(10**6, 10**6),
        "overflowing size": _declared(2**32, 2**32),
        "negative size": _declared(-1, 3),
        "sparse gigabytes": _model([_node("Constant", sparse_value=sparse)]),
        "petabytes computed": _filled(2**27),
        "other input": _model([_node("Identity", "features")], shape=[None, 4]),
        "fixed rows": _model([_node("Identity", "features")], shape=[1, 3]),
        "tree in a loop": _model([_node("TreeEnsembleRegressor", "features", domain="ai.onnx.ml", **tree)]),
        "too few weights": _model([_node("LinearRegressor", "features", domain="ai.onnx.ml", coefficients=[1.0])]),
        "NaN weights": _weights(float("nan"), 1.0, 1.0),
        "infinite weights": _weights(3e38, 3e38, 3e38),
    }  # fmt: skip
    return {name: (content, "regression") for name, content in regressions.items()} | {
        "undeclared class": (_other_classes([0, 7, 2]), "classification"),
        "negative class": (_other_classes([0, -1, 2]), "classification"),
    }
