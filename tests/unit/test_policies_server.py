"""The policy pack as the engine sees it, without an engine."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf import empty_pb2, json_format, struct_pb2
from modelway_policies import RULES, server
from modelway_policies.objects import UNKNOWN
from modelway_policies.wire import kind_of, plain
from pulumi.runtime.proto import analyzer_pb2

from infra.policies import advice_lines, policies_of
from infra.settings import load
from tests.unit.policy_fixtures import document
from tools.paths import PROJECT
from tools.problem import ProblemError

SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
NOT_KNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Context:
    """The call as a servicer sees it."""

    def abort(self, code: grpc.StatusCode, text: str) -> None:
        raise ValueError(code, text)


def struct(data: Mapping[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(json.loads(json.dumps(data)), struct_pb2.Struct())


def pack(**config: str) -> server.Pack:
    made = server.Pack()
    request = analyzer_pb2.AnalyzerStackConfigureRequest(
        config={f"modelway:{name}": value for name, value in config.items()}
    )
    made.ConfigureStack(request, Context())
    return made


def deployment() -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document()["base"] if each["kind"] == "Deployment")
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def container(data: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["spec"]["template"]["spec"]["containers"][0]
    return found


def analyzed(made: server.Pack, data: Mapping[str, Any], kind: str = "kubernetes:apps/v1:Deployment") -> Any:
    request = analyzer_pb2.AnalyzeRequest(type=kind, urn="urn:1", name="one", properties=struct(data))
    return [
        (each.policyName, analyzer_pb2.EnforcementLevel.Name(each.enforcementLevel), each.urn)
        for each in made.Analyze(request, Context()).diagnostics
    ]


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ("", "ADVISORY"),
        ("development", "ADVISORY"),
        ("staging", "MANDATORY"),
        ("production", "MANDATORY"),
        ("of another project", "ADVISORY"),
    ],
)
def test_a_rule_is_as_strict_as_the_stacks_environment(environment: str, level: str) -> None:
    made, data = pack(environment=environment), deployment()
    container(data)["image"] = "registry.example/iris:v1"
    assert analyzed(made, data) == [("image-digest", level, "urn:1")]
    info = made.GetAnalyzerInfo(empty_pb2.Empty(), Context())
    assert {analyzer_pb2.EnforcementLevel.Name(each.enforcementLevel) for each in info.policies} == {level}
    assert [each.name for each in info.policies] == [rule.name for rule in RULES]


def test_the_stack_config_sets_levels_and_settings_and_the_engines_word_is_the_last() -> None:
    made = pack(environment="production", policies=json.dumps({"image-digest": "advisory", "probes": "disabled"}))
    data = deployment()
    container(data)["image"] = "registry.example/iris:v1"
    del container(data)["livenessProbe"]
    assert analyzed(made, data) == [("image-digest", "ADVISORY", "urn:1")]
    given = {
        "image-digest": analyzer_pb2.PolicyConfig(
            enforcementLevel=analyzer_pb2.REMEDIATE,
            properties=struct({"exempt": [{"namespace": "other", "reason": "It is not this one."}]}),
        ),
        "probes": analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.MANDATORY),
    }
    made.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=given), Context())
    assert analyzed(made, data) == [("image-digest", "MANDATORY", "urn:1"), ("probes", "MANDATORY", "urn:1")]
    exempt = struct({"exempt": [{"namespace": "models", "reason": "Its registry has no digests."}]})
    given["image-digest"].properties.CopyFrom(exempt)
    made.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=given), Context())
    assert analyzed(made, data) == [("probes", "MANDATORY", "urn:1")]


def test_what_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"modelway:policies: wrong type: got 'strict', allowed a map of rules"):
        pack(policies="strict")
    unknown = analyzer_pb2.ConfigureAnalyzerRequest(policyConfig={"probe": analyzer_pb2.PolicyConfig()})
    with pytest.raises(ValueError, match=r"policy pack modelway: no such rule: got probe, allowed image-digest, "):
        pack().Configure(unknown, Context())


def test_secrets_are_read_and_unknown_values_are_left_for_the_update() -> None:
    data = deployment()
    container(data)["env"] = [
        {"name": "DB_PASSWORD", "value": {SIGNATURE: SECRET, "value": "planted"}},
        {"name": "API_TOKEN", "value": NOT_KNOWN},
        {"name": "OTHER_TOKEN", "value": {SIGNATURE: OUTPUT, "secret": True}},
    ]
    container(data)["image"] = NOT_KNOWN
    request = analyzer_pb2.AnalyzeRequest(type="kubernetes:apps/v1:Deployment", properties=struct(data))
    (said,) = pack().Analyze(request, Context()).diagnostics
    assert said.message == (
        "Deployment models/iris-v1 container server variable DB_PASSWORD: a secret in plain text: got a literal value, "
        "allowed a reference to a Secret; keep it in a Secret and mount that."
    )
    assert plain(struct({"a": NOT_KNOWN, "b": [1, 2.5, None, True]})) == {"a": UNKNOWN, "b": [1, 2.5, None, True]}


def test_only_whole_objects_of_kinds_that_a_rule_reads_are_judged() -> None:
    for token in (
        "kubernetes:apps/v1:DeploymentPatch",
        "kubernetes:helm.sh/v3:Release",
        "pulumi:providers:kubernetes",
        "other:apps/v1:Deployment",
        "modelway:index:Gateway",
    ):
        assert analyzed(pack(), {"spec": {"template": {"spec": {"hostNetwork": True}}}}, token) == []
    assert kind_of("kubernetes:gateway.networking.k8s.io/v1:HTTPRoute") == "HTTPRoute"
    assert kind_of("kubernetes:core/v1:Service") == "Service"


def test_a_relation_is_told_at_the_resource_that_lacks_it() -> None:
    kinds = {
        "Deployment": "kubernetes:apps/v1:Deployment",
        "NetworkPolicy": "kubernetes:networking.k8s.io/v1:NetworkPolicy",
    }
    objects = [each for each in document()["base"] if each["kind"] in kinds]
    request = analyzer_pb2.AnalyzeStackRequest(
        resources=[
            analyzer_pb2.AnalyzerResource(type=kinds[each["kind"]], urn=each["kind"], properties=struct(each))
            for each in objects
        ]
    )
    said = pack(environment="production").AnalyzeStack(request, Context()).diagnostics
    assert [(each.policyName, each.urn, each.enforcementLevel) for each in said] == [
        ("disruption-budget", "Deployment", analyzer_pb2.MANDATORY)
    ]


def test_what_has_no_outputs_yet_is_judged_by_its_inputs() -> None:
    kinds = {"Deployment": "kubernetes:apps/v1:Deployment", "Service": "kubernetes:core/v1:Service"}
    objects = [each for each in document()["base"] if each["kind"] in kinds]
    full, empty = (
        analyzer_pb2.AnalyzeStackRequest(
            resources=[
                analyzer_pb2.AnalyzerResource(
                    type=kinds[each["kind"]], urn=each["kind"], properties=struct(each if outputs else {})
                )
                for each in objects
            ]
        )
        for outputs in (True, False)
    )
    judge = pack(environment="production")
    for each in full.resources:
        request = analyzer_pb2.AnalyzeRequest(type=each.type, urn=each.urn, properties=each.properties)
        judge.Analyze(request, Context())
    said = judge.AnalyzeStack(full, Context()).diagnostics
    assert {each.policyName for each in said} >= {"disruption-budget", "network-policy"}
    assert list(judge.AnalyzeStack(empty, Context()).diagnostics) == list(said)


def test_name_and_version_of_the_pack_are_those_of_its_file() -> None:
    file = yaml.safe_load((PROJECT / "policies/PulumiPolicy.yaml").read_text())
    info = pack().GetAnalyzerInfo(empty_pb2.Empty(), Context())
    assert (file["name"], file["version"]) == (info.name, info.version) == (server.NAME, server.VERSION)


def settings(**changes: Any) -> dict[str, Any]:
    digest = "registry.example/iris@sha256:" + "a" * 64
    config: dict[str, Any] = {
        "cluster": {"provider": "node"},
        "models": [{"name": "iris", "versions": [{"name": "v1", "image": digest}]}],
        **changes,
    }
    return {f"modelway:{name}": value for name, value in config.items()}


def test_policies_stop_a_run_where_one_rule_is_mandatory() -> None:
    assert not policies_of(load(settings(), "dev")).stop
    assert policies_of(load(settings(environment="staging"), "dev")).stop
    assert policies_of(load(settings(policies={"probes": "mandatory"}), "dev")).stop
    assert not policies_of(load(settings(policies={"probes": {"exempt": []}}), "dev")).stop


def test_wrong_policies_are_problems_of_the_config() -> None:
    with pytest.raises(ProblemError) as caught:
        load(settings(policies={"probes": {"exempt": [{"namespace": "a"}]}, "seccomp": "hard"}), "dev")
    assert str(caught.value).splitlines() == [
        "modelway:policies.probes.exempt[0]: not an exemption: got {'namespace': 'a'}, allowed namespace and reason, "
        "and name where one object is meant, each a text; say what is exempt and why.",
        "modelway:policies.seccomp.enforcementLevel: unknown value: got 'hard', allowed advisory, mandatory, disabled; "
        "correct it.",
    ]


def test_advice_is_one_line_for_each_rule() -> None:
    assert advice_lines({"probes": ["b: x.", "a: x."], "non-root": ["c: y."]}) == [
        "policy non-root: c: y.",
        "policy probes: a: x. (1 more of this rule)",
    ]


def test_the_pack_ends_when_whoever_started_it_was_killed() -> None:
    pack_command = [sys.executable, "-c", "from modelway_policies.server import main; main()"]
    starter = [sys.executable, "-c", f"import subprocess; subprocess.run({pack_command})"]
    with subprocess.Popen(starter, stdout=subprocess.PIPE, cwd=PROJECT / "policies") as started:
        assert started.stdout is not None
        assert int(started.stdout.readline()) > 0
        started.kill()
        # The pack holds the other end of the pipe as long as it lives.
        assert started.stdout.read() == b""
