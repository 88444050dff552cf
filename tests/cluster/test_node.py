"""The one-node Kubernetes lives, heals and leaves nothing, in a state folder and on ports of its own."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tools.images import node_archives
from tools.node import lifecycle, procfs
from tools.node.addons import COREDNS_IMAGE
from tools.node.layout import Layout
from tools.paths import PROJECT
from tools.progress import Progress
from tools.toolchain import ensure

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the node needs root"),
]
READY_SECONDS = 90.0
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "restricted", "namespace": "strict", "labels": {"app": "restricted"}},
    "spec": {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "main",
                "image": COREDNS_IMAGE,
                "args": ["-conf", "/etc/coredns/Corefile"],
                "ports": [{"containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": "config"}}],
    },
}
OBJECTS: list[dict[str, Any]] = [
    {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "strict", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    },
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "config", "namespace": "strict"},
        "data": {"Corefile": ".:1053 {\n health :8080\n}\n"},
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "restricted", "namespace": "strict"},
        "spec": {
            "type": "NodePort",
            "selector": {"app": "restricted"},
            "ports": [{"port": 8080, "targetPort": 8080, "nodePort": 30080}],
        },
    },
    POD,
]


class Node:
    """A node of these tests, driven through its command line."""

    def __init__(self, state: Path) -> None:
        ports = [_free_port() for _ in range(3)]
        names = ("MODELWAY_GATEWAY_PORT", "MODELWAY_REGISTRY_PORT", "MODELWAY_API_PORT")
        self.variables = {"MODELWAY_STATE_DIR": str(state)} | dict(zip(names, map(str, ports), strict=True))
        self.gateway, self.registry, self.api = ports
        self.layout = Layout(state / "node")
        self.kubectl_path = str(ensure(["kubectl"], Progress())["kubectl"].path)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m tools.node …`; fails with its whole output."""
        result = subprocess.run(
            [sys.executable, "-m", "tools.node", *arguments],
            cwd=PROJECT, env=os.environ | self.variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.kubectl_path, "--kubeconfig", str(self.layout.kubeconfig), *arguments],
            input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def ok(self, *arguments: str, stdin: str | None = None) -> str:
        result = self.kubectl(*arguments, stdin=stdin)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def supervisor(self) -> int:
        found = lifecycle.find_supervisor(self.layout)
        assert found is not None
        return found.pid

    def outer_pid(self, name: str) -> int:
        found = lifecycle.find_supervisor(self.layout)
        assert found is not None
        (record,) = [it for it in lifecycle.processes(self.layout, found) if it["name"] == name]
        return int(str(record["outer_pid"]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(probe: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("n"))
    try:
        yield node
    finally:
        node.run("down", "--purge")


@pytest.fixture
def node(machine: Node) -> Node:
    """The node, running and ready, whatever the test before did to it, with the pod of these tests ready."""
    machine.run("up")
    listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS})
    machine.ok("apply", "-f", "-", stdin=listing)
    until(lambda: served(machine))
    return machine


def served(node: Node) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{node.gateway}/health", trust_env=False).text == "OK"
    except httpx.HTTPError:
        return False


