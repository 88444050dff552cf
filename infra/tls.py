"""What a stack says about TLS, in the terms of the components, and how this machine trusts the gateway."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from modelway.gateway.policy import OWN_CLASS
from modelway.gateway.tls import Tls, TlsArgs, tls_of
from modelway.gateway.tls_checks import host_misfits, tls_misfits
from modelway.serving.runtime_checks import Misfit

from infra.config_schema import DIGEST, Access, Environment, Provider, Settings
from infra.misfits import problem_of, spelling
from infra.names import GATEWAY_NAME, GATEWAY_NAMESPACE
from tools.problem import Problem, ProblemError

if TYPE_CHECKING:
    from infra.deploy import Job

GATEWAY = "modelway:gateway"
LOCAL_HOST = "127.0.0.1"
AUTHORITY_FILE = "gateway-ca.crt"
_SPELLED = spelling({*Tls.__dataclass_fields__, *TlsArgs.__annotations__})


def tls_args(settings: Settings, local_port: int | None) -> dict[str, Any] | None:
    """The arguments of `Gateway` about TLS but the ground's own; `local_port` is where this machine forwards HTTPS."""
    if settings.gateway.tls is None:
        return None
    args: dict[str, Any] = settings.gateway.tls.model_dump(exclude_none=True)
    if local_port is not None:
        args["port"] = local_port
    images = settings.images.cert_manager
    if images is not None:
        args["cert_manager_images"] = images.model_dump(exclude_none=True)
    return args


def installs_cert_manager(settings: Settings) -> bool:
    """Whether the stack brings its own cert-manager."""
    tls = settings.gateway.tls
    return tls is not None and tls.issuer != "secret" and tls.install_cert_manager is not False


def tls_problems(settings: Settings) -> list[Problem]:
    """Everything that the components would refuse in TLS, and what only a whole stack can get wrong."""
    return list(_problems(settings))


def _problems(settings: Settings) -> Iterator[Problem]:
    tls, where = settings.gateway.tls, f"{GATEWAY}.tls"
    production = settings.environment is Environment.PRODUCTION
    if tls is None:
        if production:
            allowed = "hosts, and where their certificate comes from"
            yield Problem(where, "missing in a production stack", "plain HTTP", allowed, "set gateway.tls")
        return
    foreign = None if settings.gateway.class_name == OWN_CLASS else settings.gateway.class_name
    args = tls_args(settings, None) or {}
    for misfit in tls_misfits(args, foreign):
        yield _problem(GATEWAY, misfit)
    if production and tls.issuer is None:
        allowed = "acme, secret, or ca for clients that know your own authority"
        yield Problem(f"{where}.issuer", "missing in a production stack", "nothing", allowed, "set issuer")
    yield from _images(settings, production)
    yield from _ground(settings)
    yield from _hosts(settings, tls.hosts)


def _images(settings: Settings, production: bool) -> Iterator[Problem]:
    images, where = settings.images.cert_manager, "modelway:images.certManager"
    if images is not None and not installs_cert_manager(settings):
        allowed = "only with issuer ca or acme and cert-manager installed by the stack"
        yield Problem(where, "not used", "images", allowed, "remove certManager")
    if not production or not installs_cert_manager(settings):
        return
    acme = settings.gateway.tls is not None and settings.gateway.tls.issuer == "acme"
    said = images.model_dump() if images else {}
    for name in ("controller", "webhook", "cainjector", "startupapicheck", *(["acmesolver"] if acme else [])):
        if not DIGEST.fullmatch(said.get(name) or ""):
            got, allowed = repr(said.get(name)), "REPOSITORY@sha256:<64 hex digits>"
            fix = f"set images.certManager.{name}, or installCertManager to false where the cluster has cert-manager"
            yield Problem(f"{where}.{name}", "no digest in a production stack", got, allowed, fix)


def _ground(settings: Settings) -> Iterator[Problem]:
    """What the kind of cluster does not allow."""
    tls, provider = settings.gateway.tls, settings.cluster.provider
    if tls is None:
        return
    if provider is Provider.EXISTING:
        plain = _authority(settings.gateway.address or "").port or 80
        if plain == (tls.port or 443):
            got, where = f"{plain} for both", f"{GATEWAY}.tls.port"
            allowed = "two ports, that of plain HTTP in gateway.address"
            yield Problem(where, "HTTP and HTTPS on one port", got, allowed, "change one of them")
        return
    if tls.port is not None:
        allowed = "only with provider existing"
        fix = "remove it" if provider.is_cloud else "remove it, or set MODELWAY_GATEWAY_TLS_PORT"
        yield Problem(f"{GATEWAY}.tls.port", f"not used with provider {provider}", str(tls.port), allowed, fix)
    if provider is Provider.NODE and tls.issuer == "acme" and installs_cert_manager(settings):
        allowed, fix = "ca or secret with provider node", "change issuer"
        yield Problem(f"{GATEWAY}.tls.issuer", "the node's cert-manager has no ACME", "acme", allowed, fix)


def _hosts(settings: Settings, hosts: list[str]) -> Iterator[Problem]:
    """Names under which clients ask and which the certificate does not fit."""
    if settings.gateway.address is not None:
        asked = _authority(settings.gateway.address).hostname or settings.gateway.address
        for misfit in host_misfits(hosts, "address", asked):
            yield _problem(GATEWAY, misfit)
    elif settings.cluster.provider.is_local:
        for misfit in host_misfits(hosts, "tls.hosts", LOCAL_HOST):
            yield _problem(GATEWAY, misfit)
    for model in settings.models:
        if model.host is not None and model.access is not Access.INTERNAL and model.ingress is None:
            for misfit in host_misfits(hosts, "host", model.host):
                yield _problem(f"modelway:models {model.name}", misfit)


def _authority(address: str) -> Any:
    return urlsplit(f"//{address}")


def _problem(where: str, misfit: Misfit) -> Problem:
    return problem_of(where, misfit, _SPELLED)


def authority_file(work: "Job", kubectl: list[str]) -> Path | None:
    """A file with the certificate of the authority behind the gateway's own, read anew from the cluster; None without
    TLS, and where the authorities of this machine are to be trusted.

    Raises:
        ProblemError: the Secret with the certificate cannot be read.
    """
    args = tls_args(work.settings, None)
    if args is None:
        return None
    name = tls_of(cast(TlsArgs, args)).secret_name(GATEWAY_NAME)
    # The public certificate alone: the key never leaves the cluster.
    query = [f"--namespace={GATEWAY_NAMESPACE}", "get", "secret", name, r"--output=jsonpath={.data.ca\.crt}"]
    asked = subprocess.run([*kubectl, "--request-timeout=10s", *query], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        said = (asked.stderr.strip().splitlines() or ["no answer"])[-1]
        problem = Problem(f"Secret {name}", "it cannot be read", said, "the gateway's certificate", "check access")
        raise ProblemError([problem])
    if not asked.stdout:
        return None
    file = work.files.work_folder / AUTHORITY_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(base64.b64decode(asked.stdout))
    return file
