"""The node's certificates say who is who, and outlive restarts."""

import datetime
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.node import pki

SUBJECTS = {
    "apiserver": "CN=kube-apiserver",
    "apiserver-kubelet-client": "CN=kube-apiserver-kubelet-client",
    "apiserver-etcd-client": "CN=kube-apiserver",
    "etcd": "CN=etcd",
    "front-proxy-client": "CN=front-proxy-client",
    "admin": "CN=modelway-admin,O=modelway:admins",
    "kube-controller-manager": "CN=system:kube-controller-manager",
    "kube-scheduler": "CN=system:kube-scheduler",
    "kube-proxy": "CN=system:kube-proxy",
    "calico": "CN=modelway:calico",
    "kubelet": "CN=system:node:node1,O=system:nodes",
    "kubelet-server": "CN=system:node:node1,O=system:nodes",
    "metrics-server": "CN=metrics-server.kube-system.svc",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node") / "pki"
    pki.ensure(folder)
    return folder


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_every_client_and_server_is_named_as_kubernetes_expects(made: Path) -> None:
    found = {leaf.name: certificate(made, leaf.name).subject.rfc4514_string() for leaf in pki.LEAVES}

    assert found == SUBJECTS


def test_only_the_bootstrap_certificate_is_a_member_of_masters(made: Path, tmp_path: Path) -> None:
    leaf = pki.bootstrap(made, tmp_path)

    issued = certificate(tmp_path, leaf.name)
    assert issued.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:masters"
    assert issued.not_valid_after_utc - issued.not_valid_before_utc == datetime.timedelta(minutes=15)
    assert not any("masters" in subject for subject in SUBJECTS.values())


def test_the_api_server_answers_for_every_address_it_is_reached_at(made: Path) -> None:
    assert pki.names_of(certificate(made, "apiserver")) == {
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        "10.99.0.1",
        "10.96.0.1",
    }


def test_kubelet_answers_for_its_name_and_address(made: Path) -> None:
    assert pki.names_of(certificate(made, "kubelet-server")) == {"node1", "10.99.0.1", "127.0.0.1"}


def test_client_certificates_serve_nothing(made: Path) -> None:
    clients = {
        leaf.name
        for leaf in pki.LEAVES
        if ExtendedKeyUsageOID.SERVER_AUTH
        not in certificate(made, leaf.name).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    }

    assert clients == set(SUBJECTS) - {"apiserver", "etcd", "kubelet-server", "metrics-server"}


def test_etcd_and_the_aggregator_trust_authorities_of_their_own(made: Path) -> None:
    issuers = {leaf.name: certificate(made, leaf.name).issuer.rfc4514_string() for leaf in pki.LEAVES}

    assert {name for name, issuer in issuers.items() if issuer == "CN=modelway-node-etcd"} == {
        "etcd",
        "apiserver-etcd-client",
    }
    assert {name for name, issuer in issuers.items() if issuer == "CN=modelway-node-front-proxy"} == {
        "front-proxy-client"
    }


def test_keys_are_read_by_their_owner_alone(made: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()}

    assert modes == {0o600}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_second_start_issues_nothing(made: Path) -> None:
    before = {path.name: path.read_bytes() for path in made.iterdir()}

    assert pki.ensure(made) == []
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def test_a_certificate_that_expires_soon_is_issued_again_by_the_same_authority(tmp_path: Path) -> None:
    pki.ensure(tmp_path)
    authority = (tmp_path / "ca.crt").read_bytes()
    admin = next(leaf for leaf in pki.LEAVES if leaf.name == "admin")
    pki.issue(tmp_path, admin, datetime.timedelta(days=pki.RENEW_DAYS - 1))

    assert pki.ensure(tmp_path) == ["admin"]
    assert (tmp_path / "ca.crt").read_bytes() == authority


def test_a_key_without_its_certificate_is_issued_again(tmp_path: Path) -> None:
    pki.ensure(tmp_path)
    (tmp_path / "kubelet.key").write_bytes((tmp_path / "kube-proxy.key").read_bytes())

    assert pki.stale(tmp_path) == ["kubelet"]


def test_a_lost_authority_replaces_all_that_it_signed(tmp_path: Path) -> None:
    pki.ensure(tmp_path)
    (tmp_path / "etcd-ca.key").unlink()

    assert pki.ensure(tmp_path) == ["etcd-ca", "apiserver-etcd-client", "etcd"]
