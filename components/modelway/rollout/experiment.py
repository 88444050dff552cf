"""An experiment: a judge in the cluster that compares a candidate with the champion and moves the weights between them.

Hand-over of `spec.rules` of the split route, an atomic list of which nobody can own a part:

- under an experiment the route is registered with `ignore_changes=["spec.rules"]` and without force, so that an update
  of anything else leaves the list to the judge, who owns it by server-side apply;
- without one it is registered with `pulumi.com/patchForce`, so that the update in which the experiment leaves the
  config takes the list back. The judge sees the route without its annotation and stops, before it is deleted itself.
"""

import hashlib
import json
from typing import Any, NotRequired, TypedDict

import pulumi

from modelway._common import Manifest, register, require_dns_label, type_token
from modelway._egress import ANYWHERE
from modelway.rollout.objects import JudgeSpec, judge_manifests, judged_route, own_route
from modelway.rollout.plan import Plan, experiment_id, plan_document, plan_of, rule_misfits
from modelway.serving.model_server import DIGEST, refuse


class ExperimentMetricArgs(TypedDict):
    """One thing in which the candidate must not be worse."""

    kind: str
    """What is counted: `errors` (answers with 5xx, and none at all), `latency` (answers slower than
    `threshold_seconds`), `accuracy` (wrong predictions, by feedback) or `outcome` (feedback whose `name` is 0)."""
    margin: NotRequired[float]
    """How much larger the candidate's share may be for a promotion, absolute: the default, 0.01, is one in 100."""
    threshold_seconds: NotRequired[float]
    """For `latency`, where it is required: an answer that takes longer is slow."""
    name: NotRequired[str]
    """For `outcome`, where it is required: one of `feedback_outcomes`, whose values are 0 and 1."""


class ExperimentRulesArgs(TypedDict):
    """By which rules a candidate is judged."""

    champion: NotRequired[str]
    """Version that the candidate is compared with. Defaults to the one with weight 100."""
    candidate: str
    """Version that is judged."""
    metrics: list[ExperimentMetricArgs]
    """In what the candidate must not be worse, 1 to 10. Errors and latency are guarded even where they are left out."""
    mode: NotRequired[str]
    """What the judge may do: `observe` (report), `guard` (roll back) or `automatic` (roll back, step forward and
    promote). Defaults to `observe`."""
    steps: NotRequired[list[int]]
    """Weights of the candidate in percent, ascending; the last, 100, is the promotion. Defaults to 1, 10, 50, 100."""
    alpha: NotRequired[float]
    """Probability that an equal candidate is ever rolled back, and that a worse one (by the margin) is promoted; at
    most 0.2. Defaults to 0.01."""
    shift_ratio: NotRequired[float]
    """A class whose odds differ between the versions by more than this factor is a shift of the predictions, which
    rolls back; above 1. Defaults to 3."""
    slow_seconds: NotRequired[float]
    """An answer that takes longer is slow, where no metric has a threshold. Defaults to 0.1."""
    minimum_trials: NotRequired[int]
    """Requests (users, with `sticky`) of each metric and version in a step before the next. Defaults to 500."""
    step_seconds: NotRequired[float]
    """Shortest time in a step. Defaults to 60."""
    maximum_seconds: NotRequired[float]
    """Longest time in all; an experiment that is undecided then is rolled back. Defaults to 86400, a day."""
    warmup_seconds: NotRequired[float]
    """What a pod counts in its first seconds is left out. Defaults to 30."""
    expected_requests_per_second: NotRequired[float]
    """Requests (users, with `sticky`) of the split, by which `maximum_seconds` is checked against the smallest sample.
    Defaults to unknown."""
    drift_psi: NotRequired[float]
    """Largest population stability index of the candidate's predictions, against those on its held-out rows, with which
    it steps forward or is promoted; above it, or without a value, it is held. Defaults to any."""
    drift_window: NotRequired[str]
    """`1h` or `1d`, the rows that it is computed of; required with `drift_psi`."""


