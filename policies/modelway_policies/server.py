"""The policy pack as Pulumi's engine sees it: its protocol `Analyzer` around the pure rules.

The SDK `pulumi-policy` unpacks every property of every resource once for each rule, and leaves a rule out as soon as
one value of the resource is unknown. With the custom resource definitions of a gateway in the stack that is seconds of
every preview; here a resource is unpacked once, and only where a rule reads its kind.
"""
# ruff: noqa: N802, ARG002 - the engine's protocol names these methods

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from modelway_policies.judge import Violation, judge_object, judge_stack, options_of
from modelway_policies.rule import Rule
from modelway_policies.rules import BY_NAME, KINDS, RULES
from modelway_policies.settings import LEVEL, level_in, misfits, options_in
from modelway_policies.wire import kind_of, plain

NAME = "modelway"
VERSION = "0.1.0"
_LEVELS = {
    "advisory": analyzer_pb2.ADVISORY,
    "mandatory": analyzer_pb2.MANDATORY,
    "disabled": analyzer_pb2.DISABLED,
    "remediate": analyzer_pb2.REMEDIATE,
}
_MOST_BYTES = 400 * 1024 * 1024
"""As much as Pulumi's own policy SDK takes in one message."""
PARENT_SECONDS = 1.0
"""How often the pack looks whether who started it is still there."""


class Pack(analyzer_pb2_grpc.AnalyzerServicer):
    """The pack, for one run of the engine."""

    def __init__(self) -> None:
        self._levels: dict[str, Any] = {}
        self._options: dict[str, Mapping[str, Any]] = {}
        self._inputs: dict[str, dict[str, Any]] = {}
        self._set("advisory", {})

    def _set(self, level: str, policies: Mapping[str, Any]) -> None:
        given = options_in(policies)
        for rule in RULES:
            options = given.get(rule.name, {})
            self._levels[rule.name] = _LEVELS[options.get(LEVEL, level)]
            self._options[rule.name] = options_of(rule, options)

    def Handshake(self, request: Any, context: Any) -> Any:
        """Nothing to agree on."""
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def ConfigureStack(self, request: Any, context: Any) -> Any:
        """Take the stack's own word: `modelway:environment` and `modelway:policies`."""
        config = dict(request.config)
        try:
            policies = json.loads(config.get("modelway:policies") or "{}")
        except ValueError:
            policies = config["modelway:policies"]
        if wrong := misfits(policies):
            sentences = (f"{where}: {what}: got {got}, allowed {good}; {fix}." for where, what, got, good, fix in wrong)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "\n".join(sentences))
        self._set(level_in(config.get("modelway:environment")), policies)
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The pack's version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetAnalyzerInfo(self, request: Any, context: Any) -> Any:
        """Every rule, with its level and settings as the stack has them."""
        return analyzer_pb2.AnalyzerInfo(
            name=NAME,
            version=VERSION,
            displayName="Modelway",
            description="Rules for serving models on Kubernetes",
            supportsConfig=True,
            policies=[self._info(rule) for rule in RULES],
            initialConfig={
                rule.name: analyzer_pb2.PolicyConfig(
                    enforcementLevel=self._levels[rule.name], properties=_struct(self._options[rule.name])
                )
                for rule in RULES
            },
        )

    def _info(self, rule: Rule) -> Any:
        kind = analyzer_pb2.POLICY_TYPE_RESOURCE if rule.on_object else analyzer_pb2.POLICY_TYPE_STACK
        source = rule.sources[0]
        return analyzer_pb2.PolicyInfo(
            name=rule.name,
            displayName=rule.name,
            description=f"{rule.description} ({'; '.join(map(str, rule.sources))})",
            enforcementLevel=self._levels[rule.name],
            policy_type=kind,
            remediation_steps=rule.fix,
            framework=analyzer_pb2.PolicyComplianceFramework(
                name=source.framework, version=source.version, reference=source.reference
            ),
            configSchema=analyzer_pb2.PolicyConfigSchema(properties=_struct(rule.options)),
        )

    def Configure(self, request: Any, context: Any) -> Any:
        """Take the settings that the engine made of the stack's word and of `--policy-pack-config`."""
        unknown = sorted(name for name in request.policyConfig if name not in (*BY_NAME, "all"))
        if unknown:
            allowed = ", ".join(BY_NAME)
            text = f"policy pack {NAME}: no such rule: got {', '.join(unknown)}, allowed {allowed}; correct it."
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        for name, given in request.policyConfig.items():
            if rule := BY_NAME.get(name):
                self._levels[name] = given.enforcementLevel
                self._options[name] = options_of(rule, plain(given.properties))
        return empty_pb2.Empty()

    def Analyze(self, request: Any, context: Any) -> Any:
        """Judge one resource by itself."""
        found: list[Violation] = []
        if data := _object(request):
            self._inputs[request.urn] = data
            for rule in self._active():
                found += judge_object(rule, data, self._options[rule.name])
        return analyzer_pb2.AnalyzeResponse(diagnostics=[self._diagnostic(each, request.urn) for each in found])

    def AnalyzeStack(self, request: Any, context: Any) -> Any:
        """Judge the relations between all resources of the stack."""
        pairs = [(data, resource.urn) for resource in request.resources if (data := self._deployed(resource))]
        urns = {id(data): urn for data, urn in pairs}
        found: list[Violation] = []
        for rule in self._active():
            found += judge_stack(rule, [data for data, _ in pairs], self._options[rule.name])
        diagnostics = [self._diagnostic(each, urns.get(id(each.subject), "")) for each in found]
        return analyzer_pb2.AnalyzeResponse(diagnostics=diagnostics)

    def _deployed(self, resource: Any) -> dict[str, Any] | None:
        # Before the cluster is there, a preview has no outputs of what goes into it: what the program says stands in.
        return self._inputs.get(resource.urn) if not resource.properties.fields else _object(resource)

    def Remediate(self, request: Any, context: Any) -> Any:
        """Nothing: the rules change no resource."""
        return analyzer_pb2.RemediateResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        """Nothing runs for long."""
        return empty_pb2.Empty()

    def _active(self) -> list[Rule]:
        return [rule for rule in RULES if self._levels[rule.name] != analyzer_pb2.DISABLED]

    def _diagnostic(self, violation: Violation, urn: str) -> Any:
        level = self._levels[violation.rule.name]
        return analyzer_pb2.AnalyzeDiagnostic(
            policyName=violation.rule.name,
            policyPackName=NAME,
            policyPackVersion=VERSION,
            description=violation.rule.description,
            message=violation.sentence,
            # No rule repairs anything, so the engine is told what it makes of `remediate` then.
            enforcementLevel=analyzer_pb2.MANDATORY if level == analyzer_pb2.REMEDIATE else level,
            urn=urn,
        )


def _object(resource: Any) -> dict[str, Any] | None:
    kind = kind_of(resource.type)
    if kind not in KINDS:
        return None
    data: dict[str, Any] = plain(resource.properties)
    return data | {"kind": kind}


def _struct(data: Mapping[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(json.loads(json.dumps(data)), struct_pb2.Struct())


def main() -> None:
    """Serve on a free loopback port, printed for the engine, until it ends this process or is gone itself."""
    parent = os.getppid()
    options = [("grpc.max_receive_message_length", _MOST_BYTES)]
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=options)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Pack(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    ended = threading.Event()
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: ended.set())
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # An engine that is killed ends nobody; whoever started this process gets another parent then.
    while not ended.wait(PARENT_SECONDS) and os.getppid() == parent:
        pass
    server.stop(None)
