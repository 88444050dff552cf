"""TLS at the gateway: what is refused in preview, with which sentence."""

from collections.abc import Mapping
from typing import Any

import pytest
from modelway.gateway.gateway import gateway_spec

from infra.settings import load
from tools.problem import ProblemError

DIGEST = "registry.example/iris@sha256:" + "a" * 64


def config(tls: Mapping[str, Any] | None, **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "cluster": {"provider": "node"},
        "gateway": {} if tls is None else {"tls": tls},
        "models": [{"name": "iris", "versions": [{"name": "v1", "image": DIGEST}]}],
    }
    return {f"modelway:{key}": value for key, value in {**base, **changes}.items()}


def sentences(raw: Mapping[str, Any]) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        load(raw, "test")
    return [str(problem) for problem in caught.value.problems]


LOCAL = ["127.0.0.1"]
TLS = "modelway:gateway.tls"
EXISTING = {"provider": "existing", "kubeconfig": "k"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        config({"hosts": []}),
        f"{TLS}.hosts: wrong number: got 0, allowed 1 to 20; name what clients ask for.",
    ),
    (
        config({"hosts": [*LOCAL, "a_b.example.com"]}),
        f"{TLS}.hosts: no DNS name or IP address: got 'a_b.example.com', allowed an IP address, or a DNS name in lower "
        "case, perhaps with '*.' before its domain; correct it.",
    ),
    (
        config({"hosts": [*LOCAL, *LOCAL]}),
        f"{TLS}.hosts: named twice: got '127.0.0.1', allowed each once; remove one.",
    ),
    (
        config({"hosts": ["models.example.com"]}),
        f"{TLS}.hosts: the certificate does not fit: got 127.0.0.1, certificate for models.example.com, "
        "allowed a host of tls.hosts; add it to tls.hosts.",
    ),
    (
        config(
            {"hosts": ["a.example"]},
            cluster=EXISTING,
            gateway={"address": "b.example", "tls": {"hosts": ["a.example"]}},
        ),
        "modelway:gateway.address: the certificate does not fit: got b.example, certificate for a.example, "
        "allowed a host of tls.hosts; add it to tls.hosts.",
    ),
    (
        config(
            {"hosts": [*LOCAL, "*.example.com"]},
            models=[{"name": "iris", "host": "iris.ml.example.com", "versions": [{"name": "v1", "image": DIGEST}]}],
        ),
        "modelway:models iris.host: the certificate does not fit: got iris.ml.example.com, certificate for 127.0.0.1, "
        "*.example.com, allowed a host of tls.hosts; add it to tls.hosts.",
    ),
    (
        config({"hosts": LOCAL, "issuer": "letsencrypt"}),
        f"{TLS}.issuer: unknown value: got 'letsencrypt', allowed ca, acme, secret; correct it.",
    ),
    (
        config({"hosts": LOCAL, "issuer": "secret"}),
        f"{TLS}.secret: missing for issuer secret: got nothing, allowed the name of a Secret of type "
        "kubernetes.io/tls; set secret.",
    ),
    (
        config({"hosts": LOCAL, "secret": "edge"}),
        f"{TLS}.secret: not used with issuer ca: got secret, allowed only with issuer secret; remove secret.",
    ),
    (
        config({"hosts": LOCAL, "minimumVersion": "1.1"}),
        f"{TLS}.minimumVersion: unknown or unsafe version: got '1.1', allowed 1.2 or 1.3; correct it.",
    ),
    (
        config({"hosts": LOCAL, "durationHours": 24, "renewBeforeHours": 24}),
        f"{TLS}.renewBeforeHours: renewed before it is made: got 24 of 24, allowed less than durationHours; lower it.",
    ),
    (
        config({"hosts": LOCAL, "durationHours": 0}),
        f"{TLS}.durationHours: out of range: got 0, allowed 1 to 8760; change it.",
    ),
    (
        config({"hosts": LOCAL, "hstsSeconds": -1}),
        f"{TLS}.hstsSeconds: out of range: got -1, allowed 0 to 63072000; change it.",
    ),
    (
        config({"hosts": LOCAL, "port": 8443}),
        f"{TLS}.port: not used with provider node: got 8443, allowed only with provider existing; remove it, or set "
        "MODELWAY_GATEWAY_TLS_PORT.",
    ),
    (
        config(None, cluster=EXISTING, gateway={"address": "a.example:443", "tls": {"hosts": ["a.example"]}}),
        f"{TLS}.port: HTTP and HTTPS on one port: got 443 for both, allowed two ports, that of plain HTTP in "
        "gateway.address; change one of them.",
    ),
    (
        config(
            None,
            gateway={
                "className": "nginx",
                "tls": {"hosts": LOCAL, "issuer": "secret", "secret": "s", "hstsSeconds": 1},
            },
        ),
        f"{TLS}.hstsSeconds: not known to class nginx: got hstsSeconds, allowed only with class modelway; remove it.",
    ),
    (
        config(
            {"hosts": LOCAL, "issuer": "secret", "secret": "s"},
            images={"certManager": dict.fromkeys(("controller", "webhook", "cainjector", "startupapicheck"), "i")},
        ),
        "modelway:images.certManager: not used: got images, allowed only with issuer ca or acme and cert-manager "
        "installed by the stack; remove certManager.",
    ),
]


