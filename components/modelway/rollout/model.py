"""The experiment of a model, out of the model's own arguments."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pulumi

from modelway._common import Manifest
from modelway.rollout.experiment import ExperimentArgs
from modelway.rollout.plan import Plan, Served, model_plan, plan_misfits
from modelway.serving.routes import RouteSpec
from modelway.serving.runtime_checks import Misfit

JUDGE_FIELDS = ("judge_image", "prometheus_url", "api_server_cidrs")
"""Fields of a model that only an experiment has a use for."""
NOT_COMPARED = frozenset({"name", "weight", "shadow", "replicas", "autoscaling"})
"""What may change about a version without making another one of it."""


def experiment_misfits(args: Mapping[str, Any], spec: RouteSpec) -> list[Misfit]:
    """Everything wrong with the experiment in the arguments of a `ModelService`; none where there is no experiment."""
    if "experiment" not in args:
        unused = [name for name in JUDGE_FIELDS if name in args]
        fix = "remove it, or add an experiment"
        return [Misfit(name, "set without experiment", repr(name), "with experiment", fix) for name in unused]
    if "judge_image" not in args:
        fix = "set judge_image to the image of the judge by digest"
        return [Misfit("judge_image", "missing for an experiment", "nothing", "REPOSITORY@sha256:DIGEST", fix)]
    served = Served(
        runtimes={arm.version: arm.server.name for arm in spec.weighted},
        shadows=[arm.version for arm in spec.arms if arm.shadow],
        weights=_weights(spec),
        feedback=bool(args.get("feedback", False)),
        outcomes=args.get("feedback_outcomes", ()),
    )
    found = plan_misfits(_plan(args, spec), served)
    return [misfit._replace(field=f"experiment.{misfit.field}") for misfit in found]


def experiment_args(name: str, args: Mapping[str, Any], spec: RouteSpec, route: Manifest) -> ExperimentArgs:
    """The arguments of the model's `Experiment`, which moves the weights of `route`."""
    plan = _plan(args, spec)
    result: dict[str, Any] = {
        "model": name,
        "namespace": args["namespace"],
        "rules": {**args["experiment"], "champion": plan.champion},
        "sticky": plan.sticky,
        "judge_image": args["judge_image"],
        "route": pulumi.Output.from_input(route).apply(lambda known: json.dumps(known, sort_keys=True)),
        "fingerprint": _fingerprint(args["versions"], (plan.champion, plan.candidate)),
    }
    for key in ("prometheus_url", "gateway_namespace", "monitoring_namespace", "api_server_cidrs", "pull_secret"):
        if key in args:
            result[key] = args[key]
    return cast(ExperimentArgs, result)


def slow_threshold_seconds(args: Mapping[str, Any], spec: RouteSpec) -> float:
    """Seconds from which the model's servers take an answer for slow."""
    return _plan(args, spec).slow_threshold_seconds


def _plan(args: Mapping[str, Any], spec: RouteSpec) -> Plan:
    return model_plan(args["experiment"], _weights(spec), sticky=spec.sticky is not None)


def _weights(spec: RouteSpec) -> dict[str, int]:
    return {arm.version: arm.weight for arm in spec.weighted}


def _fingerprint(versions: Sequence[Mapping[str, Any]], compared: Sequence[str]) -> pulumi.Output[str]:
    by_name = {version["name"]: version for version in versions}
    facts = [{key: value for key, value in by_name[name].items() if key not in NOT_COMPARED} for name in compared]
    return pulumi.Output.from_input(facts).apply(lambda known: json.dumps(known, sort_keys=True))
