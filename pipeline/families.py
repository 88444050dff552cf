"""The kinds of models that are known to convert to ONNX without changing a prediction."""

from collections.abc import Callable
from typing import Any

from pipeline.data import Task
from tools.problem import Problem, ProblemError

DEFAULT_FAMILY: dict[Task, str] = {"classification": "logistic-regression", "regression": "linear"}


def _logistic_regression(_seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))


def _gradient_boosting_classifier(seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(random_state=seed)


def _linear(_seed: int) -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), Ridge())


def _gradient_boosting_regressor(seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(random_state=seed)


FAMILIES: dict[Task, dict[str, Callable[[int], Any]]] = {
    "classification": {
        "logistic-regression": _logistic_regression,
        "gradient-boosting": _gradient_boosting_classifier,
    },
    "regression": {"linear": _linear, "gradient-boosting": _gradient_boosting_regressor},
}


def create(task: Task, family: str | None, seed: int) -> Any:
    """An untrained scikit-learn estimator; raises `ProblemError` for a family that the task does not have."""
    families = FAMILIES[task]
    factory = families.get(family or DEFAULT_FAMILY[task])
    if factory is None:
        allowed = f"{' or '.join(families)} for a {task}"
        raise ProblemError([Problem("--family", "is unknown", repr(family), allowed, "correct the option")])
    return factory(seed)
