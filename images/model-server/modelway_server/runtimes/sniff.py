"""Tells what a file is by its content: a name can say anything."""

import io
import re
import zipfile
from pathlib import PurePosixPath

from modelway_server.artifact import REBUILD
from modelway_server.runtimes.base import Format
from modelway_server.startup import StartupError, sentence

NAMES: dict[Format, str] = {
    "onnx": "an ONNX model",
    "xgboost": "an XGBoost model as JSON",
    "lightgbm": "a LightGBM model as text",
    "skops": "a skops archive",
    "pickle": "a pickle, which can run any code",
}

# Longest first where one is the start of another. ONNX: a protobuf whose first field is ir_version, a small number.
_MAGIC: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), name)
    for pattern, name in (
        (rb".{4}ORTM", "a model in ONNX Runtime's own format"),
        (rb".{4}\x00{4}\{", "a safetensors file"),
        (rb"\x08[\x01-\x1f]", NAMES["onnx"]),
        (rb'\{\s*"', NAMES["xgboost"]),
        (rb"\{[iUIlL#$]", "UBJSON"),
        (rb"tree\r?\n", NAMES["lightgbm"]),
        (rb"\x80[\x02-\x05]", NAMES["pickle"]),
        (rb"\(?[ci][A-Za-z_][\w.]*\n[A-Za-z_]\w*\n|\([ld]p0\n", "a pickle as text, which can run any code"),
        (rb"\x93NUMPY", "a NumPy array, which may hold a pickle"),
        (rb"\x89HDF", "an HDF5 file (Keras), which can run any code"),
        (rb"\x1f\x8b|BZh|\xfd7zXZ|\x78[\x01\x5e\x9c\xda]", "a compressed file"),
    )
)


def check(file: str, wanted: Format, content: bytes) -> None:
    """Raise `StartupError` when `content` is not in the format that the signature says."""
    found = describe(content)
    if found != NAMES[wanted]:
        what = f"is not {NAMES[wanted].partition(',')[0]}"
        raise StartupError(sentence(file, what, found, NAMES[wanted].partition(",")[0], REBUILD))


def describe(content: bytes) -> str:
    """What `content` is, in words; nothing in it is run or unpacked."""
    if not content:
        return "an empty file"
    if content.startswith(b"PK"):
        return _archive(content)
    return next((name for pattern, name in _MAGIC if pattern.match(content)), "an unknown format")


def _archive(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = {PurePosixPath(name).name for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return "a broken zip archive"
    if "data.pkl" in names:
        return "a PyTorch archive, which can run any code"
    if "schema.json" in names:
        return NAMES["skops"]
    if "model.weights.h5" in names:
        return "a Keras archive, which can run any code"
    return "a NumPy archive" if names and all(name.endswith(".npy") for name in names) else "a zip archive"
