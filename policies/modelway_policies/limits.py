"""Rules on objects by themselves: labels, namespaces, load balancers and numbers of pods."""

from collections.abc import Iterator

from modelway_policies.objects import WORKLOADS, Object, items, labels_of, name_of, pods_of, section, title, value
from modelway_policies.rule import EXEMPT, Finding, Options, Rule, cis, nsa, own, pss

COMMON = "app.kubernetes.io"
_REPLICAS = {
    "Deployment": "replicas",
    "StatefulSet": "replicas",
    "ReplicaSet": "replicas",
    "HorizontalPodAutoscaler": "maxReplicas",
    "ScaledObject": "maxReplicaCount",
}
_LABELLED = (*WORKLOADS, "Service", "HTTPRoute", "GRPCRoute")


def _labels(data: Object, options: Options) -> Iterator[Finding]:
    pods = pods_of(data)
    parts = [(title(data), labels_of(data))]
    if pods and pods.template is not data:
        parts.append((f"{title(data)} pods", pods.labels))
    for where, labels in parts:
        wanted = list(options["labels"])
        if pods and value(labels, f"{COMMON}/component") in options["versioned"]:
            wanted.append(f"{COMMON}/version")
        for name in wanted:
            if not value(labels, name):
                yield Finding(data, where, f"no label {name}", "nothing", ", ".join(wanted))


def _pod_security(data: Object, _options: Options) -> Iterator[Finding]:
    label = "pod-security.kubernetes.io/enforce"
    if (got := value(labels_of(data), label)) != "restricted":
        where = f"Namespace {name_of(data)}"
        yield Finding(data, where, "admits pods that are not restricted", got or "nothing", f"{label}: restricted")


def _source_ranges(data: Object, _options: Options) -> Iterator[Finding]:
    service = section(data, "spec")
    if data.get("kind") == "EnvoyProxy":
        if value(data, "spec", "provider", "type") != "Kubernetes":
            return
        # Envoy Gateway makes a load balancer unless it is told another type.
        service = {"type": "LoadBalancer", **section(data, "spec", "provider", "kubernetes", "envoyService")}
    if value(service, "type") == "LoadBalancer" and not items(service, "loadBalancerSourceRanges"):
        allowed = "loadBalancerSourceRanges, or another type of Service"
        yield Finding(data, title(data), "a load balancer that everyone reaches", "no source ranges", allowed)


def _replicas(data: Object, options: Options) -> Iterator[Finding]:
    field = _REPLICAS[str(data.get("kind"))]
    most, got = options["maxReplicas"], value(data, "spec", field)
    if isinstance(got, (int, float)) and got > most:
        yield Finding(data, title(data), "too many pods", f"{field} {got:g}", f"at most {most:g}")


RULES = (
    Rule(
        "required-labels",
        "Workloads, Services and routes say what they are, what they belong to and, where they serve a model, in "
        "which version.",
        (own(6),),
        "add the labels",
        _LABELLED,
        _labels,
        options={
            "labels": {
                "type": "array",
                "items": {"type": "string"},
                "default": [f"{COMMON}/{name}" for name in ("name", "component", "part-of")],
                "description": "Labels of every workload, its pods, and every Service and route",
            },
            "versioned": {
                "type": "array",
                "items": {"type": "string"},
                "default": ["model-server"],
                "description": f"Values of {COMMON}/component whose pods also say {COMMON}/version",
            },
            "exempt": EXEMPT,
        },
    ),
    Rule(
        "namespace-pod-security",
        "Every namespace enforces the `restricted` Pod Security Standard.",
        (pss("restricted"), cis("5.2.1"), nsa("Kubernetes Pod security: Pod security enforcement")),
        "add the label",
        ("Namespace",),
        _pod_security,
    ),
    Rule(
        "load-balancer-sources",
        "Every load balancer says who may reach it.",
        (own(7), nsa("Network separation and hardening")),
        "list the networks of the clients, 0.0.0.0/0 where everyone is meant",
        ("Service", "EnvoyProxy"),
        _source_ranges,
    ),
    Rule(
        "replica-ceiling",
        "No workload grows past a number of pods that somebody agreed to.",
        (own(8),),
        "ask for fewer, or raise maxReplicas of this rule",
        tuple(_REPLICAS),
        _replicas,
        options={
            "maxReplicas": {
                "type": "integer",
                "minimum": 1,
                "default": 50,
                "description": "Most pods of one workload",
            },
            "exempt": EXEMPT,
        },
    ),
)
