"""scikit-learn estimators, wherever they come from: what they answer, and what they must not do."""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import sklearn
import threadpoolctl  # type: ignore[import-untyped]
from numpy.typing import NDArray
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.pipeline import Pipeline
from sklearn.tree._tree import Tree

from modelway_server.artifact import REBUILD
from modelway_server.runtimes.base import Engine, Rows
from modelway_server.runtimes.trees import check_nodes
from modelway_server.signature import Manifest, Signature
from modelway_server.startup import StartupError, sentence


def check_version(file: str, manifest: Manifest) -> None:
    """Raise `StartupError` unless the model was trained with this scikit-learn: others may read it as another model."""
    version = manifest.provenance.get("scikit-learn", "none")
    if version != sklearn.__version__:
        what, fix = "was trained with another scikit-learn", "train it again"
        raise StartupError(sentence(file, what, version, sklearn.__version__, fix))


def engine(estimator: Any, signature: Signature, threads: int) -> Engine:
    """What predicts with `estimator`; raises `StartupError` when it does not fit, `ValueError` for broken trees."""
    _check_fit(signature.model.file, estimator, signature)
    _check_trees(estimator)
    # The last word on threads: pools of BLAS and OpenMP, and joblib's, which estimators size by the host.
    threadpoolctl.threadpool_limits(threads)
    jobs = [name for name in estimator.get_params() if name == "n_jobs" or name.endswith("__n_jobs")]
    estimator.set_params(**dict.fromkeys(jobs, 1))

    def classify(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
        probability = np.asarray(estimator.predict_proba(rows))
        return probability.argmax(axis=1), probability

    return (lambda rows: (np.asarray(estimator.predict(rows)),)) if signature.classes is None else classify


def _check_fit(file: str, estimator: Any, signature: Signature) -> None:
    method = "predict" if signature.classes is None else "predict_proba"
    if not isinstance(estimator, sklearn.base.BaseEstimator) or not hasattr(estimator, method):
        got, allowed = type(estimator).__name__, f"an estimator with {method}"
        raise StartupError(sentence(file, "does not do the signature's task", got, allowed, REBUILD))
    width = getattr(estimator, "n_features_in_", None)
    if width != len(signature.features):
        got, allowed = f"{width} features", f"{len(signature.features)}"
        raise StartupError(sentence(file, "input does not fit the signature", got, allowed, REBUILD))
    if signature.classes is None:
        return
    found, wanted = np.asarray(estimator.classes_).tolist(), list(signature.classes)
    if found not in (wanted, list(range(len(wanted)))):
        raise StartupError(
            sentence(file, "classes do not fit the signature", f"{found}"[:200], f"{wanted}"[:200], REBUILD)
        )


def _check_trees(estimator: Any) -> None:
    """scikit-learn follows a tree's indices without looking: each is looked at here; raises `ValueError`."""
    for part, width in _parts(estimator):
        if isinstance(part, Tree):
            if part.node_count != part.capacity:
                raise ValueError(f"a tree promises {part.node_count} nodes and holds {part.capacity}")
            check_nodes(part.__getstate__()["nodes"], width)
        elif isinstance(part, TreePredictor):
            check_nodes(part.nodes, width)


def _parts(estimator: Any) -> Iterator[tuple[Any, int]]:
    """Every object inside an estimator, with the number of columns that reach it.

    The steps of a pipeline are told, and check, their own number. What is inside any other estimator gets that one's
    columns at most, whatever it says of itself: an ensemble asks its members without checks.
    """
    stack, seen = [(estimator, sys.maxsize)], set()
    while stack:
        part, width = stack.pop()
        width = min(width, getattr(part, "n_features_in_", width))
        if (id(part), width) in seen:
            continue
        seen.add((id(part), width))
        yield part, width
        if isinstance(part, Pipeline):
            stack += [(step, sys.maxsize) for _, step in part.steps]
        elif isinstance(part, dict):
            stack += [(inner, width) for inner in part.values()]
        elif isinstance(part, list | tuple | set):
            stack += [(inner, width) for inner in part]
        elif isinstance(part, np.ndarray):
            stack += [(inner, width) for inner in part.ravel()] if part.dtype == object else []
        elif not isinstance(part, type):
            stack += [(inner, width) for inner in getattr(part, "__dict__", {}).values()]
