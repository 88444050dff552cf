"""Expressions that several dashboards show: the recorded series of the rules, and what is made of them."""

from modelway.monitoring.dashboards.panels import VERSIONS, Step
from modelway.monitoring.slo import PAGE, TICKET

REQUESTS = "model_version:modelway_requests:rate1m"
ERRORS = "model_version:modelway_request_errors:rate1m"
P50 = "model_version:modelway_request_duration_seconds:p50"
P99 = "model_version:modelway_request_duration_seconds:p99"
CORES = "model_version:container_cpu_cores:rate1m"
MEMORY = "model_version:container_memory_working_set_bytes:sum"
DRIFT = "model_version:modelway_prediction_drift_psi"
SLO = "model_version_slo:modelway_slo"
ALLOWED = f"{SLO}_allowed_errors:ratio"

PAGE_FACTOR, TICKET_FACTOR = min(burn.factor for burn in PAGE), min(burn.factor for burn in TICKET)
BURN_STEPS = (Step(TICKET_FACTOR, "orange"), Step(PAGE_FACTOR, "red"))
"""The slowest burn that makes a ticket, and the slowest that pages."""


def matched(name: str, matchers: str) -> str:
    """A series with matchers, if any."""
    return f"{name}{{{matchers}}}" if matchers else name


def failed_share(matchers: str = "") -> str:
    """Share of the requests that a version answered with 5xx; none where nothing was asked."""
    return f"{matched(ERRORS, matchers)} / ({matched(REQUESTS, matchers)} > 0)"


def burn(window: str, matchers: str = "") -> str:
    """How many times too fast a version uses up its error budget."""
    return f"{matched(f'{SLO}_errors:ratio{window}', matchers)} / {matched(ALLOWED, matchers)}"


def budget_left(matchers: str = "") -> str:
    """Share of the error budget that is left. Before the first full hour: of the requests so far."""
    bad, requests = (matched(f"{SLO}_{kind}_requests:increase1h", matchers) for kind in ("bad", "all"))
    so_far = f"1 - {bad} / ({requests} > 0) / {matched(ALLOWED, matchers)}"
    return f"{matched(f'{SLO}_budget_left:ratio30d', matchers)} or {so_far}"


def chosen_series(name: str) -> str:
    """A recorded series of the chosen versions."""
    return matched(name, VERSIONS)