class ExperimentArgs(TypedDict):
    """Inputs of `Experiment`."""

    model: str
    """Name of the model, whose split route is `MODEL-split`."""
    namespace: str
    """Namespace of the model; it must exist."""
    rules: ExperimentRulesArgs
    """By which rules the candidate is judged; `champion` is required here."""
    sticky: NotRequired[bool]
    """Whether users keep their version, so that each counts once. Defaults to false."""
    judge_image: pulumi.Input[str]
    """Image of the judge by digest."""
    route: pulumi.Input[str]
    """The HTTPRoute `MODEL-split` as JSON: the judge applies its rules, with weights of its own."""
    fingerprint: pulumi.Input[str]
    """Text that differs where either version does, such as their images: another one starts the experiment anew."""
    prometheus_url: NotRequired[str]
    """URL of Prometheus. Defaults to the one of `MonitoringStack` in `monitoring_namespace`."""
    gateway_namespace: NotRequired[str]
    """Namespace of the gateway's proxies. Defaults to `modelway-gateway`."""
    monitoring_namespace: NotRequired[str]
    """Namespace of Prometheus. Defaults to `modelway-monitoring`."""
    api_server_cidrs: NotRequired[list[str]]
    """Addresses of the API server's endpoints. Defaults to anywhere but the clouds' metadata address."""
    pull_secret: NotRequired[pulumi.Input[str]]
    """Name of the Secret in `namespace` that pulls the judge's image. Defaults to none."""


class Experiment(pulumi.ComponentResource):
    """The judge of one model's candidate, ready once the split route has the versions of `route`."""

    experiment: pulumi.Output[str]
    """Id of the experiment; another one starts anew."""

    def __init__(self, name: str, args: ExperimentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("Experiment"), name, {}, opts)
        where = f'Experiment("{name}")'
        plan = plan_of(args["rules"], sticky=bool(args.get("sticky", False)))
        _require(where, args, plan)
        fingerprint = pulumi.Output.from_input(args["fingerprint"])
        self.experiment = fingerprint.apply(lambda text: experiment_id(args["model"], plan, [text], []))
        documents = pulumi.Output.all(self.experiment, args["route"])
        texts = documents.apply(lambda known: _texts(args["model"], plan, known[0], known[1]))
        spec = judge_spec(args, texts["plan"], texts["route"], texts["content"])
        before: list[pulumi.Resource] = []
        for role, manifest in judge_manifests(spec).items():
            after = pulumi.ResourceOptions(parent=self, depends_on=[*before])
            before.append(register(f"{name}-{role}", manifest, after))
        self.register_outputs({"experiment": self.experiment})


def judge_spec(args: ExperimentArgs, plan: Any, route: Any, content: Any) -> JudgeSpec:
    """What decides the objects of the experiment."""
    monitoring = args.get("monitoring_namespace", "modelway-monitoring")
    return JudgeSpec(
        model=args["model"],
        namespace=args["namespace"],
        image=args["judge_image"],
        plan=plan,
        route=route,
        content=content,
        prometheus_url=args.get("prometheus_url", f"http://prometheus.{monitoring}.svc:9090"),
        gateway_namespace=args.get("gateway_namespace", "modelway-gateway"),
        monitoring_namespace=monitoring,
        api_server_cidrs=tuple(args.get("api_server_cidrs", [ANYWHERE])),
        pull_secret=args.get("pull_secret"),
    )


def register_split(
    name: str, route: Manifest, opts: pulumi.ResourceOptions, *, judged: bool
) -> tuple[pulumi.CustomResource, Manifest]:
    """Register the split route as `NAME-split-route`, under an experiment or not, and give back what was registered."""
    manifest = judged_route(route, name) if judged else own_route(route)
    if judged:
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=["spec.rules"]))
    return register(f"{name}-split-route", manifest, opts), manifest


def _texts(model: str, plan: Plan, experiment: str, route: str) -> dict[str, str]:
    document = json.dumps(plan_document(model, plan, experiment), sort_keys=True)
    content = hashlib.sha256(f"{document}\n{route}".encode()).hexdigest()[:16]
    return {"plan": document, "route": route, "content": content}


def _require(where: str, args: ExperimentArgs, plan: Plan) -> None:
    """Raise `ValueError` with one sentence for what only a caller of the component itself can get wrong."""
    for key in ("model", "namespace"):
        require_dns_label(f"{where}.{key}", args[key])
    if not plan.champion:
        raise ValueError(f"{where}.rules.champion: missing: got nothing, allowed the name of a version; set champion.")
    refuse(f"{where}.rules", rule_misfits(plan))
    image = args["judge_image"]
    if isinstance(image, str) and not DIGEST.fullmatch(image):
        raise ValueError(
            f"{where}.judge_image: no digest: got {image!r}, allowed REPOSITORY@sha256:<64 hex digits>; "
            "write the digest that the push printed."
        )
