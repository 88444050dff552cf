"""The kinds of models that are known to keep their predictions when they are packaged."""

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


def _hist_gradient_boosting_classifier(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=seed)


def _hist_gradient_boosting_regressor(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=seed)


def _xgboost_classifier(seed: int) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(random_state=seed, n_jobs=1)


def _xgboost_regressor(seed: int) -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(random_state=seed, n_jobs=1)


def _lightgbm_classifier(seed: int) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(random_state=seed, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1)


def _lightgbm_regressor(seed: int) -> Any:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(random_state=seed, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1)


FAMILIES: dict[Task, dict[str, Callable[[int], Any]]] = {
    "classification": {
        "logistic-regression": _logistic_regression,
        "gradient-boosting": _gradient_boosting_classifier,
        "hist-gradient-boosting": _hist_gradient_boosting_classifier,
        "xgboost": _xgboost_classifier,
        "lightgbm": _lightgbm_classifier,
    },
    "regression": {
        "linear": _linear,
        "gradient-boosting": _gradient_boosting_regressor,
        "hist-gradient-boosting": _hist_gradient_boosting_regressor,
        "xgboost": _xgboost_regressor,
        "lightgbm": _lightgbm_regressor,
    },
}


def create(task: Task, family: str | None, seed: int) -> Any:
    """An untrained estimator as scikit-learn's are; raises `ProblemError` for a family that the task does not have."""
    families = FAMILIES[task]
    factory = families.get(family or DEFAULT_FAMILY[task])
    if factory is None:
        allowed = f"{' or '.join(families)} for a {task}"
        raise ProblemError([Problem("--family", "is unknown", repr(family), allowed, "correct the option")])
    return factory(seed)
