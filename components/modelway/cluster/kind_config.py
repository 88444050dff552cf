"""Configuration of a kind cluster, as plain data (https://kind.sigs.k8s.io/docs/user/configuration/)."""

from typing import Any

from modelway._common import NODE_PORT
from modelway.gateway.tls import TLS_NODE_PORT

REGISTRY_DIRECTORY = "/etc/containerd/certs.d"
MIRRORS = f"""[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{REGISTRY_DIRECTORY}"
"""


def kind_config(gateway_port: int, image: str | None, gateway_tls_port: int | None = None) -> dict[str, Any]:
    """One node that is reached on 127.0.0.1 only: the API server and the gateway's ports.

    The registry of `LocalRegistry` is found through containerd's hosts folder
    (https://kind.sigs.k8s.io/docs/user/local-registry/).
    """
    ports = {NODE_PORT: gateway_port} | ({} if gateway_tls_port is None else {TLS_NODE_PORT: gateway_tls_port})
    node: dict[str, Any] = {
        "role": "control-plane",
        "extraPortMappings": [
            {"containerPort": inside, "hostPort": outside, "listenAddress": "127.0.0.1", "protocol": "TCP"}
            for inside, outside in ports.items()
        ],
    }
    if image:
        node["image"] = image
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerAddress": "127.0.0.1"},
        "containerdConfigPatches": [MIRRORS],
        "nodes": [node],
    }
