"""A kind cluster on this machine."""

import json
from typing import NotRequired, TypedDict

import pulumi
import pulumi_command as command
import pulumi_kubernetes as k8s

from modelway._common import as_int, require_dns_label, type_token
from modelway.cluster.kind_config import kind_config
from modelway.cluster.kubeconfig import server_of

# A create that was killed after kind had finished finds the cluster and goes on.
CREATE = 'kind get clusters | grep -qx "$NAME" || kind create cluster --name "$NAME" --config - --wait 180s'
DELETE = 'kind delete cluster --name "$NAME"'
KUBECONFIG = 'kind get kubeconfig --name "$NAME"'


class KindClusterArgs(TypedDict):
    """Inputs of `KindCluster`."""

    name: NotRequired[str]
    """Name of the kind cluster. Defaults to `modelway`."""
    gateway_port: NotRequired[int]
    """Port on 127.0.0.1 that reaches the gateway. Defaults to 8080."""
    gateway_tls_port: NotRequired[int]
    """Port on 127.0.0.1 that reaches the gateway's HTTPS. Defaults to none."""
    image: NotRequired[str]
    """Node image by digest, from kind's release notes. Defaults to the one that the installed kind carries."""


class KindCluster(pulumi.ComponentResource):
    """A one-node cluster in Docker, reached on 127.0.0.1 only; needs `kind` and a Docker engine.

    The attribute `provider` is a Kubernetes provider for it; programs in other languages make one of `kubeconfig`.
    """

    name: pulumi.Output[str]
    """Name of the kind cluster, known once it runs."""
    kubeconfig: pulumi.Output[str]
    """The kubeconfig, a secret."""
    endpoint: pulumi.Output[str]
    """URL of the API server."""

    def __init__(self, name: str, args: KindClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("KindCluster"), name, {}, opts)
        cluster_name = args.get("name", "modelway")
        port = as_int(args.get("gateway_port"), 8080)
        tls_port = int(args["gateway_tls_port"]) if "gateway_tls_port" in args else None
        require_dns_label(f'KindCluster("{name}").name', cluster_name)
        for field, value in (("gateway_port", port), ("gateway_tls_port", tls_port)):
            if value is not None and not 1 <= value <= 65535:
                raise ValueError(f'KindCluster("{name}").{field}: got {value}, allowed 1 to 65535; change it.')
        if port == tls_port:
            raise ValueError(
                f'KindCluster("{name}").gateway_tls_port: got {port} as for gateway_port, allowed a port of its own; '
                "change one of them."
            )
        config = json.dumps(kind_config(port, args.get("image"), tls_port))
        environment = {"NAME": cluster_name}
        cluster = command.local.Command(
            f"{name}-kind",
            create=CREATE,
            delete=DELETE,
            stdin=config,
            environment=environment,
            # kind has no update: another configuration is another cluster, and ports are free only after the old one.
            triggers=[cluster_name, config],
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        kubeconfig = command.local.Command(
            f"{name}-kubeconfig",
            create=KUBECONFIG,
            environment=environment,
            triggers=[cluster.id],
            logging=command.local.Logging.NONE,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[cluster], additional_secret_outputs=["stdout"]),
        )
        self.name = cluster.id.apply(lambda _: cluster_name)
        self.kubeconfig = pulumi.Output.secret(kubeconfig.stdout)
        self.endpoint = pulumi.Output.unsecret(self.kubeconfig.apply(server_of))
        self.provider = k8s.Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            cluster_identifier=cluster_name,
            # A cluster made anew has the same name and nothing in it. Said here and not by another identifier, because
            # the engine (3.259) ends a provider that replaces itself before what it holds is deleted through it.
            opts=pulumi.ResourceOptions(parent=self, replace_on_changes=["kubeconfig"]),
        )
        self.register_outputs({"name": self.name, "kubeconfig": self.kubeconfig, "endpoint": self.endpoint})
