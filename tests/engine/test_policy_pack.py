"""The policy pack in the real engine: official command line and protocol; language host and Kubernetes plugin are the
stand-ins. Objects are those of the rules' fixtures, rendered to files, so that no cluster is needed.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest
from modelway._common import register
from modelway_policies import RULES, judge
from rich.console import Console

from infra.engine.failures import EngineError
from infra.engine.session import Engine, opened
from infra.engine.toolset import Toolset
from infra.engine.workspace import stack_files
from infra.policies import PACK, Policies
from tests.engine.apiserver import Api
from tests.engine.checkout import DIGEST, checkout
from tests.unit.policy_fixtures import Object, document, fixtures

pytestmark = pytest.mark.engine
PROGRAM = """
import json
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s
from modelway._common import register

folder = Path(__file__).resolve().parent
provider = k8s.Provider("files", render_yaml_to_directory=str(folder / "rendered"))
for number, data in enumerate(json.loads((folder / "objects.json").read_text())):
    register(f"{number:03d}", data, pulumi.ResourceOptions(provider=provider))
"""
Said = Counter[tuple[str, str, str]]
"""Policy, level and sentence."""


def broken(rule: str) -> list[Object]:
    """What the first fixture changes that breaks a rule without settings, under names of its own."""
    objects = next(each.objects() for each in fixtures() if each.rule == rule and each.fails and not each.options)
    if next(each for each in RULES if each.name == rule).on_object:
        objects = [each for each in objects if each not in document()["base"]]
    text = json.dumps(objects)
    for name in ("models", "gateways", "elsewhere", "outside"):
        text = text.replace(f'"{name}"', f'"{name}-{rule}"')
    result: list[Object] = json.loads(text)
    return result


def expected(objects: Sequence[Object], level: str) -> Said:
    return Counter((each.rule.name, level, each.sentence) for each in judge(objects))


class Project:
    """A Pulumi project on disk whose program registers the objects in a file."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.rendered = folder / "rendered"
        self.environment = {
            **{name: value for name, value in environment.items() if name != "KUBECONFIG"},
            "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
            "PULUMI_DEBUG_COMMANDS": "true",  # shows the option --event-log
        }
        for name in ("backend", "stacks"):
            (folder / name).mkdir()
        (folder / "venv").symlink_to(sys.prefix)
        runtime = "{name: python, options: {virtualenv: venv}}"
        (folder / "Pulumi.yaml").write_text(f"{{name: modelway, runtime: {runtime}, stackConfigDir: stacks}}")
        (folder / "__main__.py").write_text(PROGRAM)
        self.config()
        self.run("stack", "init", "dev")

    def objects(self, objects: Sequence[Object]) -> None:
        (self.folder / "objects.json").write_text(json.dumps(objects))

    def config(self, **config: Any) -> None:
        values = {f"modelway:{key}": value for key, value in config.items()}
        (self.folder / "stacks/Pulumi.dev.yaml").write_text(json.dumps({"config": values}))

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["pulumi", *arguments, "--non-interactive"]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def judged(self, verb: str, *arguments: str) -> tuple[int, Said, str]:
        """Exit status, what policies said, and all that was printed."""
        log = self.folder / "events.json"
        log.unlink(missing_ok=True)
        done = self.run(verb, "-s", "dev", f"--policy-pack={PACK}", f"--event-log={log}", *arguments)
        lines = log.read_text().splitlines() if log.exists() else []
        events = [event for line in lines if (event := json.loads(line).get("policyEvent"))]
        said = Counter((each["policyName"], each["enforcementLevel"], each["message"].strip()) for each in events)
        return done.returncode, said, done.stdout + done.stderr

    def program(self) -> None:
        """What `PROGRAM` does, for a run in this process."""
        provider = k8s.Provider("files", render_yaml_to_directory=str(self.rendered))
        for number, data in enumerate(json.loads((self.folder / "objects.json").read_text())):
            register(f"{number:03d}", data, pulumi.ResourceOptions(provider=provider))


@pytest.fixture
def project(tmp_path: Path, environment: dict[str, str]) -> Project:
    return Project(tmp_path, environment)


def test_pulumi_preview_reports_each_violation_once_with_its_rule(project: Project) -> None:
    objects = [each for rule in RULES for each in broken(rule.name)]
    project.objects(objects)
    status, said, output = project.judged("preview")
    assert said == expected(objects, "advisory"), output
    assert {name for name, _, _ in said} == {rule.name for rule in RULES}
    assert status == 0
    assert "Traceback" not in output


def test_a_stack_in_production_is_stopped_by_pulumi_before_anything_is_created(project: Project) -> None:
    objects = broken("route-authentication")
    project.objects(objects)
    project.config(environment="production")
    status, said, output = project.judged("up", "--yes")
    assert (status != 0, said) == (True, expected(objects, "mandatory")), output
    assert not project.rendered.exists()
    project.objects(document()["base"])
    status, said, output = project.judged("up", "--yes")
    assert (status, said) == (0, Counter()), output
    assert len(list(project.rendered.rglob("*.yaml"))) == len(document()["base"])


