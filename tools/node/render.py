"""Writes the node's configuration folder, and says whether a running node still has the right one."""

import hashlib
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from tools.node import configs, pki
from tools.node import layout as at
from tools.node.files import folder, write
from tools.node.layout import Layout, Ports
from tools.node.plan import Plan

COMPONENTS = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "calico")
DATA_FOLDERS = {"etcd": 0o700, "containerd": 0o711, "kubelet": 0o755, "registry": 0o700, "var-log": 0o755}
"""Folder below `data` → mode: pods of other users read their volumes, and log collectors their logs."""
READABLE = 0o644


def files(layout: Layout, descriptors: Mapping[str, int]) -> dict[str, str]:
    """Every file of the configuration folder: path below it → text. None holds a secret."""
    keys = layout.pki
    texts = {
        "containerd.toml": configs.containerd(layout),
        "kubelet.yaml": configs.kubelet(layout),
        "kube-proxy.yaml": configs.kube_proxy(layout),
        "registry.yaml": configs.registry(layout),
        "haproxy.cfg": configs.forwarder(descriptors),
        # Pods with `dnsPolicy: Default` get this: no server, because the network leads nowhere.
        "resolv.conf": "# The node's network has no name server outside the cluster.\n",
        "felix.cfg": configs.felix(),
        "cni/10-pods.conflist": configs.cni(layout),
    }
    for port in (at.REGISTRY_PORT, layout.ports.registry):
        texts[f"registries/127.0.0.1:{port}/hosts.toml"] = configs.registry_hosts()
    for setting, value in configs.KERNEL_SETTINGS.items():
        texts[f"sysctl/{setting}"] = f"{value}\n"
    for name in COMPONENTS:
        texts[f"{name}.kubeconfig"] = configs.kubeconfig(
            f"https://127.0.0.1:{at.API_PORT}", keys / "ca.crt", keys / f"{name}.crt", keys / f"{name}.key"
        )
    return texts


def render(layout: Layout, programs: Mapping[str, Path], texts: Mapping[str, str]) -> None:
    """Write certificates, the key for secrets at rest, kubeconfigs, links to plugins and every configuration file."""
    for path in (layout.config, layout.plugins):
        shutil.rmtree(path, ignore_errors=True)
    for path in (layout.root, layout.pki, layout.config, layout.plugins, layout.data, layout.log, layout.run):
        folder(path)
    for name, mode in DATA_FOLDERS.items():
        folder(layout.data / name, mode)
    for name, text in texts.items():
        path = layout.config / name
        folder(path.parent)
        # kubelet reads its stand-ins for kernel settings as any process of the machine would.
        write(path, text, READABLE if name.startswith("sysctl/") else 0o600)
    # A machine's own folder of plugins may hold another Calico.
    plugins = {plugin.name: plugin for plugin in (*programs["cni-plugins"].iterdir(), programs["calico-cni"])}
    for name, plugin in plugins.items():
        (layout.plugins / name).symlink_to(plugin)
    pki.ensure(layout.pki)
    if not layout.encryption.exists():
        write(layout.encryption, configs.encryption(secrets.token_bytes(32)))
    admin = [(layout.pki / name).read_bytes() for name in ("ca.crt", "admin.crt", "admin.key")]
    write(layout.kubeconfig, configs.embedded_kubeconfig(f"https://127.0.0.1:{layout.ports.api}", *admin))


def fingerprint(ports: Ports, plan: Plan, texts: Mapping[str, str]) -> str:
    """Changes with whatever a restart would change: ports outside, programs, arguments, configuration."""
    digest = hashlib.sha256(f"{ports}\0{plan.dump()}".encode())
    for name in sorted(texts):
        digest.update(f"\0{name}\0{texts[name]}".encode())
    return digest.hexdigest()
