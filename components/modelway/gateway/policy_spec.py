"""What the policy objects of one model have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelway._common import Manifest, labels
from modelway.gateway.policy import API_VERSION, Policy


@dataclass(frozen=True)
class PolicySpec:
    """A model's policy and where it holds."""

    model: str
    namespace: str
    policy: Policy

    def manifest(self, kind: str, spec: Mapping[str, Any]) -> Manifest:
        """A policy object of `kind`, named like the model, over all of its routes."""
        # By label: a version that leaves would be open between its name's removal here and its route's.
        own = labels(self.model, "route")
        selected = {name: own[name] for name in ("app.kubernetes.io/name", "app.kubernetes.io/component")}
        targets = [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "matchLabels": selected}]
        return {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": self.model, "namespace": self.namespace, "labels": labels(self.model, "policy")},
            "spec": {"targetSelectors": targets, **spec},
        }
