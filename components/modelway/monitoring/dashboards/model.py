"""One model, its versions side by side: service, objectives, quality by feedback, and drift."""

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard

from modelway.monitoring.dashboards import series
from modelway.monitoring.dashboards.panels import (
    RATE,
    VERSIONS,
    Looks,
    Q,
    Row,
    Step,
    chosen,
    lines,
    one_of,
    page,
    rows,
)
from modelway.monitoring.dashboards.series import chosen_series

DRIFT_STEPS = (Step(0.1, "orange"), Step(0.25, "red"))
"""The usual reading of PSI: a moderate shift, and a large one."""
WINDOW = "$window"


def dashboard() -> Dashboard:
    """The dashboard."""
    return page(
        "model",
        "Modelway / Model",
        "One model, its versions side by side: service, objectives, predictions, quality and drift.",
        [
            chosen("model", 'label_values(up{job="model-servers"}, model)'),
            chosen("version", 'label_values(up{job="model-servers",model=~"$model"}, version)', many=True),
            one_of("window", "Window of quality and drift", "1h", "1d"),
        ],
        [
            Row("Service", _service()),
            Row("Objectives", _objectives()),
            Row("Use", _use()),
            Row("Quality, by feedback", _quality()),
            Row("Drift", _drift()),
        ],
    )


def rate(metric: str, labels: str) -> str:
    """How fast a counter of the servers rises, by labels."""
    return f"sum by ({labels}) (rate({metric}{{{VERSIONS}}}[{RATE}]))"


def _service() -> list[Any]:
    requests = chosen_series(series.REQUESTS)
    share = f"{requests} / on (model) group_left () sum by (model) ({requests} > 0)"
    allowed = Q(f'max by (slo) ({series.SLO}_allowed_errors:ratio{{{VERSIONS},slo="availability"}})', "allowed")
    promised = Q(f"min by (slo) ({series.SLO}_latency_below:seconds{{{VERSIONS}}})", "promised")
    pods = f'sum by (version) (up{{job="model-servers",{VERSIONS}}})'
    waiting = "Rows that wait for the model, and requests that are being answered."
    return [
        lines("Requests", [Q(requests, "{{version}}")], Looks("reqps")),
        lines("Share of the requests", [Q(share, "{{version}}")], Looks("percentunit", maximum=1, stacked=True)),
        lines("Answers", [Q(rate("modelway_requests_total", "version, code"), "{{version}} {{code}}")], Looks("reqps")),
        lines(
            "Failed",
            [Q(series.failed_share(VERSIONS), "{{version}}"), allowed],
            Looks("percentunit", promised="allowed", runbooks=("model-availability",)),
        ),
        lines(
            "Latency",
            [
                Q(chosen_series(series.P50), "{{version}} p50"),
                Q(chosen_series(series.P99), "{{version}} p99"),
                promised,
            ],
            Looks("s", promised="promised", runbooks=("model-latency",), description=PROMISED),
        ),
        lines(
            "Waiting",
            [
                Q(f"sum by (version) (modelway_queue_rows{{{VERSIONS}}})", "{{version}} rows waiting"),
                Q(f"sum by (version) (modelway_requests_in_flight{{{VERSIONS}}})", "{{version}} in flight"),
            ],
            Looks(description=waiting),
        ),
        lines("Errors by kind", [Q(rate("modelway_errors_total", "version, kind"), "{{version}} {{kind}}")], _wide()),
        lines("Pods that answer", [Q(pods, "{{version}}")], _wide()),
    ]


PROMISED = "Measured at the servers; the promise counts at the gateway."


def _wide(unit: str = "short", **more: Any) -> Looks:
    return Looks(unit, width=12, **more)


def _objectives() -> list[Any]:
    slo = "{{version}} {{slo}}"
    pages = ("model-availability", "model-latency")
    return [
        lines("Error budget left", [Q(series.budget_left(VERSIONS), slo)], Looks("percentunit", runbooks=pages)),
        *(
            lines(
                f"Burn rate, {window}",
                [Q(series.burn(window, VERSIONS), slo)],
                Looks(steps=series.BURN_STEPS, runbooks=pages),
            )
            for window in ("5m", "1h")
        ),
    ]


def _use() -> list[Any]:
    digest = {"Models": (Q(f"max by (version, digest) (modelway_model_info{{{VERSIONS}}})"), "short")}
    return [
        lines("CPU", [Q(chosen_series(series.CORES), "{{version}}")], Looks("none", decimals=2)),
        lines("Memory", [Q(chosen_series(series.MEMORY), "{{version}}")], Looks("bytes")),
        rows("Digests", digest, Looks()),
    ]


def _quality() -> list[Any]:
    def ratio(title: str, name: str) -> Any:
        return lines(title, [Q(chosen_series(f"{name}:ratio{WINDOW}"), LEGENDS[title])], scored)

    scored = Looks("percentunit", runbooks=("model-accuracy", "model-quality-unmeasured"))
    by_class = "model_version_class:modelway_feedback"
    predictions = rate("modelway_predictions_total", "version, prediction")
    return [
        ratio("Accuracy", "model_version:modelway_feedback_accuracy"),
        ratio("Macro F1", "model_version:modelway_feedback_macro_f1"),
        ratio("Precision", f"{by_class}_precision"),
        ratio("Recall", f"{by_class}_recall"),
        ratio("F1", f"{by_class}_f1"),
        lines(
            "Mean absolute error",
            [Q(chosen_series(f"model_version:modelway_feedback_absolute_error:mean{WINDOW}"), "{{version}}")],
            Looks(description="Of models that predict a number; the others have classes.", runbooks=("model-error",)),
        ),
        lines(
            "Mean of outcomes",
            [Q(chosen_series(f"model_version_name:modelway_feedback_outcome:mean{WINDOW}"), "{{version}} {{name}}")],
            Looks(runbooks=("model-outcome",)),
        ),
        lines(
            "Feedback",
            [Q(rate("modelway_feedback_total", "version, result"), "{{version}} {{result}}")],
            Looks(runbooks=("model-truth",)),
        ),
        lines("Predictions by class", [Q(predictions, "{{version}} {{prediction}}")], Looks("rowsps")),
    ]


LEGENDS = {
    **dict.fromkeys(("Accuracy", "Macro F1"), "{{version}}"),
    **dict.fromkeys(("Precision", "Recall", "F1"), "{{version}} {{class}}"),
}


def _drift() -> list[Any]:
    def largest(name: str) -> list[Q]:
        return [Q(f"topk(10, {chosen_series(name)})", "{{version}} {{feature}}")]

    features = "model_version_feature:modelway_feature"
    pages = ("model-drift",)
    enough = "From 500 rows in the window on; the ten features with most."
    return [
        lines(
            "Predictions, PSI",
            [Q(chosen_series(f"{series.DRIFT}:{WINDOW}"), "{{version}}")],
            _wide(steps=DRIFT_STEPS, description="From 500 rows in the window on.", runbooks=pages),
        ),
        lines(
            "Features, PSI",
            largest(f"{features}_drift_psi:{WINDOW}"),
            _wide(steps=DRIFT_STEPS, description=enough, runbooks=pages),
        ),
        lines(
            "Features, Kolmogorov-Smirnov",
            largest(f"{features}_drift_ks:{WINDOW}"),
            _wide(description=enough, runbooks=pages),
        ),
        lines(
            "Rows without a value",
            largest(f"{features}_missing:ratio{WINDOW}"),
            _wide("percentunit", description=enough, runbooks=("model-missing-features",)),
        ),
    ]