def test_the_stack_and_the_configuration_of_the_pack_set_levels_and_settings(project: Project, tmp_path: Path) -> None:
    objects = [*broken("gpu-ceiling"), *broken("probes"), *broken("seccomp")]
    project.objects(objects)
    project.config(
        policies={
            "gpu-ceiling": {"maxGpus": 100},
            "probes": {"exempt": [{"namespace": "models-probes", "reason": "It has none."}]},
            "seccomp": "mandatory",
        }
    )
    status, said, output = project.judged("preview")
    levels = {(name, level) for name, level, _ in said}
    assert {("seccomp", "mandatory"), ("network-policy", "advisory")} <= levels, output
    assert {"gpu-ceiling", "probes"} & {name for name, _ in levels} == set()
    assert status != 0
    settings = tmp_path / "pack.json"
    settings.write_text(json.dumps({"all": "disabled", "gpu-ceiling": {"enforcementLevel": "advisory", "maxGpus": 1}}))
    status, said, output = project.judged("preview", f"--policy-pack-config={settings}")
    assert (status, {(name, level) for name, level, _ in said}) == (0, {("gpu-ceiling", "advisory")}), output


@pytest.mark.parametrize(
    ("stack", "pack", "sentence"),
    [
        (
            {"probe": "advisory"},
            {},
            "modelway:policies.probe: no such rule: got 'probe', allowed image-digest,",
        ),
        ({}, {"probe": "advisory"}, "policy pack modelway: no such rule: got probe, allowed image-digest,"),
        ({}, {"gpu-ceiling": {"maxGpus": "many"}}, "gpu-ceiling: maxGpus: Invalid type. Expected: integer"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    project: Project, tmp_path: Path, stack: Any, pack: Any, sentence: str
) -> None:
    project.objects([])
    project.config(policies=stack)
    (tmp_path / "pack.json").write_text(json.dumps(pack))
    status, said, output = project.judged("preview", f"--policy-pack-config={tmp_path / 'pack.json'}")
    assert (status != 0, said) == (True, Counter()), output
    assert sentence in output


class Session:
    """The engine of `modelway` on the project."""

    def __init__(self, project: Project, engine: Path) -> None:
        own = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE")
        kept = {key: value for key, value in project.environment.items() if key not in own}
        self.tools = Toolset(engine, "3.259.0", kept)
        self.project = project

    def run(self, verb: str, stop: bool) -> tuple[list[str], str]:
        """Causes of a failure, and what was said meanwhile."""
        console = Console(record=True, quiet=False, soft_wrap=True, file=(self.project.folder / "said").open("w"))
        files = stack_files("dev", self.project.folder)
        causes: list[str] = []
        with opened(files, self.project.program, self.tools, console, Policies(PACK, stop)) as session:
            try:
                getattr(Engine, verb)(session)
            except EngineError as error:
                causes += error.causes
        console.file.close()
        return causes, (self.project.folder / "said").read_text()


@pytest.fixture
def session(project: Project, binaries: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> Session:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(project.folder / "state"))
    project.config()  # without what `stack init` wrote for another backend
    return Session(project, binaries["pulumi"])


def test_modelway_stops_before_anything_is_created_and_says_each_violation_in_a_sentence(session: Session) -> None:
    objects = [*broken("route-authentication"), *broken("seccomp")]
    session.project.objects(objects)
    session.project.config(environment="staging")
    causes, _ = session.run("up", stop=True)
    assert sorted(causes) == sorted(f"policy {each.rule.name}: {each.sentence}" for each in judge(objects))
    assert not session.project.rendered.exists()
    assert sorted(session.run("preview", stop=True)[0]) == sorted(causes)


def test_modelway_goes_on_in_development_and_says_what_production_would_refuse(session: Session) -> None:
    objects = [*broken("route-authentication"), *broken("probes"), *broken("seccomp")]
    session.project.objects(objects)
    causes, said = session.run("up", stop=False)
    assert causes == []
    assert len(list(session.project.rendered.rglob("*.yaml"))) == len(objects)
    found: dict[str, list[str]] = {}
    for each in judge(objects):
        found.setdefault(each.rule.name, []).append(each.sentence)
    lines = [line for line in said.splitlines() if line.startswith("policy ")]
    others = {name: f" ({len(each) - 1} more of this rule)" if len(each) > 1 else "" for name, each in found.items()}
    assert lines == [f"policy {name}: {min(found[name])}{others[name]}" for name in sorted(found)]


def test_our_own_stack_keeps_every_rule_and_a_public_model_is_refused_where_rules_are_mandatory(
    tmp_path: Path, environment: dict[str, str], api: Api
) -> None:
    work = checkout(tmp_path, environment, api.kubeconfig())
    versions = [{"name": "v1", "image": f"registry.example/iris@{DIGEST}", "replicas": 2}]
    models = [{"name": access, "access": access, "versions": versions} for access in ("keyed", "internal", "public")]
    edge = {
        "environment": "staging",
        "cluster": {"provider": "node"},
        "gateway": {
            "tls": {"hosts": ["127.0.0.1"]},
            "auth": {"method": "api-key"},
            "limits": {"requestsPerSecond": 100},
        },
    }
    work.config("edge", **edge, models=models[:2])
    work.pulumi("stack", "init", "edge")
    shown = work.pulumi("preview", "-s", "edge", "--policy-pack", "policies")
    assert "✅ modelway@v" in shown
    assert "[mandatory]" not in shown
    work.config("edge", **edge, models=models)
    shown = work.refused("preview", "-s", "edge", "--policy-pack", "policies")
    assert sorted(line.split(": got ")[0].strip() for line in shown.splitlines() if ": got " in line) == [
        "HTTPRoute modelway-models/public-split: answers anyone",
        "HTTPRoute modelway-models/public-unknown: answers anyone",
        "HTTPRoute modelway-models/public-v1: answers anyone",
    ]
