"""The node's configuration files as pure functions of its layout."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.node import layout as at
from tools.node.layout import Layout

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
"""Imported from an archive before the first pod, so that no registry is needed to start one."""

RUN = Path("/run")
"""A memory file system of the node's own mount namespace: sockets and lock files in it end with the node."""
CONTAINERD_SOCKET = RUN / "containerd.sock"
CNI_STATE = RUN / "cni"
"""Pod addresses in use. In memory, so that a killed node never leaks an address."""
FELIX_STATUS = RUN / "calico"
"""Where Felix says for which pods it has set up the policies."""

KUBELET = Path("/var/lib/kubelet")
"""kubelet's folder inside the namespace, where node agents and device plugins look for it; lies in `data/kubelet`."""

FORWARDS = {
    "gateway": at.GATEWAY_NODE_PORT,
    "registry": at.REGISTRY_PORT,
    "api": at.API_PORT,
    "gateway-tls": at.GATEWAY_TLS_NODE_PORT,
}
"""Name of the forward → port inside the namespace."""

KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What kubelet sets on a machine that it owns (k8s.io/component-helpers/node/util/sysctl). This machine is only
lent: kubelet is shown files with these values instead, and the machine's settings stay as they are."""


def kubeconfig(server: str, authority: Path, certificate: Path, key: Path) -> str:
    """A kubeconfig that names its key files, so that a renewed certificate is used without rewriting it."""
    return _kubeconfig(
        {"server": server, "certificate-authority": str(authority)},
        {"client-certificate": str(certificate), "client-key": str(key)},
    )


def embedded_kubeconfig(server: str, authority: bytes, certificate: bytes, key: bytes) -> str:
    """A kubeconfig that carries certificate and key, so that it can be copied; keep it 0600."""
    return _kubeconfig(
        {"server": server, "certificate-authority-data": _base64(authority)},
        {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)},
    )


def _kubeconfig(cluster: Mapping[str, str], user: Mapping[str, str]) -> str:
    return _yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "modelway-node", "cluster": dict(cluster)}],
            "users": [{"name": "modelway-admin", "user": dict(user)}],
            "contexts": [{"name": "modelway-node", "context": {"cluster": "modelway-node", "user": "modelway-admin"}}],
            "current-context": "modelway-node",
        }
    )


def encryption(key: bytes) -> str:
    """Secrets at rest: encrypted with one 32-byte key; what is not encrypted yet is still read."""
    keys = {"keys": [{"name": "key1", "secret": _base64(key)}]}
    return _yaml(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [{"resources": ["secrets"], "providers": [{"secretbox": keys}, {"identity": {}}]}],
        }
    )


def containerd(layout: Layout) -> str:
    """containerd (configuration version 2, so Debian's 1.6 and 1.7 both read it)."""
    return f"""\
version = 2
root = {json.dumps(str(layout.data / "containerd"))}
state = "{RUN}/containerd"
# 0: lowering it needs CAP_SYS_RESOURCE, which containers and small virtual machines often lack.
oom_score = 0

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_tcp_service = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {json.dumps(str(layout.plugins))}
conf_dir = {json.dumps(str(layout.config / "cni"))}

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = {json.dumps(str(layout.config / "registries"))}
"""


def registry_hosts() -> str:
    """containerd's view of the registry: plain HTTP on the namespace's loopback, whatever port leads to it outside."""
    return f"""\
server = "http://127.0.0.1:{at.REGISTRY_PORT}"

[host."http://127.0.0.1:{at.REGISTRY_PORT}"]
capabilities = ["pull", "resolve"]
"""


def cni(layout: Layout) -> str:
    """The pod network: one routed interface per pod, with host ports; a pod starts once its policies hold."""
    calico = {
        "type": "calico",
        "datastore_type": "kubernetes",
        "kubernetes": {"kubeconfig": str(layout.config / "calico.kubeconfig")},
        "nodename": at.NODE_NAME,
        "nodename_file_optional": True,
        "log_level": "error",
        "log_file_path": str(layout.log_file("calico-cni")),
        "policy": {"type": "k8s"},
        "policy_setup_timeout_seconds": 30,
        "endpoint_status_dir": str(FELIX_STATUS / "endpoint-status"),
        "ipam": {
            "type": "host-local",
            "dataDir": str(CNI_STATE / "networks"),
            "ranges": [[{"subnet": at.POD_NETWORK}]],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [calico, portmap]}, indent=1)