def test_up_ends_with_a_ready_node_and_working_add_ons(node: Node) -> None:
    (item,) = json.loads(node.ok("get", "nodes", "-o", "json"))["items"]
    conditions = {it["type"]: it["status"] for it in item["status"]["conditions"]}
    pods = json.loads(node.ok("-n", "kube-system", "get", "pods", "-o", "json"))["items"]
    (metrics,) = json.loads(node.ok("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"))["items"]

    assert (item["metadata"]["name"], conditions["Ready"]) == ("node1", "True")
    assert item["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"
    assert {it["metadata"]["labels"]["k8s-app"] for it in pods} == {"kube-dns", "metrics-server"}
    assert metrics["metadata"]["name"] == "node1"


def test_a_second_up_changes_nothing_and_is_quick(node: Node) -> None:
    before = node.supervisor()
    begun = time.monotonic()
    said = node.run("up").stderr

    assert said == "The node runs already; nothing to do.\n"
    assert node.supervisor() == before
    assert time.monotonic() - begun < 10


def test_logs_and_exec_reach_a_restricted_pod(node: Node) -> None:
    assert "CoreDNS-" in node.ok("-n", "strict", "logs", "restricted")
    assert "CoreDNS-" in node.ok("-n", "strict", "exec", "restricted", "--", "/coredns", "-version")


def test_a_privileged_pod_is_refused_where_restricted_is_enforced(node: Node) -> None:
    pod = json.loads(json.dumps(POD))
    pod["metadata"]["name"] = "privileged"
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    refused = node.kubectl("apply", "-f", "-", stdin=json.dumps(pod))

    assert refused.returncode == 1
    assert 'violates PodSecurity "restricted:latest": privileged' in refused.stderr


def test_strangers_reach_neither_api_server_nor_kubelet(node: Node) -> None:
    authority = node.layout.pki / "ca.crt"
    unknown = ["--cacert", str(authority), "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    api = subprocess.run(
        ["curl", *unknown, f"https://127.0.0.1:{node.api}/version"], capture_output=True, text=True, check=True
    )
    kubelet = node.run("exec", "--", "curl", *unknown, "https://10.99.0.1:10250/pods")

    assert (api.stdout, kubelet.stdout) == ("401", "401")


def test_the_administrator_is_no_member_of_masters_and_may_do_everything(node: Node) -> None:
    who = json.loads(node.ok("auth", "whoami", "-o", "json"))["status"]["userInfo"]

    assert who["username"] == "modelway-admin"
    assert set(who["groups"]) == {"modelway:admins", "system:authenticated"}
    assert node.ok("auth", "can-i", "*", "*").strip() == "yes"


def test_secrets_are_encrypted_at_rest(node: Node) -> None:
    planted = "planted-4f9c1d7e-token"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted", "namespace": "strict"},
              "stringData": {"token": planted}}  # fmt: skip
    node.ok("apply", "--server-side", "-f", "-", stdin=json.dumps(secret))
    stored = [path.read_bytes() for path in (node.layout.data / "etcd").rglob("*") if path.is_file()]

    needles = (planted.encode(), base64.b64encode(planted.encode()))
    assert not [needle for content in stored for needle in needles if needle in content]
    assert any(b"/registry/secrets/strict/planted" in content for content in stored)


def test_names_and_services_are_found_inside(node: Node) -> None:
    address = json.loads(node.ok("-n", "strict", "get", "service", "restricted", "-o", "json"))["spec"]["clusterIP"]
    question = (
        "import socket,struct;"
        "q=struct.pack('>6H',7,256,1,0,0,0)+b''.join(bytes([len(p)])+p.encode() for p in "
        "'restricted.strict.svc.cluster.local'.split('.'))+b'\\0'+struct.pack('>2H',1,1);"
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(5);s.sendto(q,('10.96.0.10',53));"
        "print(socket.inet_ntoa(s.recv(512)[-4:]))"
    )

    assert node.run("exec", "--", sys.executable, "-c", question).stdout.strip() == address


def test_an_image_pushed_from_outside_is_pulled_by_digest(node: Node) -> None:
    skopeo = str(ensure(["skopeo"], Progress())["skopeo"].path)
    archive = next(path for path in node_archives(Progress()) if path.name.startswith("pause"))
    target = f"127.0.0.1:{node.registry}/pushed/pause"
    digest_file = node.layout.run / "digest"
    subprocess.run(
        [skopeo, "--insecure-policy", "copy", "--dest-tls-verify=false", f"--digestfile={digest_file}",
         f"oci-archive:{archive}", f"docker://{target}:1"],
        check=True, capture_output=True,
    )  # fmt: skip
    pod = json.loads(json.dumps(POD))
    pod["metadata"] = {"name": "pulled", "namespace": "strict"}
    container = pod["spec"]["containers"][0]
    container["image"] = f"{target}@{digest_file.read_text().strip()}"
    del container["args"], container["readinessProbe"]
    node.ok("apply", "-f", "-", stdin=json.dumps(pod))

    node.ok("-n", "strict", "wait", "--for=condition=Ready", "pod/pulled", "--timeout=60s")
    node.ok("-n", "strict", "delete", "pod", "pulled", "--now")