@pytest.mark.parametrize(("raw", "sentence"), REFUSED, ids=[sentence.split(":")[1] for _, sentence in REFUSED])
def test_what_cannot_hold_is_refused_with_one_sentence(raw: dict[str, Any], sentence: str) -> None:
    assert sentence in sentences(raw)


@pytest.mark.parametrize(
    ("tls", "sentence"),
    [
        (
            {"hosts": LOCAL, "issuer": "acme"},
            f"{TLS}.acme.email: no e-mail address: got nothing, allowed NAME@DOMAIN for issuer acme; set email.",
        ),
        (
            {"hosts": LOCAL, "issuer": "acme", "acme": {"email": "a@b.example"}},
            f"{TLS}.hosts: cannot be proved by HTTP: got '127.0.0.1', allowed DNS names without '*'; name each host.",
        ),
        (
            {"hosts": ["localhost"], "issuer": "acme", "acme": {"email": "a@b.example", "server": "http://acme"}},
            f"{TLS}.acme.server: no directory of an ACME server: got 'http://acme', allowed https://HOST/PATH; "
            "correct it.",
        ),
        (
            {"hosts": ["localhost"], "issuer": "acme", "acme": {"email": "a@b.example"}},
            f"{TLS}.issuer: the node's cert-manager has no ACME: got acme, allowed ca or secret with provider node; "
            "change issuer.",
        ),
    ],
)
def test_what_acme_needs_is_said(tls: dict[str, Any], sentence: str) -> None:
    assert sentence in sentences(config(tls))


def test_production_needs_tls_an_issuer_and_images_by_digest() -> None:
    address = {"address": "a.example"}
    assert (
        f"{TLS}: missing in a production stack: got plain HTTP, allowed hosts, and where their certificate comes from; "
        "set gateway.tls."
    ) in sentences(config(None, cluster=EXISTING, environment="production", gateway=address))
    found = sentences(
        config(None, cluster=EXISTING, environment="production", gateway={**address, "tls": {"hosts": ["a.example"]}})
    )
    assert (
        f"{TLS}.issuer: missing in a production stack: got nothing, allowed acme, secret, or ca for clients that know "
        "your own authority; set issuer."
    ) in found
    assert (
        "modelway:images.certManager.webhook: no digest in a production stack: got None, allowed REPOSITORY@sha256:<64 "
        "hex digits>; set images.certManager.webhook, or installCertManager to false where the cluster has cert-manager."
    ) in found


def test_a_stack_with_every_field_is_taken() -> None:
    tls = {
        "hosts": ["127.0.0.1", "localhost"],
        "issuer": "ca",
        "minimumVersion": "1.3",
        "hstsSeconds": 0,
        "durationHours": 48,
        "renewBeforeHours": 16,
        "installCertManager": True,
        "certManagerChart": "oci://chart",
    }
    assert load(config(tls), "test").gateway.tls is not None


def test_a_component_refuses_in_its_own_words() -> None:
    with pytest.raises(ValueError, match=r'Gateway\("g"\)\.tls\.minimum_version: unknown or unsafe version'):
        gateway_spec(
            "g", {"address": "a", "models_namespaces": [], "tls": {"hosts": ["a.example"], "minimum_version": "1.0"}}
        )
