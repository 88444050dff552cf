"""KEDA: asks Prometheus and sets how many pods a version has, down to none."""

from typing import NotRequired, TypedDict

import pulumi

from modelway._common import Manifest, register, require_dns_label, type_token
from modelway._egress import ANYWHERE
from modelway.namespace import RestrictedNamespace
from modelway.scaling.objects import NAMESPACE, KedaSpec, crd_manifests, keda_manifests

VERSION = "2.21.0"
OPERATOR_IMAGE = f"ghcr.io/kedacore/keda:{VERSION}"
METRICS_SERVER_IMAGE = f"ghcr.io/kedacore/keda-metrics-apiserver:{VERSION}"


class KedaArgs(TypedDict):
    """Inputs of `Keda`."""

    models_namespaces: list[str]
    """Namespaces whose ScaledObjects count; they must exist."""
    namespace: NotRequired[str]
    """Namespace to run in; created. Defaults to `modelway-keda`."""
    monitoring_namespace: NotRequired[str]
    """Namespace of Prometheus, which has to let KEDA's namespace in. Defaults to `modelway-monitoring`."""
    operator_image: NotRequired[pulumi.Input[str]]
    """Image of the operator. Defaults to KEDA's own at the pinned version."""
    metrics_server_image: NotRequired[pulumi.Input[str]]
    """Image of the metrics server. Defaults to KEDA's own at the pinned version."""
    api_server_cidrs: NotRequired[list[str]]
    """Addresses of the API server's endpoints. Defaults to anywhere but the clouds' metadata address."""


class Keda(pulumi.ComponentResource):
    """KEDA with its CRDs in a namespace of its own, where pods are restricted and traffic is denied by default.

    A cluster can have one: it serves the API `external.metrics.k8s.io`. What depends on it is made once it is ready.
    """

    namespace: pulumi.Output[str]
    """Namespace that it runs in, known once it is ready."""

    def __init__(self, name: str, args: KedaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("Keda"), name, {}, opts)
        spec = keda_spec(name, args)
        child = pulumi.ResourceOptions(parent=self)
        before: list[pulumi.Resource] = [
            register(f"{name}-{manifest['metadata']['name']}", manifest, child) for manifest in crd_manifests()
        ]
        before.append(RestrictedNamespace(f"{name}-namespace", {"name": spec.namespace}, child))
        waiting: list[pulumi.Resource] = []
        for manifest in keda_manifests(spec):
            # A Service is held until a pod stands behind it: it goes beside its Deployment.
            after = [*before, *(waiting if manifest["kind"] == "APIService" else [])]
            options = pulumi.ResourceOptions(parent=self, depends_on=after)
            made = register(f"{name}-{_role(manifest)}", manifest, options)
            (waiting if manifest["kind"] in ("Service", "Deployment", "APIService") else before).append(made)
        self.namespace = pulumi.Output.all(*(each.urn for each in waiting)).apply(lambda _: spec.namespace)
        self.register_outputs({"namespace": self.namespace})


def _role(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return "-".join([manifest["kind"].lower(), *filter(None, [metadata.get("namespace")]), metadata["name"]])


def keda_spec(name: str, args: KedaArgs) -> KedaSpec:
    """Validate the inputs; raises `ValueError` with one sentence."""
    namespace = args.get("namespace", NAMESPACE)
    for label in (namespace, *args["models_namespaces"]):
        require_dns_label(f'Keda("{name}") namespace', label)
    return KedaSpec(
        operator_image=args.get("operator_image", OPERATOR_IMAGE),
        metrics_server_image=args.get("metrics_server_image", METRICS_SERVER_IMAGE),
        models_namespaces=tuple(args["models_namespaces"]),
        namespace=namespace,
        monitoring_namespace=args.get("monitoring_namespace", "modelway-monitoring"),
        api_server_cidrs=tuple(args.get("api_server_cidrs", [ANYWHERE])),
    )
