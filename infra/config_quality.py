"""What the stack config promises about a model's predictions."""

from pydantic import Field

from infra.config_section import Section


class TruthSettings(Section):
    """Truths of predictions come within `fresh_within_hours`, in `percent` of the time."""

    fresh_within_hours: int
    percent: float = 95.0


class QualitySettings(Section):
    """What every version but shadows promises about its predictions, and nothing that is not set;
    `modelway.monitoring.quality_args` says what can be measured. Shadows promise what needs no feedback."""

    severity: str = "ticket"
    """Or page: of the alerts on drift, missing values and quality."""
    drift_window: str = "1h"
    """Or 1d."""
    feedback_window: str = "1d"
    """Or 1h."""
    prediction_drift_psi: float | None = None
    feature_drift_psi: float | None = None
    missing_feature_percent: float | None = None
    """Percentage points above the training rows' share."""
    accuracy_at_least: float | None = None
    macro_f1_at_least: float | None = None
    precision_at_least: dict[str, float] = Field(default_factory=dict)
    """By class, as answers write it."""
    recall_at_least: dict[str, float] = Field(default_factory=dict)
    absolute_error_at_most: float | None = None
    """Mean, of a regression."""
    outcomes_at_least: dict[str, float] = Field(default_factory=dict)
    """Mean by name, one of feedbackOutcomes."""
    truth: TruthSettings | None = None
