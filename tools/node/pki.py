"""The node's public key infrastructure: three authorities, one certificate per client and server.

The authorities outlive restarts (pods mount the cluster's, kubeconfigs embed it); certificates are issued again
when they are about to expire or no longer say what they should. Every key is an own P-256 key in a 0600 file.
"""

import datetime
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.node.files import folder, write
from tools.node.layout import API_SERVICE_ADDRESS, CLUSTER_DOMAIN, NODE_ADDRESS, NODE_NAME

AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
RENEW_DAYS = 30
"""A certificate with fewer days left is issued again."""
BOOTSTRAP_MINUTES = 10
CLOCK_SKEW = datetime.timedelta(minutes=5)

AUTHORITIES = {"ca": "modelway-node", "etcd-ca": "modelway-node-etcd", "front-proxy-ca": "modelway-node-front-proxy"}
"""File name → common name."""

ADMIN_GROUP = "modelway:admins"
"""Bound to cluster-admin by an own ClusterRoleBinding, so that it can be revoked; `system:masters` cannot."""
KUBELET_CLIENT_USER = "kube-apiserver-kubelet-client"
CALICO_USER = "modelway:calico"

CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)


@dataclass(frozen=True)
class Leaf:
    """A certificate to have: who it names, what it may be used for, who signs it."""

    name: str
    """File name without suffix."""
    common_name: str
    usages: tuple[x509.ObjectIdentifier, ...]
    organization: str = ""
    """The user's group, for client certificates."""
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    authority: str = "ca"


API_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
             f"kubernetes.default.svc.{CLUSTER_DOMAIN}")  # fmt: skip

LEAVES = (
    Leaf("apiserver", "kube-apiserver", SERVER, dns=API_NAMES,
         addresses=("127.0.0.1", NODE_ADDRESS, API_SERVICE_ADDRESS)),
    Leaf("apiserver-kubelet-client", KUBELET_CLIENT_USER, CLIENT),
    Leaf("apiserver-etcd-client", "kube-apiserver", CLIENT, authority="etcd-ca"),
    Leaf("etcd", "etcd", SERVER + CLIENT, dns=("localhost",), addresses=("127.0.0.1",), authority="etcd-ca"),
    Leaf("front-proxy-client", "front-proxy-client", CLIENT, authority="front-proxy-ca"),
    Leaf("admin", "modelway-admin", CLIENT, organization=ADMIN_GROUP),
    Leaf("kube-controller-manager", "system:kube-controller-manager", CLIENT),
    Leaf("kube-scheduler", "system:kube-scheduler", CLIENT),
    Leaf("kube-proxy", "system:kube-proxy", CLIENT),
    Leaf("calico", CALICO_USER, CLIENT),
    Leaf("kubelet", f"system:node:{NODE_NAME}", CLIENT, organization="system:nodes"),
    Leaf("kubelet-server", f"system:node:{NODE_NAME}", SERVER, organization="system:nodes", dns=(NODE_NAME,),
         addresses=(NODE_ADDRESS, "127.0.0.1")),
    Leaf("metrics-server", "metrics-server.kube-system.svc", SERVER,
         dns=("metrics-server.kube-system.svc", f"metrics-server.kube-system.svc.{CLUSTER_DOMAIN}")),
)  # fmt: skip


def ensure(pki: Path, leaves: Iterable[Leaf] = LEAVES) -> list[str]:
    """Create what is missing, expiring or different in `pki`; returns the names that were (re)issued."""
    folder(pki)
    issued = list(_missing_authorities(pki))
    wanted = {leaf.name: leaf for leaf in leaves}
    for name in stale(pki, wanted.values()):
        issue(pki, wanted[name], datetime.timedelta(days=LEAF_DAYS))
        issued.append(name)
    if not (pki / "service-accounts.key").exists():
        key = ec.generate_private_key(ec.SECP256R1())
        write(pki / "service-accounts.pub", _public(key))
        write(pki / "service-accounts.key", _private(key))
        issued.append("service-accounts")
    return issued


def stale(pki: Path, leaves: Iterable[Leaf] = LEAVES) -> list[str]:
    """Names of the certificates that `ensure` would issue again."""
    return [leaf.name for leaf in leaves if not issued_for(pki, leaf)]


def bootstrap(pki: Path, target: Path) -> Leaf:
    """Issue a short-lived member of `system:masters` into `target`: the one way into a cluster without bindings."""
    leaf = Leaf("bootstrap", "modelway-bootstrap", CLIENT, organization="system:masters")
    issue(pki, leaf, datetime.timedelta(minutes=BOOTSTRAP_MINUTES), target)
    return leaf


def issue(pki: Path, leaf: Leaf, lifetime: datetime.timedelta, target: Path | None = None) -> None:
    """Write a new key and certificate for `leaf` (to `target`, else beside the authority)."""
    signer = serialization.load_pem_private_key((pki / f"{leaf.authority}.key").read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{pki / leaf.authority}.key is no elliptic curve key; delete the folder {pki}")
    authority = _load(pki / f"{leaf.authority}.crt")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(leaf), authority.subject, key.public_key(), lifetime)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(leaf.usages), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
    )
    if names := _alternative_names(leaf):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    where = target or pki
    write(where / f"{leaf.name}.key", _private(key))
    write(where / f"{leaf.name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def issued_for(pki: Path, leaf: Leaf) -> bool:
    """Whether a valid certificate with exactly these names, usages and authority is there for long enough."""
    path = pki / f"{leaf.name}.crt"
    if not path.exists() or not (pki / f"{leaf.name}.key").exists():
        return False
    certificate = _load(path)
    try:
        certificate.verify_directly_issued_by(_load(pki / f"{leaf.authority}.crt"))
    except (InvalidSignature, ValueError, TypeError):
        return False
    # A start that was killed between the two files leaves a key and a certificate that do not belong together.
    key = serialization.load_pem_private_key((pki / f"{leaf.name}.key").read_bytes(), None)
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return (
        certificate.not_valid_after_utc - _now() > datetime.timedelta(days=RENEW_DAYS)
        and certificate.subject == _name(leaf)
        and certificate.public_key() == key.public_key()
        and set(usages) == set(leaf.usages)
        and names_of(certificate) == set(leaf.dns) | set(leaf.addresses)
    )


def names_of(certificate: x509.Certificate) -> set[str]:
    """The subject alternative names, DNS names and addresses together."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _missing_authorities(pki: Path) -> Iterator[str]:
    for file_name, common_name in AUTHORITIES.items():
        if (pki / f"{file_name}.key").exists() and (pki / f"{file_name}.crt").exists():
            continue
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, subject, key.public_key(), datetime.timedelta(days=AUTHORITY_DAYS))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        certificate = builder.sign(key, hashes.SHA256())
        write(pki / f"{file_name}.crt", certificate.public_bytes(serialization.Encoding.PEM))
        write(pki / f"{file_name}.key", _private(key))
        yield file_name


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - CLOCK_SKEW)
        .not_valid_after(_now() + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(leaf: Leaf) -> x509.Name:
    organization = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.organization)] if leaf.organization else []
    return x509.Name([*organization, x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)])


def _alternative_names(leaf: Leaf) -> list[x509.GeneralName]:
    return [
        *(x509.DNSName(name) for name in leaf.dns),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in leaf.addresses),
    ]


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    # SEC1 ("EC PRIVATE KEY"): the form that Kubernetes' key reader and every OpenSSL accept for service accounts.
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
