"""What runs on the node: every process with its arguments, in order, as data that the supervisor reads.

etcd runs without fsync: the node is a throw-away, and a clean `node down` writes everything. A machine that
loses power may lose the last seconds; a killed process loses nothing.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.node import layout as at
from tools.node.configs import CONTAINERD_SOCKET, KUBELET
from tools.node.layout import Layout

CLIENTS, RUNTIME, API, STORE = range(4)
"""Stages of a stop. Containers are stopped between the first two: nothing restarts them any more, and their
runtime still runs."""

KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")


@dataclass(frozen=True)
class Process:
    """One process that the supervisor keeps running."""

    name: str
    argv: tuple[str, ...]
    after: tuple[str, ...] = ()
    """Names of processes that must answer before this one starts."""
    ready: str = ""
    """When it answers: `tcp:PORT` on 127.0.0.1 or `unix:PATH` accepts connections, or the API server's
    `readyz:PKI` says ok to a client certificate of that folder; empty: as soon as it runs."""
    stage: int = CLIENTS
    """When it is stopped."""
    stop_seconds: int = 10
    """How long it may take to end after SIGTERM before it is killed."""
    descriptors: tuple[int, ...] = ()
    """Inherited listening sockets that it alone gets."""


@dataclass(frozen=True)
class Plan:
    """Everything that the supervisor does."""

    root: str
    cgroup: str
    path: str
    """PATH of all processes."""
    containerctl: tuple[str, ...]
    """Command prefix that talks to containerd about the pods' containers."""
    processes: tuple[Process, ...]

    def dump(self) -> str:
        """The plan as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @staticmethod
    def parse(text: str) -> "Plan":
        """Read what `dump` wrote."""
        content: dict[str, Any] = json.loads(text)
        processes = []
        for entry in content["processes"]:
            fields: dict[str, Any] = {key: tuple(it) if isinstance(it, list) else it for key, it in entry.items()}
            processes.append(Process(**fields))
        return Plan(
            content["root"], content["cgroup"], content["path"], tuple(content["containerctl"]), tuple(processes)
        )


def make(layout: Layout, programs: Mapping[str, Path], path: str, descriptors: Sequence[int]) -> Plan:
    """The plan for this layout with these programs (toolchain name → executable)."""

    def argv(name: str, *arguments: str) -> tuple[str, ...]:
        return (str(programs[name]), *arguments)

    config = layout.config
    ctr = argv("ctr", "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io")
    processes = (
        Process("etcd", argv("etcd", *etcd(layout)), ready=f"tcp:{at.ETCD_PORT}", stage=STORE),
        Process("containerd", argv("containerd", "--config", f"{config}/containerd.toml"),
                ready=f"unix:{CONTAINERD_SOCKET}", stage=RUNTIME),
        Process("registry", argv("registry", "serve", f"{config}/registry.yaml"),
                ready=f"tcp:{at.REGISTRY_PORT}", stage=RUNTIME),
        Process("forwarder", argv("haproxy", "-db", "-f", f"{config}/haproxy.cfg"),
                stop_seconds=3, descriptors=tuple(descriptors)),
        Process("kube-apiserver", argv("kube-apiserver", *api_server(layout)), after=("etcd",),
                ready=f"readyz:{layout.pki}", stage=API, stop_seconds=15),
        Process("kube-controller-manager", argv("kube-controller-manager", *controller_manager(layout)),
                after=("kube-apiserver",)),
        Process("kube-scheduler", argv("kube-scheduler", *scheduler(layout)), after=("kube-apiserver",)),
        Process("kubelet", argv("kubelet", *kubelet(layout)), after=("kube-apiserver", "containerd")),
        Process("kube-proxy", argv("kube-proxy", f"--config={config}/kube-proxy.yaml"), after=("kube-apiserver",)),
        # It takes its way to the API server from the environment only.
        Process("calico-felix", ("env", f"KUBECONFIG={config}/calico.kubeconfig", "USE_POD_CIDR=true",
                                 *argv("calico-felix", f"--config-file={config}/felix.cfg")),
                after=("kube-apiserver",), ready=f"tcp:{at.FELIX_PORT}"),
    )  # fmt: skip
    return Plan(str(layout.root), layout.cgroup, path, ctr, processes)


def etcd(layout: Layout) -> tuple[str, ...]:
    """Arguments of etcd: loopback only, both sides by certificate."""
    pki = layout.pki
    client, peer = f"https://127.0.0.1:{at.ETCD_PORT}", f"https://127.0.0.1:{at.ETCD_PORT + 1}"
    return (
        f"--data-dir={layout.data}/etcd",
        "--name=default",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={pki}/etcd-ca.crt",
        f"--cert-file={pki}/etcd.crt",
        f"--key-file={pki}/etcd.key",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={pki}/etcd-ca.crt",
        f"--peer-cert-file={pki}/etcd.crt",
        f"--peer-key-file={pki}/etcd.key",
        "--unsafe-no-fsync",
        "--auto-compaction-retention=1h",
        "--quota-backend-bytes=2147483648",
        "--logger=zap",
        "--log-level=warn",
    )


def api_server(layout: Layout) -> tuple[str, ...]:
    """Arguments of the API server: certificates for every caller, no anonymous one, secrets encrypted."""
    pki = layout.pki
    return (
        f"--advertise-address={at.NODE_ADDRESS}",
        "--bind-address=0.0.0.0",
        f"--secure-port={at.API_PORT}",
        "--allow-privileged=true",
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        f"--client-ca-file={pki}/ca.crt",
        "--enable-admission-plugins=NodeRestriction,PodSecurity",
        f"--encryption-provider-config={layout.encryption}",
        f"--etcd-servers=https://127.0.0.1:{at.ETCD_PORT}",
        f"--etcd-cafile={pki}/etcd-ca.crt",
        f"--etcd-certfile={pki}/apiserver-etcd-client.crt",
        f"--etcd-keyfile={pki}/apiserver-etcd-client.key",
        # It asks etcd in a way that Debian's etcd 3.4 cannot answer, and complains every few seconds.
        "--feature-gates=SizeBasedListCostEstimate=false",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--service-account-issuer=https://kubernetes.default.svc.{at.CLUSTER_DOMAIN}",
        f"--service-account-key-file={pki}/service-accounts.pub",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        f"--service-cluster-ip-range={at.SERVICE_NETWORK}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        "--tls-min-version=VersionTLS12",
    )


def controller_manager(layout: Layout) -> tuple[str, ...]:
    """Arguments of the controller manager; alone, so without leader election and its waiting time."""
    pki, kubeconfig = layout.pki, f"{layout.config}/kube-controller-manager.kubeconfig"
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--allocate-node-cidrs=true",
        "--bind-address=127.0.0.1",
        f"--cluster-cidr={at.POD_NETWORK}",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--leader-elect=false",
        "--profiling=false",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/service-accounts.key",
        f"--service-cluster-ip-range={at.SERVICE_NETWORK}",
        "--use-service-account-credentials=true",
    )


def scheduler(layout: Layout) -> tuple[str, ...]:
    """Arguments of the scheduler."""
    kubeconfig = f"{layout.config}/kube-scheduler.kubeconfig"
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--profiling=false",
    )


def kubelet(layout: Layout) -> tuple[str, ...]:
    """Arguments of kubelet that its configuration file has no field for."""
    return (
        f"--config={layout.config}/kubelet.yaml",
        f"--kubeconfig={layout.config}/kubelet.kubeconfig",
        f"--root-dir={KUBELET}",
        f"--cert-dir={KUBELET}/pki",
        f"--hostname-override={at.NODE_NAME}",
        f"--node-ip={at.NODE_ADDRESS}",
    )
