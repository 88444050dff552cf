"""A cluster that exists already."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from modelway._common import type_token
from modelway.cluster.kubeconfig import server_of

WAYS = ("kubeconfig", "eks", "gke")


class ExistingEksArgs(TypedDict):
    """An EKS cluster by its name; needs the AWS provider."""

    name: str
    """Name of the cluster in AWS."""
    region: str
    """Its region."""


class ExistingGkeArgs(TypedDict):
    """A GKE cluster by its name; needs the Google Cloud provider."""

    name: str
    """Name of the cluster in Google Cloud."""
    project: str
    """ID of its project."""
    location: str
    """Its region or zone."""


class ExistingClusterArgs(TypedDict):
    """Inputs of `ExistingCluster`: exactly one of `kubeconfig`, `eks` and `gke`."""

    kubeconfig: NotRequired[pulumi.Input[str]]
    """Content of a kubeconfig; kept secret."""
    eks: NotRequired[ExistingEksArgs]
    """A cluster on EKS, whose kubeconfig asks the AWS CLI for tokens."""
    gke: NotRequired[ExistingGkeArgs]
    """A cluster on GKE, whose kubeconfig asks the plugin of the gcloud CLI for tokens."""
    cluster_identifier: NotRequired[str]
    """What makes this cluster itself, such as its name and account. A changed kubeconfig with the same identifier
    is an update; a changed identifier replaces everything in the cluster. Defaults to the component's name for a
    kubeconfig, else to the cluster's full name in its cloud."""
    context: NotRequired[str]
    """Context of the kubeconfig to use. Defaults to its current one."""


class ExistingCluster(pulumi.ComponentResource):
    """A cluster that Modelway did not make, reached by a kubeconfig or found in a cloud by its name.

    The attribute `provider` is a Kubernetes provider for it; programs in other languages make one of `kubeconfig`.
    """

    name: pulumi.Output[str]
    """Identifier of the cluster."""
    kubeconfig: pulumi.Output[str]
    """The kubeconfig, a secret."""
    endpoint: pulumi.Output[str]
    """URL of the API server."""

    def __init__(self, name: str, args: ExistingClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("ExistingCluster"), name, {}, opts)
        _validate(name, args)
        kubeconfig, full_name = _found(name, args, self)
        self.name = pulumi.Output.from_input(args.get("cluster_identifier", full_name))
        self.kubeconfig = pulumi.Output.secret(kubeconfig)
        context = args.get("context")
        self.endpoint = pulumi.Output.unsecret(self.kubeconfig.apply(lambda text: server_of(text, context)))
        self.provider = k8s.Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            cluster_identifier=args.get("cluster_identifier", full_name),
            context=context,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"name": self.name, "kubeconfig": self.kubeconfig, "endpoint": self.endpoint})


def _found(
    name: str, args: ExistingClusterArgs, parent: pulumi.Resource
) -> tuple[pulumi.Input[str], pulumi.Input[str]]:
    """Kubeconfig and full name of the cluster; a cloud is imported only where it is asked."""
    if "eks" in args:
        from modelway.cluster.eks import lookup as eks

        return eks.found(args["eks"]["name"], args["eks"]["region"], parent)
    if "gke" in args:
        from modelway.cluster.gke import lookup as gke

        asked = args["gke"]
        full_name = f"projects/{asked['project']}/locations/{asked['location']}/clusters/{asked['name']}"
        return gke.found(asked["name"], asked["project"], asked["location"], parent), full_name
    return args["kubeconfig"], name


def _validate(name: str, args: ExistingClusterArgs) -> None:
    said = [way for way in WAYS if way in args]
    if len(said) != 1:
        got = " and ".join(said) or "nothing"
        raise ValueError(
            f'ExistingCluster("{name}"): not one cluster: got {got}, allowed one of {", ".join(WAYS)}; '
            f"{'remove the others' if said else 'add one'}."
        )
    if "context" in args and said != ["kubeconfig"]:
        raise ValueError(
            f'ExistingCluster("{name}").context: not used with {said[0]}: got {args["context"]!r}, allowed only with '
            "kubeconfig; remove it."
        )
