"""A real API server without nodes, on loopback, with certificates of its own."""

import base64
import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

START_SECONDS = 60
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Api:
    """A running API server."""

    folder: Path
    url: str
    _kubectl: Path

    def kubeconfig(self, url: str = "") -> str:
        """Content of an administrator's kubeconfig; another URL makes it another cluster to the plugin."""
        names = {"ca": "ca.crt", "certificate": "admin.crt", "key": "admin.key"}
        data = {key: base64.b64encode((self.folder / name).read_bytes()).decode() for key, name in names.items()}
        cluster = {"server": url or self.url, "certificate-authority-data": data["ca"]}
        user = {"client-certificate-data": data["certificate"], "client-key-data": data["key"]}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "tests",
                "clusters": [{"name": "tests", "cluster": cluster}],
                "users": [{"name": "tests", "user": user}],
                "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            }
        )

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard output of kubectl as administrator."""
        command = [self._kubectl, f"--kubeconfig={self.folder / 'kubeconfig'}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait_for_types(self, *names: str) -> None:
        """Wait until the CustomResourceDefinitions of these names are served."""
        for name in names:
            # Before it has any condition, `kubectl wait` fails instead of waiting for one.
            accepted = f"--for=jsonpath={{.status.acceptedNames.plural}}={name.partition('.')[0]}"
            for event in (accepted, "--for=condition=Established"):
                self.kubectl("wait", event, "--timeout=60s", f"crd/{name}")

    def value(self, kind: str, name: str, path: str, namespace: str = "default") -> str:
        """One field of an object, by JSON path; empty when object or field does not exist."""
        jsonpath = f"jsonpath={{{path}}}"
        return self.kubectl("get", kind, name, "-n", namespace, "-o", jsonpath, "--ignore-not-found")


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def _certificates(folder: Path) -> None:
    _openssl(folder, "req", "-x509", *_KEY, "-days", "2", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=tests")
    for name, subject, extension in (
        ("server", "/CN=kube-apiserver", "subjectAltName=IP:127.0.0.1"),
        ("admin", "/O=system:masters/CN=tests", "extendedKeyUsage=clientAuth"),
    ):
        key, request, out = f"{name}.key", f"{name}.csr", f"{name}.crt"
        (folder / f"{name}.ext").write_text(extension)
        _openssl(folder, "req", *_KEY, "-keyout", key, "-out", request, "-subj", subject)
        signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        _openssl(folder, "x509", "-req", "-in", request, "-out", out, *signed)
    _openssl(folder, "genrsa", "-out", "accounts.key", "2048")


@contextlib.contextmanager
def _process(folder: Path, binary: Path, **flags: object) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(binary), *(f"--{name.replace('_', '-')}={value}" for name, value in flags.items())]
    with (folder / f"{binary.name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()  # nothing of it is kept, and a graceful end takes ten seconds
        process.wait()


def _await_ready(api: Api, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(AssertionError):
            if api.kubectl("get", "--raw", "/readyz") == "ok" and api.value("namespace", "default", ".metadata.name"):
                return
        time.sleep(0.2)
    raise AssertionError(f"the API server did not get ready: {(api.folder / 'kube-apiserver.log').read_text()[-2000:]}")


@contextlib.contextmanager
def running(folder: Path, binaries: Mapping[str, Path]) -> Iterator[Api]:
    """etcd, kube-apiserver and kube-controller-manager (deletes need its garbage collector), ready."""
    _certificates(folder)
    store, peer, port = (free_port() for _ in range(3))
    url = f"http://127.0.0.1:{store}"
    peers = f"http://127.0.0.1:{peer}"
    etcd = {
        "data_dir": folder / "etcd",
        "listen_client_urls": url,
        "advertise_client_urls": url,
        "listen_peer_urls": peers,
        "initial_advertise_peer_urls": peers,
        "initial_cluster": f"default={peers}",
    }
    server = {
        "etcd_servers": url,
        "bind_address": "127.0.0.1",
        "secure_port": port,
        "client_ca_file": "ca.crt",
        "tls_cert_file": "server.crt",
        "tls_private_key_file": "server.key",
        "service_account_key_file": "accounts.key",
        "service_account_signing_key_file": "accounts.key",
        "service_account_issuer": "https://tests",
        "authorization_mode": "RBAC",
        "service_cluster_ip_range": "10.96.0.0/24",
    }
    manager = {
        "kubeconfig": "kubeconfig",
        "service_account_private_key_file": "accounts.key",
        "root_ca_file": "ca.crt",
        "leader_elect": "false",
        "secure_port": 0,
    }
    api = Api(folder, f"https://127.0.0.1:{port}", binaries["kubectl"])
    file = folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(api.kubeconfig())
    with (
        _process(folder, binaries["etcd"], **etcd),
        _process(folder, binaries["kube-apiserver"], **server) as process,
        _process(folder, binaries["kube-controller-manager"], **manager),
    ):
        _await_ready(api, process)
        yield api
