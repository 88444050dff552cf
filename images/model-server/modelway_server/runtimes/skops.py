"""scikit-learn models as skops, which runs no code when it is opened."""

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from modelway_server.artifact import REBUILD
from modelway_server.runtimes.base import Engine
from modelway_server.runtimes.trees import check_nodes
from modelway_server.signature import Manifest, Signature, SkopsModel
from modelway_server.startup import StartupError, sentence

CHECKED = frozenset({"sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"})
"""Types beyond those that skops trusts which a signature may name: skops checks no content, `runtimes.sklearn` does."""
PACKAGES = frozenset({"builtins", "collections", "numpy", "scipy", "sklearn"})
"""Packages whose types an archive may hold."""
CALLS = frozenset({"MethodNode", "OperatorFuncNode", "PartialNode"})
"""Parts of an archive that bind or call a function when it is opened."""
EXPANSION = 100
"""How many times its own size an archive may unpack to: numbers compress by much less."""


def open_model(content: bytes, signature: Signature, manifest: Manifest, threads: int) -> Engine:
    """Open a skops archive; raises `StartupError` when it is unsafe or does not fit the signature."""
    model = signature.model
    if not isinstance(model, SkopsModel):
        raise TypeError("the signature is not that of a skops model")
    if unknown := set(model.trusted) - CHECKED:
        got, allowed = ", ".join(sorted(unknown)), ", ".join(sorted(CHECKED))
        raise StartupError(sentence(model.file, "trusts what cannot be checked", got, allowed, "package it as onnx"))
    _check_archive(model.file, content)
    schema = _check_schema(model.file, content, model.trusted)
    _check_trees(content, schema)
    # Not before: these take a second.
    import skops.io

    from modelway_server.runtimes import sklearn

    sklearn.check_version(model.file, manifest)
    # skops' own audit of every type comes on top of what was looked at above.
    return sklearn.engine(skops.io.loads(content, trusted=list(model.trusted)), signature, threads)


def _check_archive(file: str, content: bytes) -> None:
    """Raise `StartupError` for an archive that unpacks to too much or elsewhere, or whose arrays hold pickles."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        total = sum(entry.file_size for entry in entries)
        if total > EXPANSION * len(content):
            got, allowed = f"{total} bytes in {len(content)}", f"at most {EXPANSION} times its size"
            raise StartupError(sentence(file, "unpacks to too much", got, allowed, REBUILD))
        names = [entry.filename for entry in entries]
        odd = next((name for name in names if "/" in name or "\\" in name or name.startswith(".")), None)
        if odd is not None or len(set(names)) < len(names):
            got, allowed = repr(odd or "two files of one name")[:200], "one file per name, without a path"
            raise StartupError(sentence(file, "has an odd archive", got, allowed, REBUILD))
        if objects := next((name for name in names if name.endswith(".npy") and _holds_objects(archive, name)), None):
            raise StartupError(sentence(file, "holds an array of objects", objects, "arrays of numbers", REBUILD))


def _holds_objects(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether an array's header says that its content is a pickle."""
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        _, _, dtype = read(stream)
        return bool(dtype.hasobject)


def _check_schema(file: str, content: bytes, trusted: tuple[str, ...]) -> dict[str, Any]:
    """The archive's schema; raises `StartupError` for a part that a scikit-learn model does not have."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema: dict[str, Any] = json.loads(archive.read("schema.json"))
    if not str(schema.get("__module__")).startswith("sklearn."):
        got = f"{schema.get('__module__')}.{schema.get('__class__')}"[:200]
        raise StartupError(sentence(file, "is no model", got, "an estimator of scikit-learn", REBUILD))
    for part in _parts(schema):
        name, loader = _name(part), str(part.get("__loader__", ""))
        foreign = part.get("__module__") and name.partition(".")[0] not in PACKAGES
        if foreign or loader in CALLS or (name in CHECKED and name not in trusted):
            got, allowed = f"{name} ({loader})"[:200], "types that skops or the signature trusts"
            raise StartupError(sentence(file, "holds a foreign type", got, allowed, "package it as onnx"))
    return schema


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every object inside a schema."""
    parts: list[Any] = [schema]
    while parts:
        part = parts.pop()
        if isinstance(part, list):
            parts += part
        elif isinstance(part, dict):
            parts += part.values()
            yield part


def _name(part: dict[str, Any]) -> str:
    return f"{part.get('__module__', '')}.{part.get('__class__', '')}"


def _check_trees(content: bytes, schema: dict[str, Any]) -> None:
    """Refuse early what `runtimes.sklearn` would refuse after its imports, which take a second.

    That remains the check that counts: an archive may say things here that skops reads otherwise. Raises `ValueError`,
    or anything else for an archive that is broken.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for part in _parts(schema):
            if _name(part) in CHECKED and part.get("__loader__") in ("TreeNode", "ObjectNode"):
                state = part["content"]["content"]
                nodes = np.load(io.BytesIO(archive.read(state["nodes"]["file"])), allow_pickle=False)
                width = sys.maxsize
                if "__reduce__" in part:
                    width = int(part["__reduce__"]["args"]["content"][0]["content"])
                    promised = int(state["node_count"]["content"])
                    if promised != len(nodes):
                        raise ValueError(f"a tree promises {promised} nodes and holds {len(nodes)}")
                check_nodes(nodes, width)
