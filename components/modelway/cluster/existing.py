"""A cluster that exists already."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from modelway._common import type_token
from modelway.cluster.kubeconfig import server_of


class ExistingClusterArgs(TypedDict):
    """Inputs of `ExistingCluster`."""

    kubeconfig: pulumi.Input[str]
    """Content of a kubeconfig; kept secret."""
    cluster_identifier: NotRequired[str]
    """What makes this cluster itself, such as its name and account. A changed kubeconfig with the same identifier
    is an update; a changed identifier replaces everything in the cluster. Defaults to the component's name."""
    context: NotRequired[str]
    """Context of the kubeconfig to use. Defaults to its current one."""


class ExistingCluster(pulumi.ComponentResource):
    """A cluster that Modelway did not make, reached by a kubeconfig.

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
        identifier = args.get("cluster_identifier", name)
        self.name = pulumi.Output.from_input(identifier)
        self.kubeconfig = pulumi.Output.secret(args["kubeconfig"])
        context = args.get("context")
        self.endpoint = pulumi.Output.unsecret(self.kubeconfig.apply(lambda text: server_of(text, context)))
        self.provider = k8s.Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            cluster_identifier=identifier,
            context=context,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"name": self.name, "kubeconfig": self.kubeconfig, "endpoint": self.endpoint})
