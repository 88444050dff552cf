"""What our own stacks register keeps every rule of the policy pack, with a model in each access mode."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from google.protobuf import json_format, struct_pb2
from modelway_policies import judge
from modelway_policies.rules import KINDS
from modelway_policies.wire import kind_of, plain

from infra import program
from infra.ground import NODE_IMAGES

Deploy = Callable[[Callable[[], object]], Any]
DIGEST = "sha256:" + "a" * 64
PLATFORM = {role: f"registry.example/{role}@{DIGEST}" for role in ("gateway", "proxy", "prometheus")}
CERT_MANAGER = {
    name: f"registry.example/{name}@{DIGEST}" for name in ("controller", "webhook", "cainjector", "startupapicheck")
}
LIMITS = {"requestsPerSecond": 100, "requestsPerSecondPerClient": 10}
AUTH = {"method": "api-key"}
GATEWAY = {"tls": {"hosts": ["models.example.com"], "issuer": "ca"}, "limits": LIMITS, "auth": AUTH}


JUDGED = {
    "versions": [
        {"name": "v1", "image": f"registry.example/iris@{DIGEST}", "weight": 100},
        {"name": "v2", "image": f"registry.example/iris@{DIGEST}", "weight": 0},
    ],
    "experiment": {"candidate": "v2", "metrics": [{"kind": "errors"}]},
}


def model(access: str, **changes: Any) -> dict[str, Any]:
    versions = [{"name": "v1", "image": f"registry.example/iris@{DIGEST}", "replicas": 2}]
    return {"name": access, "access": access, "versions": versions, **changes}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder as a running node leaves it, and the kubeconfig of another cluster."""
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("MODELWAY_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "node").mkdir()
    (tmp_path / "node/kubeconfig").write_text("planted-kubeconfig")
    images = {name: f"127.0.0.1:5000/{name.split(':')[0]}@{DIGEST}" for name in NODE_IMAGES.values()}
    (tmp_path / "node/images.json").write_text(json.dumps(images))
    return tmp_path


def registered(deploy: Deploy, **config: Any) -> list[dict[str, Any]]:
    """The objects of the stack that some rule reads."""

    def run() -> None:
        pulumi.runtime.set_all_config({f"modelway:{key}": json.dumps(value) for key, value in config.items()})
        program.main()

    found = []
    for resource in deploy(run).resources:
        if (kind := kind_of(resource.typ)) in KINDS:
            properties = json_format.ParseDict(resource.inputs, struct_pb2.Struct())
            found.append(plain(properties) | {"kind": kind})
    return found


def broken(objects: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(each.rule.name, each.subject["metadata"]["name"]) for each in judge(objects)}


def test_a_production_stack_keeps_every_rule(deploy: Deploy, machine: Path) -> None:
    objects = registered(
        deploy,
        environment="production",
        evaluation={"required": False},
        cluster={"provider": "existing", "kubeconfig": str(machine / "node/kubeconfig")},
        images={**PLATFORM, "certManager": CERT_MANAGER, "rolloutJudge": f"registry.example/judge@{DIGEST}"},
        gateway={**GATEWAY, "address": "models.example.com:80"},
        models=[model("keyed", feedback=True, docs=True, **JUDGED), model("internal")],
    )
    assert "keyed-judge" in {each["metadata"]["name"] for each in objects if each["kind"] == "Deployment"}
    assert {"Deployment", "HTTPRoute", "SecurityPolicy", "BackendTrafficPolicy", "EnvoyProxy"} <= {
        each["kind"] for each in objects
    }
    assert [violation.sentence for violation in judge(objects)] == []


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("provider", ["node", "kind"])
def test_a_local_stack_breaks_but_the_rule_that_a_public_model_is_there_to_break(deploy: Deploy, provider: str) -> None:
    objects = registered(
        deploy,
        cluster={"provider": provider},
        images=PLATFORM,
        gateway={**GATEWAY, "tls": {"hosts": ["127.0.0.1"]}},
        models=[model("keyed"), model("internal"), model("public")],
    )
    assert broken(objects) == {("route-authentication", f"public-{route}") for route in ("v1", "split", "unknown")}


@pytest.mark.usefixtures("machine")
def test_what_the_edge_of_a_stack_leaves_out_is_found(deploy: Deploy) -> None:
    objects = registered(
        deploy,
        cluster={"provider": "node"},
        gateway={"auth": AUTH},
        models=[model("keyed"), model("internal"), model("public", limits=LIMITS)],
    )
    assert broken(objects) == {
        (rule, f"{model}-{route}")
        for route in ("v1", "split", "unknown")
        for rule, model in (
            ("route-tls", "keyed"),
            ("route-rate-limit", "keyed"),
            ("route-tls", "public"),
            ("route-authentication", "public"),
        )
    }
