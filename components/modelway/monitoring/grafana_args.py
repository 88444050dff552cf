"""What is said about Grafana, as arguments."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NotRequired, TypedDict

import pulumi

from modelway._common import is_dns_label
from modelway.monitoring.grafana import IMAGE, GrafanaSpec
from modelway.monitoring.receivers_args import is_url
from modelway.serving.misfit import Misfit

LEAST_PASSWORD = 12
"""Characters; Grafana takes any, `admin` too."""


class GrafanaArgs(TypedDict):
    """A Grafana with the dashboards, beside Prometheus."""

    admin_password: pulumi.Input[str]
    """Password of the user `admin`, 12 characters or more; nobody sees anything without one. A secret."""
    image: NotRequired[pulumi.Input[str]]
    """Image of Grafana 13. Defaults to the official one, by digest."""
    external_url: NotRequired[str]
    """Where people open it. Defaults to its address in the cluster."""
    clients_namespaces: NotRequired[list[str]]
    """Namespaces whose pods may open it, such as an ingress controller's. Defaults to none: `kubectl port-forward`
    leads there all the same."""


def grafana_misfits(grafana: Mapping[str, Any]) -> Iterator[Misfit]:
    """What no Grafana can be."""
    password = grafana["admin_password"]
    if isinstance(password, str) and len(password) < LEAST_PASSWORD:
        got, allowed = f"{len(password)} characters", f"{LEAST_PASSWORD} or more"
        yield Misfit("grafana.admin_password", "too short", got, allowed, "take a longer one")
    url = grafana.get("external_url")
    if url is not None and (not is_url(url) or "?" in url):
        allowed = "http(s)://HOST/… without user, query and fragment"
        yield Misfit("grafana.external_url", "no usable URL", repr(url), allowed, "correct it")
    for name in grafana.get("clients_namespaces", ()):
        if not is_dns_label(name):
            allowed = "names of namespaces"
            yield Misfit("grafana.clients_namespaces", "no namespace", repr(name), allowed, "correct it")


def grafana_of(namespace: str, grafana: GrafanaArgs, runbook_base_url: str = "") -> GrafanaSpec:
    """The Grafana of arguments that `grafana_misfits` finds nothing wrong with."""
    password = pulumi.Output.secret(grafana["admin_password"])
    return GrafanaSpec(
        namespace,
        grafana.get("image", IMAGE),
        password,
        password.apply(lambda text: _derived(text, "session", 32)),
        pulumi.Output.unsecret(password.apply(lambda text: _derived(text, "mark", 4))),
        grafana.get("external_url", ""),
        tuple(grafana.get("clients_namespaces", ())),
        runbook_base_url,
    )


def _derived(password: str, purpose: str, length: int) -> str:
    """Bytes that follow from the password, and not the password from them: guesses are made expensive."""
    salt = f"modelway-grafana-{purpose}".encode()
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1, dklen=length).hex()