def test_down_and_up_keep_cluster_authority_objects_and_images(node: Node) -> None:
    def identity() -> tuple[str, str, bytes]:
        namespace = json.loads(node.ok("get", "namespace", "kube-system", "-o", "json"))
        pod = json.loads(node.ok("-n", "strict", "get", "pod", "restricted", "-o", "json"))
        return namespace["metadata"]["uid"], pod["metadata"]["uid"], (node.layout.pki / "ca.crt").read_bytes()

    before = identity()
    node.run("down")
    assert not served(node)
    said = node.run("up").stderr

    assert identity() == before
    assert "importing" not in said
    until(lambda: served(node))


def test_down_leaves_nothing_outside_its_folder(node: Node) -> None:
    supervisor = node.supervisor()
    node.run("down", "--check")

    assert procfs.start_time(supervisor) is None
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{node.layout.cgroup}"))
    assert not [it for it in procfs.listeners() if it.port in (node.gateway, node.registry, node.api)]


def test_killing_the_supervisor_ends_everything_and_up_heals(node: Node) -> None:
    supervisor = node.supervisor()
    inside = procfs.namespace(supervisor, "pid")
    members = [pid for pid in procfs.pids() if procfs.namespace(pid, "pid") == inside]
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: not any(procfs.start_time(pid) for pid in members), 20)
    said = node.run("up").stderr

    assert len(members) > 10
    assert "starting the node's processes" in said
    until(lambda: served(node))


def test_killing_the_process_that_waits_for_the_supervisor_leaves_nothing(node: Node) -> None:
    parent = int((procfs.PROC / str(node.supervisor()) / "stat").read_text().rpartition(")")[2].split()[1])
    assert procfs.command(parent).startswith("unshare ")
    os.kill(parent, signal.SIGKILL)

    node.run("down", "--check")


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver", "containerd", "kubelet", "calico-felix", "forwarder"])
def test_a_killed_process_is_started_again(node: Node, name: str) -> None:
    before = node.outer_pid(name)
    os.kill(before, signal.SIGKILL)

    until(lambda: node.outer_pid(name) not in (0, before))
    until(lambda: subprocess.run(
        [sys.executable, "-m", "tools.node", "status"],
        cwd=PROJECT, env=os.environ | node.variables, capture_output=True, check=False,
    ).returncode == 0)  # fmt: skip
    until(lambda: served(node))


def test_an_up_that_was_killed_half_way_is_finished_by_the_next(node: Node) -> None:
    node.run("down")
    first = subprocess.Popen(
        [sys.executable, "-m", "tools.node", "up"],
        cwd=PROJECT, env=os.environ | node.variables, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert first.stderr is not None
    # The first step has ended, so processes run; the next ones are under way.
    assert b"starting the node's processes" in first.stderr.readline()
    first.kill()
    first.wait()
    first.stderr.close()
    node.run("up")

    until(lambda: served(node))


def test_changed_ports_restart_the_node_on_them(node: Node) -> None:
    before, node.variables["MODELWAY_GATEWAY_PORT"] = node.gateway, str(_free_port())
    node.gateway = int(node.variables["MODELWAY_GATEWAY_PORT"])
    said = node.run("up").stderr

    assert "stopping the node: its programs or settings changed" in said
    until(lambda: served(node))
    assert not [it for it in procfs.listeners() if it.port == before]


def test_the_status_names_every_process(node: Node) -> None:
    lines = node.run("status").stdout.splitlines()

    assert lines[0] == "ready"
    assert [line.split()[0] for line in lines[1:]] == [
        "etcd", "containerd", "registry", "forwarder", "kube-apiserver", "kube-controller-manager",
        "kube-scheduler", "kubelet", "kube-proxy", "calico-felix",
    ]  # fmt: skip
    assert {line.split()[1] for line in lines[1:]} == {"running"}


def test_keys_are_in_files_of_their_owner_alone(node: Node) -> None:
    folders = (node.layout.pki, node.layout.config, node.layout.run, node.layout.kubeconfig)
    files = [path for folder in folders for path in ([folder] if folder.is_file() else folder.rglob("*"))]
    with_keys = [path for path in files if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]

    assert len(with_keys) > 10
    assert {path.stat().st_mode & 0o777 for path in with_keys} == {0o600}
    assert node.layout.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert node.layout.encryption.stat().st_mode & 0o777 == 0o600