def felix() -> str:
    """Calico Felix: NetworkPolicy as iptables rules on the pods' interfaces, and nothing else of Calico."""
    settings = {
        "DatastoreType": "kubernetes",
        "FelixHostname": at.NODE_NAME,
        "IptablesBackend": "nft",
        "Ipv6Support": False,
        "XDPEnabled": False,
        "RouteSource": "WorkloadIPs",
        "MTUIfacePattern": "^node0$",
        # What a pod may reach on the node its policies say; the rest is the node's own business.
        "DefaultEndpointToHostAction": "ACCEPT",
        "EndpointStatusPathPrefix": FELIX_STATUS,
        "HealthEnabled": True,
        "HealthHost": "127.0.0.1",
        "HealthPort": at.FELIX_PORT,
        "UsageReportingEnabled": False,
        "LogFilePath": "none",
        "LogSeverityFile": "none",
        "LogSeveritySys": "none",
        "LogSeverityScreen": "warning",
    }
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())


def kubelet(layout: Layout) -> str:
    """kubelet: answers the API server's client certificate only, and asks the API server who may do what."""
    pki = layout.pki
    return _yaml(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "kubelet-server.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
            "tlsMinVersion": "VersionTLS12",
            "readOnlyPort": 0,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{layout.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "protectKernelDefaults": True,
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "clusterDNS": [at.DNS_ADDRESS],
            "clusterDomain": at.CLUSTER_DOMAIN,
            "resolvConf": str(layout.config / "resolv.conf"),
            "seccompDefault": True,
            "serializeImagePulls": False,
            # A changed ConfigMap is in its pods this soon; with few pods it costs nothing.
            "syncFrequency": "10s",
            "maxPods": 110,
            "oomScoreAdj": 0,
            # Pods together leave this to the node's own processes and to the machine's owner.
            "systemReserved": {"memory": "1Gi"},
            "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            # 100: no image is ever removed for disk space. Imported ones could not be pulled again.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "volumePluginDir": str(KUBELET / "volume-plugins"),
            "logging": {"verbosity": 1},
        }
    )


def kube_proxy(layout: Layout) -> str:
    """kube-proxy: iptables; NodePorts on the namespace's loopback and on the node address."""
    return _yaml(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": str(layout.config / "kube-proxy.kubeconfig")},
            "clusterCIDR": at.POD_NETWORK,
            "hostnameOverride": at.NODE_NAME,
            "bindAddress": at.NODE_ADDRESS,
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "nodePortAddresses": ["127.0.0.0/8", f"{at.NODE_ADDRESS}/32"],
            # The table size belongs to the machine, not to a network namespace: leave it.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
            "oomScoreAdj": 0,
        }
    )


def registry(layout: Layout) -> str:
    """The image registry (CNCF distribution 2.8)."""
    return _yaml(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(layout.data / "registry")},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
            },
            "http": {"addr": f"127.0.0.1:{at.REGISTRY_PORT}", "headers": {"X-Content-Type-Options": ["nosniff"]}},
        }
    )


def forwarder(descriptors: Mapping[str, int]) -> str:
    """HAProxy as the one way in: sockets opened outside the network namespace, servers inside.

    `descriptors`: name in `FORWARDS` → inherited descriptor of the listening socket. Idle connections stay
    for a day: watches and kept-alive HTTP connections are closed by their ends, not on the way.
    """
    lines = ["global", "  uid 65534", "  gid 65534", "  hard-stop-after 2s", "",
             "defaults", "  mode tcp", "  timeout connect 5s", "  timeout client 24h", "  timeout server 24h",
             "  option splice-auto", "  retries 0"]  # fmt: skip
    for name, descriptor in descriptors.items():
        lines += ["", f"listen {name}", f"  bind fd@{descriptor}", f"  server {name} 127.0.0.1:{FORWARDS[name]}"]
    return "\n".join(lines) + "\n"


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
