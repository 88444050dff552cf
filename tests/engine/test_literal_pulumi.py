"""The literal `pulumi` on a checkout: the same resources as `modelway`, and config that is refused before all else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation.events import EngineEvent
from rich.console import Console

from infra import program
from infra.engine.session import opened
from infra.engine.toolset import Toolset
from infra.engine.workspace import stack_files
from tests.engine.apiserver import Api
from tests.engine.checkout import Checkout, checkout

pytestmark = pytest.mark.engine
OWN = "urn:pulumi:node::modelway::modelway:index:"
CRD = "referencegrants.gateway.networking.k8s.io"
SOME = (
    "ExistingCluster::cluster",
    "ExistingCluster$pulumi:providers:kubernetes::cluster-kubernetes",
    "Gateway::gateway",
    f"Gateway$kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition::gateway-{CRD}",
)
"""Resources that get ready without a node."""
SECRET = "4dabf18193072939515e22adb298388d"
"""Marks a secret on the wire of the engine."""
TRACES = "  modelway:traces: {url: 'http://192.0.2.11:4318', samplePercent: 2.5}\n"
"""What a stack file may say besides."""
PROBLEMS = [
    "modelway:environment: unknown value: got 'prod', allowed development, staging, production; remove or correct it.",
    "modelway:cluster.provider: unknown value: got 'nodes', allowed node, kind, existing, eks, gke; write 'node'.",
    "modelway:cluster.zone: unknown key: got 'zone', allowed provider, kubeconfig, context, identifier, eks, "
    "gke, region, project; "
    "remove or correct it.",
    "modelway:models[0].name: no DNS label: got 'Iris', allowed lower-case letters, digits and '-', a letter first, "
    "no '-' last, at most 63 characters; rename it.",
    "modelway:models[0].versions[1].weight: wrong type: got '1' (str), allowed a whole number; correct it.",
    "modelway:models[1].replicas: unknown key: got 'replicas', allowed name, versions, sticky, aliases, ingress, host, "
    "pathPrefix, experiment, rollBackTo, drainSeconds, feedback, feedbackOutcomes, docs, slo, quality, access, limits; "
    "remove or correct it.",
    "modelway:gatway: unknown key: got 'gatway', allowed environment, cluster, gateway, monitoring, logs, traces, "
    "registry, evaluation, modelRegistry, autoscaling, images, cost, policies, models; write 'gateway'.",
    "modelway:models wine.versions: version name used twice: got 'v1', allowed each name once; "
    "rename or remove one version.",
    "modelway:models wine.versions weight: weights do not sum to 100: got 40 + 50 = 90, allowed whole numbers with the "
    "sum 100; change the weights.",
]


@pytest.fixture
def work(tmp_path: Path, environment: dict[str, str], api: Api) -> Checkout:
    """A checkout, beside a node whose API server runs."""
    return checkout(tmp_path, environment, api.kubeconfig())


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch, work: Checkout) -> None:
    """This process with the checkout's state folder, and no backend of Pulumi's own variables."""
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("MODELWAY_STATE_DIR", "MODELWAY_CACHE_DIR", "MODELWAY_IMAGES_LOCK"):
        monkeypatch.setenv(name, work.environment[name])


def by_modelway(work: Checkout, stack: str, engine: Path) -> dict[str, Any]:
    """Inputs by URN as `modelway preview` registers them."""
    own = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE")
    tools = Toolset(engine, "3.259.0", {key: value for key, value in work.environment.items() if key not in own})
    events: list[EngineEvent] = []
    with opened(stack_files(stack, work.folder), program.main, tools, Console(quiet=True)) as session:
        session._stack.preview(on_event=events.append)
    states = [event.resource_pre_event.metadata.new for event in events if event.resource_pre_event]
    # `pulumi preview --json` leaves out the providers that the engine makes by itself.
    return {state.urn: hidden(state.inputs or {}) for state in states if state and "::default_" not in state.urn}


def hidden(value: Any) -> Any:
    """Inputs of an event with secrets as `pulumi preview --json` writes them."""
    if isinstance(value, dict):
        return "[secret]" if SECRET in value else {key: hidden(inner) for key, inner in value.items()}
    return [hidden(inner) for inner in value] if isinstance(value, list) else value


def by_pulumi(work: Checkout, stack: str) -> dict[str, Any]:
    """Inputs by URN as the literal `pulumi preview` registers them."""
    work.pulumi("stack", "init", stack)
    planned = json.loads(work.pulumi("preview", "-s", stack, "--json"))
    assert [each for each in planned["diagnostics"] if each["severity"] == "error"] == []
    assert {step["op"] for step in planned["steps"]} == {"create"}
    return {step["urn"]: step["newState"].get("inputs") or {} for step in planned["steps"]}


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(("stack", "more"), [("node", TRACES), ("local", "")], ids=["node", "local"])
def test_pulumi_registers_the_urns_and_inputs_of_modelway(
    work: Checkout, stack: str, more: str, binaries: Mapping[str, Path]
) -> None:
    with (work.folder / f"stacks/Pulumi.{stack}.yaml").open("a") as file:
        file.write(more)
    tracked = {file: file.read_bytes() for file in work.folder.glob("**/*.yaml")}
    own = by_modelway(work, stack, binaries["pulumi"])
    assert {file: file.read_bytes() for file in tracked} == tracked
    literal = by_pulumi(work, stack)
    assert sorted(literal) == sorted(own)
    assert {urn: inputs for urn, inputs in literal.items() if inputs != own[urn]} == {}
    names = {urn.rpartition("::")[2] for urn in literal}
    assert {"breast-cancer-v1-deployment", "breast-cancer-split-route", "monitoring-config-map"} <= names


def test_up_and_destroy_work_on_the_stack_that_preview_shows(work: Checkout, api: Api) -> None:
    targets = [f"--target={OWN}{name}" for name in SOME]
    work.pulumi("stack", "init", "node")
    said = work.pulumi("up", "-s", "node", "--yes", "--skip-preview", *targets)
    assert "Traceback" not in said
    assert {resource["urn"] for resource in work.resources("node")[1:]} == {OWN + name for name in SOME}
    assert api.value("crd", CRD, ".metadata.name") == CRD
    planned = json.loads(work.pulumi("preview", "-s", "node", "--json"))
    assert (planned["changeSummary"]["same"], {*planned["changeSummary"]}) == (len(SOME) + 1, {"create", "same"})
    work.pulumi("destroy", "-s", "node", "--yes", "--skip-preview")
    assert work.resources("node") == []
    assert api.value("crd", CRD, ".metadata.name") == ""


def test_all_problems_of_the_config_are_told_together_and_nothing_is_created(work: Checkout) -> None:
    first = {"name": "v1", "image": "x:1"}
    wrong = [first | {"weight": 99}, first | {"name": "v2", "weight": "1"}]
    uneven = [first | {"weight": 40}, first | {"weight": 50}]
    models = [{"name": "Iris", "versions": wrong}, {"name": "wine", "versions": uneven, "replicas": 2}]
    work.config("bad", environment="prod", cluster={"provider": "nodes", "zone": "a"}, models=models, gatway={})
    work.pulumi("stack", "init", "bad")
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        said = work.refused(*command, "-s", "bad")
        assert "Traceback" not in said
        found = said.partition("    error: ")[2].partition("\n\n")[0]
        assert [line.strip() for line in found.splitlines()] == PROBLEMS
        assert {resource["type"] for resource in work.resources("bad")} <= {"pulumi:pulumi:Stack"}


def test_a_key_of_the_wrong_type_is_named_by_the_engine(work: Checkout) -> None:
    work.pulumi("stack", "init", "bad")
    for key, wrong, allowed in (
        ("cluster", "node", "object"),
        ("models", {"name": "iris"}, "array<object>"),
        ("models", ["iris"], "array<object>"),
        ("environment", ["production"], "string"),
    ):
        work.config("bad", **{"cluster": {"provider": "node"}, "models": [], key: wrong})
        said = work.refused("preview", "-s", "bad")
        assert f"Stack 'bad' with configuration key '{key}' must be of type '{allowed}'" in said
        assert "Traceback" not in said
    assert work.resources("bad") == []


def test_a_node_that_was_never_started_is_told_with_the_command_that_starts_it(work: Checkout) -> None:
    (Path(work.environment["MODELWAY_STATE_DIR"]) / "node/kubeconfig").unlink()
    work.pulumi("stack", "init", "node")
    said = work.refused("preview", "-s", "node")
    assert (
        "error: modelway:cluster.provider: the one-node Kubernetes was never started: got no kubeconfig, "
        "allowed a running node; run `modelway up node`, which starts it." in said
    )
    assert "Traceback" not in said
