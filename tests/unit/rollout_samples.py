"""Experiments as a cluster has them, for the tests of what people see."""

import json
from typing import Any

from infra.rollout_state import COMMAND, Rollout, rollouts

NOW = 1_700_000_600.0
START = NOW - 600
HOSTILE = '</td><script>alert("x")</script><img src=//other.example/x>&'
"""A reason that somebody else may have written."""
PLAN: dict[str, Any] = {
    "model": "iris",
    "experiment": "0123456789abcdef",
    "champion": "v1",
    "candidate": "v2",
    "mode": "automatic",
    "steps": [1, 10, 50, 100],
    "metrics": [{"kind": "errors", "margin": 0.01}],
    "alpha": 0.01,
}


def state(**changes: Any) -> dict[str, Any]:
    """`state.json`, with fields that only the judge knows."""
    series = [
        {
            "at": START + 60 * number,
            "weights": {"v1": 99 - number, "v2": 1 + number},
            "evidence": {"errors": 1.3**number},
            "effect": {"errors": [-0.5 / (number + 1), 0.6 / (number + 1)]},
        }
        for number in range(10)
    ]
    entry = {
        "number": 1,
        "at": START,
        "event": "started",
        "weights": {"v1": 99, "v2": 1},
        "reason": "every pod is read",
    }
    return {
        "version": 1,
        "experiment": PLAN["experiment"],
        "champion": "v1",
        "candidate": "v2",
        "status": "running",
        "mode": "automatic",
        "started_at": START,
        "step": 1,
        "weights": {"v1": 90, "v2": 10},
        "verdict": {"decision": "hold", "reason": "errors has 120 trials of 500 in this step", "at": NOW - 5},
        "metrics": {
            "errors": {
                "champion": {"trials": 1080, "events": 2},
                "candidate": {"trials": 120, "events": 3},
                "evidence": 7.25,
                "enough": 300.0,
                "effect": [-0.004, 0.061],
                "likelihoods": [0.0],
            },
            "latency": {"guardrail": True, "evidence": 1.0, "enough": 300.0, "effect": [-1.0, 1.0]},
        },
        "sample_ratio": {"evidence": 0.2, "enough": 300.0, "counts": {"v1": 1080, "v2": 120}},
        "history": [{**entry, "evidence": {"errors": 1.0}}],
        "series": series,
        "previous": [
            {
                "experiment": "fedcba9876543210",
                "champion": "v0",
                "candidate": "v1",
                "status": "promoted",
                "started_at": START - 900,
                "ended_at": START - 600,
                "reason": "every metric is within its margin",
            }
        ],
        **changes,
    }


def rolled_back(reason: str) -> dict[str, Any]:
    """The state after the candidate was rolled back."""
    last = {"number": 2, "at": NOW - 60, "event": "rolled back", "weights": {"v1": 100, "v2": 0}, "reason": reason}
    return state(status="rolled back", weights={"v1": 100, "v2": 0}, history=[*state()["history"], last])


def items(known: Any, weights: dict[str, int], command: str = "") -> list[dict[str, Any]]:
    """ConfigMaps and the split route of `iris`; `known` is its state, None before the first look."""
    notes = {"annotations": {COMMAND: command}} if command else {}
    backends = [{"name": f"iris-{version}", "port": 8080, "weight": weight} for version, weight in weights.items()]
    return [
        {"kind": "ConfigMap", "metadata": {"name": "iris-experiment"}, "data": {"plan.json": json.dumps(PLAN)}},
        {
            "kind": "ConfigMap",
            "metadata": {"name": "iris-experiment-state", **notes},
            **({"data": {"state.json": json.dumps(known)}} if known else {}),
        },
        {"kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "x"}},
        {
            "kind": "HTTPRoute",
            "metadata": {"name": "iris-split"},
            "spec": {"rules": [{"backendRefs": backends}, {"backendRefs": backends}]},
        },
    ]


def rollout(known: Any, weights: dict[str, int] | None = None, command: str = "") -> Rollout:
    """One experiment as it is read."""
    return rollouts(items(known, weights or {"v1": 90, "v2": 10}, command), ["iris"])["iris"]
