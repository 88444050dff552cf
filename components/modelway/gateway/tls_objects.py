"""Listeners, certificate, redirect and policy of a Gateway with TLS, as plain data.

Certificates come from cert-manager (https://cert-manager.io/docs/reference/api-docs/) or from a Secret that is there.
"""

from collections.abc import Mapping
from typing import Any

from modelway._common import Manifest, labels
from modelway.gateway.hosts import dns_names, ip_addresses
from modelway.gateway.tls import HTTPS_PORT, Tls

HTTP_LISTENER = "http"
HTTPS_LISTENER = "https"
AUTHORITY_HOURS = 10 * 365 * 24
AUTHORITY_RENEW_HOURS = 365 * 24
ACME_SERVER = "https://acme-v02.api.letsencrypt.org/directory"
SOLVER_PORT = 8089
"""Of the pods that answer ACME's challenges (`acmeSolverListenPort` of cert-manager 1.21)."""
SOLVER_LABELS = {"acme.cert-manager.io/http01-solver": "true"}


def listeners(gateway: str, tls: Tls, routes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Listeners of a Gateway with TLS; `routes` says whose routes are taken.

    Plain HTTP takes none but those of the Gateway's own namespace, its redirect and cert-manager's answers to ACME: so
    no route of a model ever answers there, whatever it says.
    """
    certificate = {"group": "", "kind": "Secret", "name": tls.secret_name(gateway)}
    return [
        {
            "name": HTTP_LISTENER,
            "protocol": "HTTP",
            "port": 80,
            "allowedRoutes": {"namespaces": {"from": "Same"}},
        },
        {
            "name": HTTPS_LISTENER,
            "protocol": "HTTPS",
            "port": HTTPS_PORT,
            "tls": {"mode": "Terminate", "certificateRefs": [certificate]},
            "allowedRoutes": dict(routes),
        },
    ]


def tls_settings(tls: Tls) -> dict[str, Any]:
    """What the ClientTrafficPolicy of the HTTPS listener says besides."""
    settings: dict[str, Any] = {"tls": {"minVersion": tls.minimum_version}}
    if tls.hsts_seconds:
        header = {"name": "strict-transport-security", "value": f"max-age={tls.hsts_seconds}"}
        settings["headers"] = {"lateResponseHeaders": {"set": [header]}}
    return settings


def redirect_route(gateway: str, namespace: str, tls: Tls) -> Manifest:
    """The HTTPRoute that sends plain HTTP to HTTPS."""
    redirect = {"scheme": "https", "port": tls.port, "statusCode": 301}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _metadata(gateway, namespace, f"{gateway}-redirect"),
        "spec": {
            "parentRefs": [_parent(gateway, namespace)],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "filters": [{"type": "RequestRedirect", "requestRedirect": redirect}],
                }
            ],
        },
    }


def tls_objects(gateway: str, namespace: str, tls: Tls) -> tuple[dict[str, Manifest], dict[str, Manifest]]:
    """What has to be there before the Gateway, and what needs the Gateway, each by role and in order."""
    redirect = {"redirect": redirect_route(gateway, namespace, tls)}
    certificates = certificate_objects(gateway, namespace, tls)
    # ACME asks the Gateway itself for the proof.
    return ({}, {**redirect, **certificates}) if tls.issuer == "acme" else (certificates, redirect)


def certificate_objects(gateway: str, namespace: str, tls: Tls) -> dict[str, Manifest]:
    """Issuers and certificates by role, in the order in which they are created; empty for issuer `secret`."""
    if tls.issuer == "secret":
        return {}
    own: dict[str, Any] = {}
    if tls.issuer == "ca":
        own = {"duration": f"{tls.duration_hours}h0m0s", "renewBefore": f"{tls.renew_before_hours}h0m0s"}
    names, addresses = dns_names(tls.hosts), ip_addresses(tls.hosts)
    certificate = _certificate(
        gateway,
        namespace,
        gateway,
        {
            "secretName": tls.secret_name(gateway),
            "issuerRef": _issuer_ref(gateway),
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "server auth"],
            **({"dnsNames": names} if names else {}),
            **({"ipAddresses": addresses} if addresses else {}),
            **own,
        },
    )
    if tls.issuer == "acme":
        return {"issuer": _acme_issuer(gateway, namespace, tls), "certificate": certificate}
    return {**_authority(gateway, namespace), "certificate": certificate}


def _authority(gateway: str, namespace: str) -> dict[str, Manifest]:
    secret, root = f"{gateway}-ca", f"{gateway}-self-signed"
    spec = {
        "isCA": True,
        "commonName": f"{namespace} CA",
        "secretName": secret,
        "issuerRef": _issuer_ref(root),
        # The same key for all its years: what clients trust still fits after a renewal.
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
        "usages": ["cert sign", "crl sign"],
        "duration": f"{AUTHORITY_HOURS}h0m0s",
        "renewBefore": f"{AUTHORITY_RENEW_HOURS}h0m0s",
    }
    return {
        "root-issuer": _issuer(gateway, namespace, root, {"selfSigned": {}}),
        "authority": _certificate(gateway, namespace, secret, spec),
        "issuer": _issuer(gateway, namespace, gateway, {"ca": {"secretName": secret}}),
    }


def _acme_issuer(gateway: str, namespace: str, tls: Tls) -> Manifest:
    account: Mapping[str, Any] = tls.acme or {}
    solver = {"http01": {"gatewayHTTPRoute": {"parentRefs": [_parent(gateway, namespace)]}}}
    acme = {
        "email": account.get("email"),
        "server": account.get("server", ACME_SERVER),
        "privateKeySecretRef": {"name": f"{gateway}-acme"},
        "solvers": [solver],
    }
    return _issuer(gateway, namespace, gateway, {"acme": acme})


def _parent(gateway: str, namespace: str) -> dict[str, Any]:
    return {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": gateway,
        "namespace": namespace,
        "sectionName": HTTP_LISTENER,
    }


def _issuer_ref(name: str) -> dict[str, str]:
    return {"group": "cert-manager.io", "kind": "Issuer", "name": name}


def _issuer(gateway: str, namespace: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    return _cert_manager("Issuer", gateway, namespace, name, spec)


def _certificate(gateway: str, namespace: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    return _cert_manager("Certificate", gateway, namespace, name, spec)


def _cert_manager(kind: str, gateway: str, namespace: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    metadata = _metadata(gateway, namespace, name)
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": kind,
        "metadata": metadata | {"annotations": {"pulumi.com/waitFor": "condition=Ready"}},
        "spec": dict(spec),
    }


def _metadata(gateway: str, namespace: str, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": labels(gateway, "gateway")}
