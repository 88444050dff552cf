"""scikit-learn models as pickle or joblib, which can run any code when they are opened: only where that is allowed."""

import io

import joblib  # type: ignore[import-untyped]

from modelway_server.runtimes import sklearn
from modelway_server.runtimes.base import Engine
from modelway_server.signature import Manifest, Signature


def open_model(content: bytes, signature: Signature, manifest: Manifest, threads: int) -> Engine:
    """Open, and so run, a pickle; raises `StartupError` when it does not fit the signature."""
    sklearn.check_version(signature.model.file, manifest)
    return sklearn.engine(joblib.load(io.BytesIO(content)), signature, threads)
