"""Traces of the stack config: what reaches the components, and what is refused."""

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from modelway import GatewayArgs, ModelServerArgs
from modelway.gateway.gateway import gateway_spec
from modelway.gateway.objects import gateway_objects
from modelway.serving.model_server import server_spec
from modelway.serving.objects import server_manifests
from modelway.tracing.arguments import GatewayTraces, ServerTraces
from modelway.tracing.objects import proxy_telemetry
from modelway_server.settings import load as server_settings

from infra.config_traces import TraceSettings
from infra.edge import gateway_args
from infra.settings import load
from infra.traces import gateway_traces, server_traces
from tools.problem import ProblemError

IMAGE = "registry.example/iris@sha256:" + "a" * 64
W = "modelway:traces"
TRACES = {"url": "http://collector.observability.svc:4318", "samplePercent": 2.5}
GROUND = cast(GatewayArgs, {"address": "127.0.0.1:8080", "models_namespaces": ["modelway-models"]})


def config(traces: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    model = {"name": "iris", "versions": [{"name": "v1", "image": IMAGE}]}
    found = {"modelway:cluster": {"provider": "node"}, "modelway:models": [model]}
    return {**found, **({} if traces is None else {W: traces}), **{f"modelway:{key}": more[key] for key in more}}


def refused(traces: dict[str, Any], **more: Any) -> list[str]:
    """The sentences about a stack with these traces."""
    with pytest.raises(ProblemError) as caught:
        load(config(traces, **more), "test")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("traces", [None, {}])
def test_a_stack_that_sends_no_spans_says_nothing_of_them(traces: dict[str, Any] | None) -> None:
    settings = load(config(traces), "test")
    (model,) = settings.models
    assert gateway_traces(settings) is server_traces(settings, model, model.versions[0]) is None
    objects = gateway_objects(gateway_spec("gateway", gateway_args(settings, GROUND)))
    assert set(objects["proxy"]["spec"]["telemetry"]) == {"accessLog"}


def test_every_key_reaches_the_gateway_and_the_servers() -> None:
    said = {
        "url": "http://spans.example:4318",
        "samplePercent": 2.5,
        "grpcPort": 14317,
        "egressCidrs": ["192.0.2.0/24"],
    }
    settings = load(config(said), "test")
    (model,) = settings.models
    gateway = gateway_spec("gateway", gateway_args(settings, GROUND))
    assert gateway.traces == GatewayTraces("spans.example", 2.5, 14317, ("192.0.2.0/24",))
    args: dict[str, Any] = {"model": "iris", "version": "v1", "image": IMAGE, "namespace": "modelway-models"}
    args["traces"] = server_traces(settings, model, model.versions[0])
    server = server_spec("iris-v1", cast(ModelServerArgs, args))
    assert server.traces == ServerTraces("http://spans.example:4318", ("192.0.2.0/24",))


def test_the_server_understands_what_it_is_told() -> None:
    args: dict[str, Any] = {"model": "iris", "version": "v1", "image": IMAGE, "namespace": "modelway-models"}
    spec = server_spec("iris-v1", cast(ModelServerArgs, {**args, "traces": {"url": "http://[2001:db8::1]:4318"}}))
    (deployment,) = [each for each in server_manifests(spec) if each["kind"] == "Deployment"]
    env = {each["name"]: each["value"] for each in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert server_settings(env).traces_url == "http://[2001:db8::1]:4318"


def test_only_our_servers_behind_the_gateway_send_spans() -> None:
    foreign = {"name": "v1", "image": IMAGE, "runtime": "container"}
    plain = {
        "name": "plain",
        "versions": [{"name": "v1", "image": IMAGE}],
        "host": "plain.example",
        "pathPrefix": "/",
        "ingress": {"className": "nginx", "namespace": "ingress-nginx"},
    }
    settings = load(config(TRACES, models=[{"name": "iris", "versions": [foreign]}, plain]), "test")
    assert [server_traces(settings, each, each.versions[0]) for each in settings.models] == [None, None]


@pytest.mark.parametrize(
    ("percent", "numerator"), [(0, 0), (0.0001, 1), (1.25, 12_500), (33.3333, 333_333), (100, 1_000_000)]
)
def test_the_share_is_exact_in_millionths(percent: float, numerator: int) -> None:
    provider = proxy_telemetry(GatewayTraces("192.0.2.1", percent))["tracing"]["provider"]
    sampled = provider["openTelemetry"]["sampler"]["samplingPercentage"]
    assert sampled == {"numerator": numerator, "denominator": 1_000_000}


URL = "allowed http://HOST:PORT of a collector"
NETWORKS = "allowed networks such as 203.0.113.0/24"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"samplePercent": -1}, f"{W}.samplePercent: out of range: got -1, allowed 0 to 100; change it."),
        ({"samplePercent": 100.5}, f"{W}.samplePercent: out of range: got 100.5, allowed 0 to 100; change it."),
        (
            {"samplePercent": 0.00001},
            f"{W}.samplePercent: rounds to none: got 1e-05, allowed 0, or 0.0001 to 100; raise it.",
        ),
        ({"grpcPort": 0}, f"{W}.grpcPort: out of range: got 0, allowed 1 to 65535; change it."),
        ({"url": "collector"}, f"{W}.url: no URL: got 'collector', {URL}; correct it."),
        ({"url": "http://a:0"}, f"{W}.url: no URL: got 'http://a:0', {URL}; correct it."),
        ({"url": "http://a b:4318"}, f"{W}.url: no URL: got 'http://a b:4318', {URL}; correct it."),
        ({"url": "grpc://a:4317"}, f"{W}.url: no URL: got 'grpc://a:4317', {URL}; correct it."),
        ({"url": "http://a"}, f"{W}.url: has no port: got 'http://a', {URL}; add the port, commonly 4318."),
        (
            {"url": "http://192.0.2.1:4318/v1/traces"},
            f"{W}.url: has a path: got 'http://192.0.2.1:4318/v1/traces', {URL}; "
            "leave the path out, which is /v1/traces.",
        ),
        (
            {"url": "http://me:secret@192.0.2.1:4318"},
            f"{W}.url: has a password in it: got USER:PASSWORD@, {URL}; use a collector that asks for none.",
        ),
        (
            {"url": "https://192.0.2.1:4318"},
            f"{W}.url: spans are sent in plain text: got 'https://192.0.2.1:4318', {URL}; "
            "use a collector inside the network.",
        ),
        (
            {"url": "http://collector.example:4318"},
            f"{W}.egressCidrs: missing for a name that is no Service of the cluster: got 'collector.example', "
            f"{NETWORKS}; set egressCidrs, or name SERVICE.NAMESPACE.svc or an address.",
        ),
        (
            {"egressCidrs": ["192.0.2.1/24"]},
            f"{W}.egressCidrs: not a network: got '192.0.2.1/24', {NETWORKS}; correct it.",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert refused({**TRACES, **changes}) == [sentence]


def test_all_problems_are_reported_together() -> None:
    assert len(refused({"url": "http://a", "samplePercent": 101, "grpcPort": 70_000})) == 3


def test_a_foreign_gateway_cannot_be_told() -> None:
    assert refused(TRACES, gateway={"className": "other"}) == [
        f"{W}: not known to gateway class other: got a value, allowed only with className modelway; "
        "remove traces, or remove className."
    ]


@pytest.mark.parametrize("missing", ["url", "samplePercent"])
def test_what_has_no_default_is_needed(missing: str) -> None:
    said = {key: value for key, value in TRACES.items() if key != missing}
    assert refused(said) == [f"{W}.{missing}: missing: got nothing, allowed a value; add {missing}."]


def test_the_components_refuse_the_same() -> None:
    with pytest.raises(ValueError, match=r"traces\.host: no host: got 'Bad Host'"):
        gateway_spec("gateway", {**GROUND, "traces": {"host": "Bad Host", "sample_percent": 1}})
    args: dict[str, Any] = {"model": "iris", "version": "v1", "image": IMAGE, "namespace": "modelway-models"}
    with pytest.raises(ValueError, match=r"traces\.url: has no port"):
        server_spec("iris-v1", cast(ModelServerArgs, {**args, "traces": {"url": "http://a"}}))
    foreign = {**args, "traces": {"url": TRACES["url"]}, "runtime": "vllm"}
    with pytest.raises(ValueError, match="traces: does not fit the runtime: got with runtime vllm"):
        server_spec("iris-v1", cast(ModelServerArgs, foreign))


def test_the_config_in_the_document_is_accepted_and_its_table_has_every_key() -> None:
    document = (Path(__file__).parents[2] / "docs/traces.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)
    assert load(config(None) | yaml.safe_load(example)["config"], "test").traces is not None
    keys = {field.alias for field in TraceSettings.model_fields.values()}
    assert set(re.findall(r"^\| `(\w+)` \|", document, re.MULTILINE)) == keys
