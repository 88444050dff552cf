"""Opens a packaged model, whatever its format, and predicts with it.

A format's library is imported when a model of that format is opened, never before: a server of an ONNX model holds
neither scikit-learn nor scipy in memory, and its image has none.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

from modelway_server import artifact
from modelway_server.runtimes import sniff
from modelway_server.runtimes.base import (
    Engine,
    Model,
    NonFiniteError,
    Output,
    Prediction,
    Rows,
    UndeclaredError,
    refusal,
)
from modelway_server.signature import Manifest, Signature
from modelway_server.startup import StartupError, sentence

__all__ = ["Model", "NonFiniteError", "Output", "Prediction", "Rows", "UndeclaredError", "load"]

Open = Callable[[bytes, Signature, Manifest, int], Engine]


def load(directory: Path, allow_pickle: bool = False, threads: int = 1) -> Model:
    """Open the artifact in `directory`, to predict with `threads` threads.

    Every file is compared with its sha256 and the model's content with its format before any library sees it. Raises
    `StartupError` when a file is missing, altered or not what it says, when it could run code, and when the model does
    not fit its signature. `allow_pickle` lets a pickle run: whoever wrote it then owns the process.
    """
    manifest = artifact.read_manifest(directory)
    signature = artifact.read_signature(directory, manifest)
    kind = signature.model.format
    if kind == "pickle" and not allow_pickle:
        what, got = "can run any code when it is opened", "a pickle"
        allowed, fix = "onnx, xgboost, lightgbm or skops", "package the model in one of these formats"
        raise StartupError(sentence(signature.model.file, what, got, allowed, fix))
    content = artifact.read_file(directory, signature.model.file, manifest)
    sniff.check(signature.model.file, kind, content)
    opened: Open = importlib.import_module(f"{__name__}.{kind}").open_model
    try:
        engine = opened(content, signature, manifest, threads)
    except StartupError:
        raise
    except Exception as error:
        # Libraries raise anything for a file that is broken in a way of its own.
        raise refusal(
            signature.model.file, "cannot be opened", error, f"{sniff.NAMES[kind]} that is complete"
        ) from None
    return Model(engine, signature, manifest)
