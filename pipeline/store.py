"""The folder between the steps: the trained model as skops (no pickle), its facts and its held-out rows."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data import ClassLabel, Matrix, Task, Vector
from tools.problem import Problem, ProblemError

MODEL, FACTS, ROWS, ANSWERS, TRAINING_ROWS = (
    "model.skops",
    "training.json",
    "held_out_rows.npy",
    "held_out_answers.npy",
    "training_rows.npy",
)
# Classes of the known families that skops does not trust by itself; anything else in a model file is refused.
TRUSTED = frozenset(
    {
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
    }
)

Outputs = tuple[NDArray[Any], NDArray[Any] | None]
"""Class index, or value, per row; probability per row and class, None for regression."""


@dataclass(frozen=True)
class Facts:
    """What is known of a trained model."""

    task: Task
    """What it predicts."""
    family: str
    """Kind of model."""
    seed: int
    """Seed of the split and the training."""
    target: str
    """Name of the predicted column."""
    features: tuple[str, ...]
    """Names of the inputs, in order."""
    classes: tuple[ClassLabel, ...] | None
    """Classes in order; None for regression."""
    data_sha256: str
    """Digest of the table."""
    model_sha256: str
    """Digest of the model file."""
    libraries: dict[str, str]
    """Versions that trained it."""


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with the rows it was trained on and the rows held out."""

    facts: Facts
    estimator: Any
    """The scikit-learn estimator; it predicts class indices."""
    training_rows: Matrix
    held_out_rows: Matrix
    held_out_answers: Vector

    def predict(self, rows: Matrix) -> NDArray[Any]:
        """Class index, or value, per row."""
        answers: NDArray[Any] = self.estimator.predict(rows)
        return answers

    def probability(self, rows: Matrix) -> NDArray[Any] | None:
        """One probability per row and class; None for regression."""
        return self.estimator.predict_proba(rows) if self.facts.classes is not None else None


def save(folder: Path, model: TrainedModel) -> Facts:
    """Write `model` to `folder`; returns its facts with the digest of the model file."""
    import skops.io

    folder.mkdir(parents=True, exist_ok=True)
    content: bytes = skops.io.dumps(model.estimator)
    facts = Facts(**(vars(model.facts) | {"model_sha256": hashlib.sha256(content).hexdigest()}))
    (folder / MODEL).write_bytes(content)
    for name, array in (
        (TRAINING_ROWS, model.training_rows),
        (ROWS, model.held_out_rows),
        (ANSWERS, model.held_out_answers),
    ):
        np.save(folder / name, array, allow_pickle=False)
    # Last: a folder without it is a training that did not finish.
    (folder / FACTS).write_text(json.dumps(asdict(facts), indent=2) + "\n")
    return facts


def load(folder: Path, option: str) -> TrainedModel:
    """The model in `folder`; raises `ProblemError` that names `option` when it is not a trained model."""
    import skops.io

    try:
        raw = json.loads((folder / FACTS).read_text())
        facts = Facts(
            **(raw | {"features": tuple(raw["features"]), "classes": raw["classes"] and tuple(raw["classes"])})
        )
        content = (folder / MODEL).read_bytes()
        arrays = [np.load(folder / name, allow_pickle=False) for name in (TRAINING_ROWS, ROWS, ANSWERS)]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _refused(option, folder, str(error)) from None
    if hashlib.sha256(content).hexdigest() != facts.model_sha256:
        raise _refused(option, folder, f"a {MODEL} that was changed after training")
    unknown = set(skops.io.get_untrusted_types(data=content)) - TRUSTED
    if unknown:
        raise _refused(option, folder, f"a {MODEL} with {', '.join(sorted(unknown))}")
    return TrainedModel(facts, skops.io.loads(content, trusted=sorted(TRUSTED)), *arrays)


def _refused(option: str, folder: Path, got: str) -> ProblemError:
    fix = "run `python -m pipeline train --out " + str(folder) + "`"
    return ProblemError([Problem(f"{option} {folder}", "is no trained model", got, "a folder that train wrote", fix)])
