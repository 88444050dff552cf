"""Rules on what belongs to a workload: its disruption budget, its network policies and its GPUs."""

from collections.abc import Iterator, Sequence
from typing import Any

from modelway_policies.objects import (
    WORKLOADS,
    Object,
    containers_of,
    items,
    name_of,
    namespace_of,
    pods_of,
    section,
    selects,
    title,
    value,
)
from modelway_policies.rule import Finding, Options, Rule, cis, known, nsa, own

_REPLICATED = ("Deployment", "StatefulSet")


def _bounds(workload: Object, objects: Sequence[Object]) -> tuple[int, int]:
    """Fewest and most pods of a workload: by its autoscaler, else as many as it says."""
    for scaler in objects:
        target = section(scaler, "spec", "scaleTargetRef")
        found = (namespace_of(scaler), value(target, "kind") or "Deployment", value(target, "name"))
        if target and found == (namespace_of(workload), workload.get("kind"), name_of(workload)):
            spec = section(scaler, "spec")
            # ScaledObject is KEDA's, with defaults of its own.
            fewest = value(spec, "minReplicas") or value(spec, "minReplicaCount")
            most = value(spec, "maxReplicas") or value(spec, "maxReplicaCount")
            keda = scaler.get("kind") == "ScaledObject"
            return int(fewest or (0 if keda else 1)), int(most or (100 if keda else 1))
    replicas = value(workload, "spec", "replicas")
    only = 1 if replicas is None else int(replicas)
    return only, only


def _disruption_budget(objects: Sequence[Object], _options: Options) -> Iterator[Finding]:
    for workload in objects:
        if workload.get("kind") in _REPLICATED:
            yield from known(_budget_of(workload, objects))


def _budget_of(workload: Object, objects: Sequence[Object]) -> Iterator[Finding]:
    fewest, _ = _bounds(workload, objects)
    if fewest < 2:
        return
    budgets = [each for each in objects if each.get("kind") == "PodDisruptionBudget" and _covers(each, workload)]
    if not budgets:
        allowed = "a PodDisruptionBudget that selects them"
        yield Finding(workload, title(workload), f"nothing protects its {fewest} pods", "no budget", allowed)
    for budget in budgets:
        if got := _stops_all(budget, fewest):
            what, fix = "its budget lets no pod go, so that no node can be drained", "set maxUnavailable to 1"
            yield Finding(workload, title(workload), what, got, "maxUnavailable of at least 1", fix)


def _covers(budget: Object, workload: Object) -> bool:
    pods = pods_of(workload)
    selector = section(budget, "spec", "selector")
    return (
        pods is not None
        and bool(selector)
        and namespace_of(budget) == namespace_of(workload)
        and selects(selector, pods.labels)
    )


def _stops_all(budget: Object, pods: int) -> str:
    unavailable, available = value(budget, "spec", "maxUnavailable"), value(budget, "spec", "minAvailable")
    if unavailable is not None and str(unavailable).rstrip("%") in ("0", "0.0"):
        return f"maxUnavailable {unavailable}"
    whole = available == "100%" or (isinstance(available, (int, float)) and available >= pods)
    return f"minAvailable {available}" if whole else ""


def _network_policy(objects: Sequence[Object], _options: Options) -> Iterator[Finding]:
    for workload in objects:
        yield from known(_policies_of(workload, objects))


def _policies_of(workload: Object, objects: Sequence[Object]) -> Iterator[Finding]:
    pods = pods_of(workload)
    if pods is None:
        return
    found: set[str] = set()
    for policy in objects:
        spec = section(policy, "spec") if policy.get("kind") == "NetworkPolicy" else {}
        if (
            spec
            and namespace_of(policy) == namespace_of(workload)
            and selects(section(spec, "podSelector"), pods.labels)
        ):
            found.update(items(spec, "policyTypes") or _directions(spec))
    for direction in ("Ingress", "Egress"):
        if direction not in found:
            what = f"no NetworkPolicy limits its {direction.lower()}"
            yield Finding(workload, title(workload), what, "none that selects its pods", f"one with {direction}")


def _directions(spec: Object) -> tuple[str, ...]:
    """What a NetworkPolicy without policyTypes limits."""
    return ("Ingress", "Egress") if items(spec, "egress") else ("Ingress",)


def _gpus(objects: Sequence[Object], options: Options) -> Iterator[Finding]:
    wanted: list[tuple[int, Object]] = []
    for workload in objects:
        if each := sum(_gpus_of(container.data) for container in containers_of(workload)):
            wanted.append((each * _bounds(workload, objects)[1], workload))
    total, most = sum(number for number, _ in wanted), options["maxGpus"]
    if total > most:
        wanted.sort(key=lambda pair: (-pair[0], title(pair[1])))
        shown = ", ".join(f"{title(workload)} {number}" for number, workload in wanted)
        yield Finding(
            wanted[0][1], "the stack", "too many GPUs", f"{total} at full scale ({shown})", f"at most {most:g}"
        )


def _gpus_of(container: Object) -> int:
    limits: dict[str, Any] = dict(section(container, "resources", "limits"))
    return sum(
        int(number) for name, number in limits.items() if name.endswith("/gpu") or name.startswith("nvidia.com/mig-")
    )


_SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
RULES = (
    Rule(
        "disruption-budget",
        "A PodDisruptionBudget protects every workload of two pods or more, and lets nodes be drained.",
        (own(9),),
        "add a PodDisruptionBudget with maxUnavailable 1 and the workload's selector",
        (*_REPLICATED, *_SCALERS, "PodDisruptionBudget"),
        on_stack=_disruption_budget,
    ),
    Rule(
        "network-policy",
        "NetworkPolicies select every pod, for what comes in and for what goes out.",
        (cis("5.3.2"), nsa("Network separation and hardening: Network policies")),
        "add a NetworkPolicy that denies by default, and one that allows what the pods need",
        (*WORKLOADS, "NetworkPolicy"),
        on_stack=_network_policy,
    ),
    Rule(
        "gpu-ceiling",
        "All workloads together ask for no more GPUs than somebody agreed to pay for.",
        (own(10),),
        "ask for fewer, or raise maxGpus of this rule",
        (*WORKLOADS, *_SCALERS),
        on_stack=_gpus,
        options={
            "maxGpus": {
                "type": "integer",
                "minimum": 0,
                "default": 8,
                "description": "Most GPUs of all workloads of the stack, each at its largest scale",
            },
        },
    ),
)
