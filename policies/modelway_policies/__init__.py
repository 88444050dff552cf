"""Rules for serving models on Kubernetes: pure checks over plain objects, and the policy pack that runs them."""

from modelway_policies.judge import Violation, judge
from modelway_policies.rules import RULES

__all__ = ["RULES", "Violation", "judge"]
