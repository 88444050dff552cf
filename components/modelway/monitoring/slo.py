"""Service level objectives of model versions: recording rules and alerts, as plain data.

An objective leaves an error budget, and what pages is the speed at which it is used up, seen over a long and a short
window together: the long one says that it matters, the short one that it still goes on, so that an alert ends soon
after its cause (Google, The Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts").

Requests are counted where their clients meet them, at the gateway, so a version that answers nobody is seen as well.
Each version has a cluster of its own in the proxies: of its pinned routes, and of its place in the split.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from modelway.serving.runtime_checks import Misfit

LATENCY_EDGES_SECONDS = (
    0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0
)  # fmt: skip
"""Upper edges of Envoy's histogram of the time until an upstream's answer
(https://github.com/envoyproxy/envoy/blob/v1.40.0/source/common/stats/histogram_impl.cc)."""
MINIMUM_BAD_REQUESTS = 5
"""With fewer bad requests in a window none are counted: one failure of ten requests a day is no reason to wake up."""
BUDGET_WINDOW = "30d"
"""As far back as the budget reaches; as far as samples are kept where that is less."""
FAST, SLOW, DAYS, BUDGET = "10s", "1m", "2m", "4m"
"""How often rules run. None is further apart than the 5 minutes for which Prometheus finds a sample."""
FIRST_MINUTES = "10m"
"""How long a Prometheus without samples waits for the first pod of a version before it takes the version for absent."""
WINDOWS = {"5m": FAST, "30m": FAST, "1h": FAST, "2h": SLOW, "6h": SLOW, "1d": DAYS, "3d": DAYS}
"""Windows of the burn rates, with how often each is calculated."""


@dataclass(frozen=True)
class Burn:
    """The budget is used up `factor` times as fast as it may, over a long and over a short window."""

    factor: float
    long: str
    short: str


PAGE = (Burn(14.4, "1h", "5m"), Burn(6, "6h", "30m"))
"""2 % of 30 days' budget in an hour, 5 % in six hours."""
TICKET = (Burn(3, "1d", "2h"), Burn(1, "3d", "6h"))
"""10 % of 30 days' budget in a day or in three."""
LEAST_PERCENT, MOST_PERCENT = 95.0, 99.999
"""Below, a total outage would burn less than 14.4 times the budget; above, it is a few seconds a month."""


@dataclass(frozen=True)
class Latency:
    """At least `percent` of the answers come within `below_seconds`, one of `LATENCY_EDGES_SECONDS`."""

    percent: float
    below_seconds: float


@dataclass(frozen=True)
class Slo:
    """What one version of a model promises."""

    model: str
    version: str
    namespace: str
    """Of its routes."""
    split_position: int | None
    """Its place among the versions of the split; None for one that is not in it."""
    aliases: tuple[str, ...] = ()
    """Other names of its pinned routes."""
    availability_percent: float = 99.9
    latency: Latency | None = None
    may_be_absent: bool = False
    """Whether it may have no pod, as one that scales to zero; else that is an outage."""


class SloArgs(TypedDict):
    """What one version of a model promises to its clients, measured at the gateway."""

    model: str
    """Name of the model."""
    version: str
    """Name of the version."""
    namespace: NotRequired[str]
    """Namespace of the model. Defaults to `modelway-models`."""
    split_position: NotRequired[int]
    """Its place, from 0, among the versions that share the split. Defaults to none: it is not in the split."""
    aliases: NotRequired[list[str]]
    """Other names of the version in URLs. Defaults to none."""
    availability_percent: NotRequired[float]
    """Least share of requests that are not answered with 5xx, 95 to 99.999. Defaults to 99.9. A version without any pod
    counts as failing."""
    latency_percent: NotRequired[float]
    """Least share of answers within `latency_below_seconds`, 95 to 99.999; both or neither."""
    latency_below_seconds: NotRequired[float]
    """An edge of the proxies' histogram: 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60
    or 300."""
    may_be_absent: NotRequired[bool]
    """Whether the version may have no pod, as one that scales to zero. Defaults to false."""


def slo_of(args: SloArgs) -> Slo:
    """The objective; raises `KeyError` for a latency that is only half there, which `slo_misfits` finds first."""
    latency = None
    if "latency_percent" in args:
        latency = Latency(float(args["latency_percent"]), float(args["latency_below_seconds"]))
    return Slo(
        args["model"],
        args["version"],
        args.get("namespace", "modelway-models"),
        # From other languages every number arrives as a float.
        int(args["split_position"]) if "split_position" in args else None,
        tuple(args.get("aliases", ())),
        float(args.get("availability_percent", 99.9)),
        latency,
        args.get("may_be_absent", False),
    )


def slo_misfits(args: SloArgs) -> Iterator[Misfit]:
    """What no objective can be."""
    allowed = f"{LEAST_PERCENT:g} to {MOST_PERCENT:g}"
    for field in ("availability_percent", "latency_percent"):
        value = args.get(field)
        if isinstance(value, (int, float)) and not LEAST_PERCENT <= value <= MOST_PERCENT:
            yield Misfit(field, "out of range", f"{value:g}", allowed, "change it")
    if ("latency_percent" in args) != ("latency_below_seconds" in args):
        field = "latency_percent" if "latency_percent" in args else "latency_below_seconds"
        both = "latency_percent with latency_below_seconds"
        yield Misfit(field, "alone", f"{field} only", both, "add the other or remove it")
    below = args.get("latency_below_seconds")
    if below is not None and below not in LATENCY_EDGES_SECONDS:
        edges = ", ".join(f"{edge:g}" for edge in LATENCY_EDGES_SECONDS)
        yield Misfit("latency_below_seconds", "cannot be measured", f"{below:g}", edges, "take the nearest")


def slo_groups(slos: Sequence[Slo]) -> list[dict[str, Any]]:
    """Rule groups of all objectives, each rule with the labels `model`, `version` and `slo`."""
    rules: dict[str, list[dict[str, Any]]] = {interval: [] for interval in (FAST, SLOW, DAYS, BUDGET)}
    for slo in slos:
        rules[FAST].append(_absence(slo))
        for indicator in _indicators(slo):
            for window, interval in WINDOWS.items():
                rules[interval].append(_record(indicator, f"errors:ratio{window}", indicator.ratio(window)))
            rules[FAST] += [_alert(indicator, "page", PAGE), _alert(indicator, "ticket", TICKET)]
            rules[BUDGET] += _budget(indicator)
            rules[FAST] += _promise(indicator)
    return [
        {"name": f"modelway_slo_{interval}", "interval": interval, "rules": found}
        for interval, found in rules.items()
        if found
    ]


Expression = Callable[[str], str]
"""PromQL over a window."""


@dataclass(frozen=True)
class _Indicator:
    """Bad and all requests of one version, as expressions over a window."""

    slo: Slo
    name: str
    percent: float
    bad: Expression
    requests: Expression
    counts_absence: bool

    @property
    def budget(self) -> float:
        """Share of the requests that may be bad."""
        return round((100 - self.percent) / 100, 10)

    @property
    def labels(self) -> dict[str, str]:
        """Labels of all its rules."""
        return {"model": self.slo.model, "version": self.slo.version, "slo": self.name}

    @property
    def selector(self) -> str:
        """Finds its own series."""
        return ",".join(f'{name}="{value}"' for name, value in self.labels.items())

    def ratio(self, window: str) -> str:
        """Share of bad requests, or of the time without any pod, whichever is more."""
        bad, requests = self.bad(window), self.requests(window)
        share = f"({bad} >= {MINIMUM_BAD_REQUESTS}) / {requests}"
        if not self.counts_absence:
            return f"{share} or 0 * {requests}"
        absent = f"(max(avg_over_time({_absent(self.slo)}[{window}])) or vector(0))"
        return f"{share} > {absent} or {absent}"


def _indicators(slo: Slo) -> Iterator[_Indicator]:
    cluster = f'envoy_cluster_name=~"{_clusters(slo)}"'
    requests = _sum("envoy_cluster_upstream_rq", cluster)
    failed = _sum("envoy_cluster_upstream_rq", f'{cluster},envoy_response_code=~"5.."')
    yield _Indicator(slo, "availability", slo.availability_percent, failed, requests, not slo.may_be_absent)
    if slo.latency is not None:
        answers = _sum("envoy_cluster_upstream_rq_time_count", cluster)
        fast = _sum("envoy_cluster_upstream_rq_time_bucket", f'{cluster},le="{slo.latency.below_seconds * 1000:g}"')
        slow = lambda window: f"({answers(window)} - {fast(window)})"  # noqa: E731
        yield _Indicator(slo, "latency", slo.latency.percent, slow, answers, counts_absence=False)


def _sum(metric: str, matchers: str) -> Expression:
    return lambda window: f"sum(increase({metric}{{{matchers}}}[{window}]))"


def _clusters(slo: Slo) -> str:
    """Pattern of the version's clusters, as Envoy Gateway 1.9 names them: `httproute/NAMESPACE/ROUTE/rule/N…`."""
    found = [f"{slo.model}-{name}/rule/[0-9]+" for name in (slo.version, *slo.aliases)]
    if slo.split_position is not None:
        found.append(f"{slo.model}-split/rule/[0-9]+/backend/{slo.split_position}")
    return f"httproute/{slo.namespace}/({'|'.join(found)})"


def _absent(slo: Slo) -> str:
    return f'model_version:modelway_absent:bool{{model="{slo.model}",version="{slo.version}"}}'


def _absence(slo: Slo) -> dict[str, Any]:
    """Whether no pod answers: of a version that was seen before, or that was not within a Prometheus' first minutes.

    Before its first scrapes, and while the first pods of a new stack start, a Prometheus knows of no pod at all.
    """
    pods = f'up{{job="model-servers",model="{slo.model}",version="{slo.version}"}}'
    gone = f"0 * max({_absent(slo)}) or 0 * max(up offset {FIRST_MINUTES})"
    return {
        "record": "model_version:modelway_absent:bool",
        "expr": f"1 - clamp_max(sum({pods}) or {gone}, 1)",
        "labels": {"model": slo.model, "version": slo.version},
    }


def _record(indicator: _Indicator, what: str, expression: str) -> dict[str, Any]:
    return {"record": f"model_version_slo:modelway_slo_{what}", "expr": expression, "labels": indicator.labels}


def _alert(indicator: _Indicator, severity: str, burns: Sequence[Burn]) -> dict[str, Any]:
    def above(factor: float, window: str) -> str:
        ratio = f"model_version_slo:modelway_slo_errors:ratio{window}{{{indicator.selector}}}"
        return f"{ratio} > {round(factor * indicator.budget, 10):g}"

    parts = [f"({above(burn.factor, burn.long)} and {above(burn.factor, burn.short)})" for burn in burns]
    name = {"availability": "ModelAvailability", "latency": "ModelLatency"}[indicator.name]
    slo = indicator.slo
    promise = f"{indicator.percent:g} %"
    if indicator.name == "latency" and slo.latency is not None:
        promise += f" within {slo.latency.below_seconds:g} s"
    return {
        "alert": f"{name}{severity.capitalize()}",
        "expr": " or ".join(parts),
        "labels": {"severity": severity, **indicator.labels},
        "annotations": {
            "summary": f"{slo.model} {slo.version}: {indicator.name} burns its error budget ({promise} promised)",
            "description": (
                f"{{{{ $value | humanizePercentage }}}} of the requests were bad in the long window; "
                f"{round(indicator.budget * 100, 5):g} % are allowed."
            ),
            "runbook_url": f"docs/runbooks/model-{indicator.name}.md",
        },
    }


def _promise(indicator: _Indicator) -> Iterator[dict[str, Any]]:
    """What was promised, as series that dashboards draw beside what is measured."""
    yield _record(indicator, "allowed_errors:ratio", f"vector({indicator.budget:g})")
    if indicator.name == "latency" and indicator.slo.latency is not None:
        yield _record(indicator, "latency_below:seconds", f"vector({indicator.slo.latency.below_seconds:g})")


def _budget(indicator: _Indicator) -> Iterator[dict[str, Any]]:
    """What is left of the budget: 1 at first, 0 when it is used up, less beyond."""
    bad, requests = indicator.bad("1h"), indicator.requests("1h")
    total = {}
    for kind, expression in {"bad": f"{bad} or 0 * {requests}", "all": requests}.items():
        yield _record(indicator, f"{kind}_requests:increase1h", expression)
        series = f"model_version_slo:modelway_slo_{kind}_requests:increase1h{{{indicator.selector}}}"
        # A subquery's steps are full hours: together they leave nothing out and count nothing twice.
        total[kind] = f"sum_over_time({series}[{BUDGET_WINDOW}:1h])"
    left = f"1 - {total['bad']} / ({total['all']} > 0) / {indicator.budget:g}"
    yield _record(indicator, "budget_left:ratio30d", left)
