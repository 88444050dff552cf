"""The formats that a library writes itself: XGBoost's JSON, LightGBM's text, skops and pickle."""

import io
from typing import Any

import numpy as np

from pipeline.data import Matrix
from pipeline.store import Facts, Outputs, TrainedModel


def write_xgboost(model: TrainedModel) -> bytes:
    """XGBoost's JSON."""
    return bytes(model.estimator.get_booster().save_raw("json"))


def run_xgboost(content: bytes, rows: Matrix, facts: Facts) -> Outputs:
    """Prediction and probability of the JSON."""
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(content))
    return _outputs(booster.predict(xgboost.DMatrix(rows)), facts)


def write_lightgbm(model: TrainedModel) -> bytes:
    """LightGBM's text."""
    text: str = model.estimator.booster_.model_to_string()
    return text.encode()


def run_lightgbm(content: bytes, rows: Matrix, facts: Facts) -> Outputs:
    """Prediction and probability of the text."""
    import lightgbm

    booster = lightgbm.Booster(model_str=content.decode())
    return _outputs(booster.predict(rows, num_threads=1), facts)


def _outputs(answer: Any, facts: Facts) -> Outputs:
    if facts.classes is None:
        return answer, None
    probability = answer if answer.ndim == 2 else np.stack([1 - answer, answer], axis=1)
    return probability.argmax(axis=1), probability


def write_skops(model: TrainedModel) -> bytes:
    """A skops archive; its bytes differ each time, for it holds addresses in memory."""
    import skops.io

    content: bytes = skops.io.dumps(model.estimator)
    return content


def skops_types(content: bytes) -> list[str]:
    """Full names of the types in an archive that skops does not trust by itself."""
    import skops.io

    types: list[str] = skops.io.get_untrusted_types(data=content)
    return types


def run_skops(content: bytes, rows: Matrix, facts: Facts) -> Outputs:
    """Prediction and probability of the estimator in a skops archive."""
    import skops.io

    return _ask(skops.io.loads(content, trusted=skops_types(content)), rows, facts)


def write_pickle(model: TrainedModel) -> bytes:
    """A pickle, as joblib writes it."""
    import joblib  # type: ignore[import-untyped]

    target = io.BytesIO()
    joblib.dump(model.estimator, target)
    return target.getvalue()


def run_pickle(content: bytes, rows: Matrix, facts: Facts) -> Outputs:
    """Prediction and probability of the pickled estimator; `content` must come from `write_pickle`."""
    import joblib

    return _ask(joblib.load(io.BytesIO(content)), rows, facts)


def _ask(estimator: Any, rows: Matrix, facts: Facts) -> Outputs:
    if facts.classes is None:
        return estimator.predict(rows), None
    probability = estimator.predict_proba(rows)
    return probability.argmax(axis=1), probability
