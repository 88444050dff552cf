"""Where the one-node Kubernetes keeps its files, and the addresses and ports it uses."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.paths import state_dir
from tools.problem import Problem, ProblemError

NODE_NAME = "node1"
NODE_ADDRESS = "10.99.0.1"
NODE_NETWORK = "10.99.0.1/24"
POD_NETWORK = "10.244.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"

API_PORT = 6443
REGISTRY_PORT = 5000
GATEWAY_NODE_PORT = 30080
GATEWAY_TLS_NODE_PORT = 30443
ETCD_PORT = 2379
FELIX_PORT = 9099

CGROUP_PREFIX = "modelway-node-"


@dataclass(frozen=True)
class Ports:
    """Ports on 127.0.0.1 outside the node's network namespace."""

    gateway: int = 8080
    """Leads to NodePort 30080. Moved by `MODELWAY_GATEWAY_PORT`."""
    registry: int = 5000
    """Leads to the image registry. Moved by `MODELWAY_REGISTRY_PORT`."""
    api: int = 6443
    """Leads to the API server. Moved by `MODELWAY_API_PORT`."""
    gateway_tls: int = 8443
    """Leads to NodePort 30443. Moved by `MODELWAY_GATEWAY_TLS_PORT`."""

    def named(self) -> dict[str, int]:
        """Environment variable that moves the port → port."""
        return {
            "MODELWAY_GATEWAY_PORT": self.gateway,
            "MODELWAY_REGISTRY_PORT": self.registry,
            "MODELWAY_API_PORT": self.api,
            "MODELWAY_GATEWAY_TLS_PORT": self.gateway_tls,
        }

    @staticmethod
    def load(environment: Mapping[str, str]) -> "Ports":
        """Read the variables; raises `ProblemError` with every one that is no free-to-choose port."""
        ports = Ports().named()
        problems = []
        for variable in ports:
            text = environment.get(variable, "")
            if not text:
                continue
            if text.isdecimal() and 0 < int(text) < 65536:
                ports[variable] = int(text)
            else:
                problems.append(
                    Problem(variable, "no TCP port", f"'{text}'", "1 to 65535", f"unset {variable} or correct it")
                )
        if problems:
            raise ProblemError(problems)
        return Ports(*ports.values())


@dataclass(frozen=True)
class Layout:
    """The node's one folder, and what is in it."""

    root: Path
    ports: Ports = Ports()

    @staticmethod
    def current() -> "Layout":
        """The layout that the environment asks for: `state_dir()/node` and the ports."""
        return Layout(state_dir() / "node", Ports.load(os.environ))

    @property
    def pki(self) -> Path:
        """Keys and certificates, 0600 in a 0700 folder."""
        return self.root / "pki"

    @property
    def config(self) -> Path:
        """Configuration files, written anew by every start."""
        return self.root / "config"

    @property
    def plugins(self) -> Path:
        """Links to every CNI plugin, made anew by every start: containerd looks in one folder only."""
        return self.root / "plugins"

    @property
    def data(self) -> Path:
        """What outlives `node down`: etcd, containerd's images, kubelet's folders, the registry's blobs."""
        return self.root / "data"

    @property
    def log(self) -> Path:
        """One log file per process."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """What belongs to one run; emptied by `node down`."""
        return self.root / "run"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig for use outside the namespace."""
        return self.root / "kubeconfig"

    @property
    def encryption(self) -> Path:
        """The API server's configuration for secrets at rest; holds the key."""
        return self.pki / "encryption.yaml"

    @property
    def plan(self) -> Path:
        """What the supervisor was told to run."""
        return self.run / "plan.json"

    @property
    def processes(self) -> Path:
        """What the supervisor runs now: pid in the node's PID namespace and start time."""
        return self.run / "processes.json"

    @property
    def supervisor(self) -> Path:
        """The supervisor's pid file, locked while it lives."""
        return self.run / "supervisor.json"

    @property
    def cgroup(self) -> str:
        """Name of the node's cgroup below the root of each hierarchy; differs per state folder."""
        return CGROUP_PREFIX + hashlib.sha256(bytes(self.root)).hexdigest()[:8]

    def log_file(self, process: str) -> Path:
        """The log of one process."""
        return self.log / f"{process}.log"
