"""What a stack says about its traces, in the terms of the components."""

from typing import Any
from urllib.parse import urlsplit

from modelway.gateway.policy import OWN_CLASS
from modelway.tracing.arguments import gateway_traces_misfits, server_traces_misfits

from infra.config_schema import ModelSettings, RuntimeName, Settings, VersionSettings
from infra.misfits import problem_of, spelling
from tools.problem import Problem

WHERE = "modelway:traces"
_SPELLED = spelling(("egress_cidrs", "sample_percent"))


def gateway_traces(settings: Settings) -> dict[str, Any] | None:
    """The arguments of `Gateway` about spans; None where the stack sends them nowhere."""
    own = settings.traces
    if own is None:
        return None
    host = urlsplit(own.url).hostname
    return {"host": host, "port": own.grpc_port, "sample_percent": own.sample_percent, **_networks(settings)}


def server_traces(settings: Settings, model: ModelSettings, version: VersionSettings) -> dict[str, Any] | None:
    """The arguments of a version about spans; None where it has none.

    Behind a plain Ingress nobody but the client would decide what is recorded.
    """
    own = settings.traces
    if own is None or version.runtime is not RuntimeName.MODELWAY or model.ingress is not None:
        return None
    return {"url": own.url, **_networks(settings)}


def trace_problems(settings: Settings) -> list[Problem]:
    """What the components would refuse, and a gateway that is not told."""
    own = settings.traces
    if own is None:
        return []
    problems = []
    if settings.gateway.class_name != OWN_CLASS:
        what = f"not known to gateway class {settings.gateway.class_name}"
        allowed, fix = "only with className modelway", "remove traces, or remove className"
        problems.append(Problem(WHERE, what, "a value", allowed, fix))
    misfits = list(server_traces_misfits({"url": own.url, **_networks(settings)}))
    # The host is that of the URL: what is wrong with it is said there.
    misfits += gateway_traces_misfits(
        {"host": "127.0.0.1", "port": own.grpc_port, "sample_percent": own.sample_percent}
    )
    named = [misfit._replace(field="grpc_port" if misfit.field == "port" else misfit.field) for misfit in misfits]
    return problems + [problem_of(WHERE, misfit, _SPELLED) for misfit in named]


def _networks(settings: Settings) -> dict[str, Any]:
    own = settings.traces
    return {} if own is None or own.egress_cidrs is None else {"egress_cidrs": own.egress_cidrs}
