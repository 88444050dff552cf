"""What may be said about the number of pods of a version: every field acts or is refused. Nothing here needs Pulumi."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from modelway.gateway.policy import OWN_CLASS
from modelway.serving.runtime_checks import Misfit

TARGETS: Mapping[str, str] = MappingProxyType(
    {
        "cpu": "cpu_utilization_percent",
        "inFlight": "in_flight_requests_per_pod",
        "queue": "queued_rows_per_pod",
        "latency": "latency_seconds",
    }
)
"""What may decide, and the field with what is aimed at."""
SOURCES = ("keda", "pods")
DEFAULT_PROMETHEUS = "http://prometheus.modelway-monitoring.svc:9090"
MINIMUM_IDLE_SECONDS = 60
"""As long as a request counts when KEDA asks whether there were any: a shorter wait would act like this one."""
MAXIMUM_REPLICAS = 1000


@dataclass(frozen=True)
class Sleeper:
    """What else is said of a version that may sleep."""

    weight: int
    shadow: bool = False
    experiment: bool = False
    """Whether its model has one that compares it."""
    gateway_class: str = OWN_CLASS


@dataclass(frozen=True)
class Autoscaling:
    """Bounds of the number of pods and what decides between them; `replicas` is left out of the Deployment."""

    min_replicas: int
    max_replicas: int
    cpu_utilization_percent: int = 70
    metric: str = "cpu"
    """One of `TARGETS`."""
    in_flight_requests_per_pod: float | None = None
    queued_rows_per_pod: float | None = None
    latency_seconds: float | None = None
    latency_quantile: float = 0.95
    idle_seconds: int = 300
    """How long without a request until the last pod goes, where `min_replicas` is 0."""
    scale_down_stabilization_seconds: int = 300
    source: str = "keda"
    """One of `SOURCES`; CPU has neither."""
    prometheus_url: Any = DEFAULT_PROMETHEUS
    """Text, or a value that becomes text while deploying."""
    waking_routes: tuple[str, ...] = ()
    """Names of the HTTPRoutes whose requests wake the version."""

    @property
    def target(self) -> float:
        """What is aimed at, in the unit of the metric."""
        value: float = getattr(self, TARGETS[self.metric])
        return value


def autoscaling_misfits(args: Mapping[str, Any], runtime: str) -> Iterator[Misfit]:
    """Everything wrong with the autoscaling of one version; `args` are the fields that are set."""
    metric, field, source = args.get("metric", "cpu"), "autoscaling.metric", args.get("source", "keda")
    if source not in SOURCES:
        yield Misfit("autoscaling.source", "unknown value", repr(source), ", ".join(SOURCES), "correct it")
        return
    if metric not in TARGETS:
        yield Misfit(field, "unknown value", repr(metric), ", ".join(TARGETS), "correct it")
        return
    yield from _bounds(args, metric, source)
    yield from _fields(args, metric)
    if metric != "cpu" and runtime != "modelway":
        allowed = "cpu, or runtime modelway, whose figures are known"
        yield Misfit(field, "no such figure of this runtime", f"{metric} with runtime {runtime}", allowed, "write cpu")
    if metric == "latency" and source == "pods":
        allowed = "inFlight or queue, since a quantile is no metric of one pod"
        yield Misfit(field, "not known to an adapter of pods", metric, allowed, "change metric, or let KEDA scale")


def _bounds(args: Mapping[str, Any], metric: str, source: str) -> Iterator[Misfit]:
    low, high = int(args["min_replicas"]), int(args["max_replicas"])
    for name, value, least in (("min_replicas", low, 0), ("max_replicas", high, 1)):
        if not least <= value <= MAXIMUM_REPLICAS:
            allowed = f"{least} to {MAXIMUM_REPLICAS}"
            yield Misfit(f"autoscaling.{name}", "out of range", f"{value}", allowed, "change it")
    if low > high:
        allowed = "min_replicas <= max_replicas"
        yield Misfit("autoscaling", "min_replicas above max_replicas", f"{low} > {high}", allowed, "swap them")
    if low == 0 and metric == "cpu":
        allowed = "0 only with metric inFlight, queue or latency, since no pod uses no CPU for ever"
        yield Misfit("autoscaling.min_replicas", "nothing would wake it", "0 with metric cpu", allowed, "change metric")
    elif low == 0 and source != "keda":
        allowed = "0 only with KEDA, since the autoscaler of Kubernetes keeps one pod"
        yield Misfit("autoscaling.min_replicas", "nothing would wake it", "0", allowed, "write 1, or let KEDA scale")


def sleeper_misfits(args: Mapping[str, Any], share: Sleeper) -> Iterator[Misfit]:
    """Everything that a version cannot be which sleeps, where it has no pods."""
    if int(args["min_replicas"]) != 0:
        return
    where, fix = "autoscaling.min_replicas", "write 1 or more"
    if share.shadow:
        yield Misfit(where, "no pod to copy to", "0 of a shadow", "1 or more", fix)
    elif 0 < share.weight < 100:
        allowed = "0 only with weight 0 or 100, since its share alone would get 503"
        yield Misfit(where, "part of the split", f"0 with weight {share.weight}", allowed, fix)
    if share.experiment:
        allowed = "1 or more, since 503 while waking would count against it"
        yield Misfit(where, "part of an experiment", "0", allowed, fix)
    if share.gateway_class != OWN_CLASS:
        allowed = f"0 only with gateway class {OWN_CLASS}, whose counts wake it"
        yield Misfit(where, "nothing would wake it", f"0 with class {share.gateway_class}", allowed, fix)


def waking_routes(model: str, version: str, weight: int, aliases: Mapping[str, str]) -> list[str]:
    """Names of the HTTPRoutes that lead to a version."""
    own = [f"{model}-{version}", *(f"{model}-{alias}" for alias, named in aliases.items() if named == version)]
    return [*own, f"{model}-split"] if weight else own


_RANGES: Mapping[str, tuple[float, float, str]] = {
    "cpu_utilization_percent": (1, 100, "1 to 100"),
    "in_flight_requests_per_pod": (0.01, 100_000, "0.01 to 100000"),
    "queued_rows_per_pod": (0.01, 1_000_000, "0.01 to 1000000"),
    "latency_seconds": (0.0005, 300, "0.0005 to 300"),
    "latency_quantile": (0.5, 0.999, "0.5 to 0.999"),
    "idle_seconds": (MINIMUM_IDLE_SECONDS, 86_400, f"{MINIMUM_IDLE_SECONDS} to 86400"),
    "scale_down_stabilization_seconds": (0, 3600, "0 to 3600"),
}


def _fields(args: Mapping[str, Any], metric: str) -> Iterator[Misfit]:
    """Targets of other metrics, and values out of range."""
    own = {TARGETS[metric], *(("latency_quantile",) if metric == "latency" else ())}
    for name in (*TARGETS.values(), "latency_quantile"):
        if name in args and name not in own:
            got, fix = f"{name} with metric {metric}", f"remove {name}"
            yield Misfit(f"autoscaling.{name}", "not used", got, f"only {', '.join(sorted(own))}", fix)
    if "idle_seconds" in args and int(args["min_replicas"]) != 0:
        allowed = "only with min_replicas 0"
        yield Misfit("autoscaling.idle_seconds", "not used", f"{args['idle_seconds']}", allowed, "remove idle_seconds")
    if metric != "cpu" and TARGETS[metric] not in args:
        allowed = f"what metric {metric} aims at"
        yield Misfit(f"autoscaling.{TARGETS[metric]}", "missing", "nothing", allowed, f"set {TARGETS[metric]}")
    for name, (low, high, allowed) in _RANGES.items():
        if name in args and not low <= args[name] <= high:
            yield Misfit(f"autoscaling.{name}", "out of range", f"{args[name]:g}", allowed, "change it")


def autoscaling_of(args: Mapping[str, Any], routes: Sequence[str]) -> Autoscaling:
    """`args`, free of misfits, as a value; whole numbers cross the provider boundary as floats. `routes` are those that
    lead to the version unless they are said."""
    own: dict[str, Any] = {name: int(value) if name in _WHOLE else value for name, value in args.items()}
    own["waking_routes"] = tuple(args.get("waking_routes", routes))
    return Autoscaling(**own)


_WHOLE = frozenset(
    {"min_replicas", "max_replicas", "cpu_utilization_percent", "idle_seconds", "scale_down_stabilization_seconds"}
)


def needs_keda(autoscaling: Autoscaling | None) -> bool:
    """Whether KEDA has to be there."""
    return autoscaling is not None and autoscaling.metric != "cpu" and autoscaling.source == "keda"
