"""The commands `modelway rollout …` against a cluster whose judge obeys by its own code."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rollout_judge import course
from rollout_judge.plan import Plan
from typer.testing import CliRunner, Result

from infra import cli, cli_common, cli_rollout, deploy, machine, rollout_state, stack_file
from infra.config_schema import Settings
from infra.deploy import Job
from infra.engine.session import Outcome
from infra.rollout_state import COMMAND
from tests.unit.rollout_samples import NOW, PLAN, items
from tests.unit.test_settings import DIGEST

VERSIONS = ["v0", "v1", "v2"]


def job(**model: Any) -> Job:
    """A stack with one model."""
    weights = {"v0": 0, "v1": 100, "v2": 0}
    versions = [{"name": name, "image": DIGEST, "weight": weight} for name, weight in weights.items()]
    settings = Settings.model_validate(
        {
            "cluster": {"provider": "node"},
            "models": [
                {"name": "iris", "versions": [*versions, {"name": "v3", "image": DIGEST, "shadow": True}], **model}
            ],
        }
    )
    files = SimpleNamespace(name="shop", stack_file=Path("/project/stacks/Pulumi.shop.yaml"))
    return Job(files, settings, Console(quiet=True))  # type: ignore[arg-type]


class Cluster:
    """ConfigMaps and the split route; whenever they are read, the judge has looked."""

    def __init__(self) -> None:
        self.plan = Plan.model_validate(PLAN)
        self.state = course.opened(self.plan, VERSIONS, None, NOW)
        self.state.exposed = True
        self.sent: list[dict[str, Any]] = []
        self.waits = ""
        self.experiment = self.runs = True

    def ask(self, _kubectl: Any, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """As kubectl answers."""
        if words[0] == "patch":
            assert words[1:3] == ("configmap", "iris-experiment-state")
            self.waits = json.loads(stdin)["metadata"]["annotations"][COMMAND]
            self.sent.append(json.loads(self.waits))
            return subprocess.CompletedProcess(words, 0, "", "")
        if self.waits and self.runs:
            command = course.Command(**json.loads(self.waits))
            self.state, self.waits = course.obey(self.state, self.plan, command, NOW), ""
        known = json.loads(self.state.model_dump_json())
        found = items(known, self.state.weights, self.waits)
        return subprocess.CompletedProcess(words, 0, json.dumps({"items": found if self.experiment else found[2:]}), "")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A deployed stack with an experiment."""
    made = Cluster()
    monkeypatch.setattr(machine, "cluster_gone", lambda _: None)
    monkeypatch.setattr(machine, "asleep", lambda _: False)
    monkeypatch.setattr(machine, "kubectl", lambda _: ["kubectl"])
    monkeypatch.setattr(rollout_state, "_ask", made.ask)
    monkeypatch.setattr(rollout_state, "ANSWER_SECONDS", 0.0)
    for module in (cli_common, cli_rollout):
        monkeypatch.setattr(module, "job_of", lambda _: job())
    return made


def run(*words: str) -> Result:
    """One command."""
    return CliRunner().invoke(cli.app, ["rollout", *words])


def refusal(*words: str) -> str:
    """What a command is refused with."""
    return str(run(*words).exception)


@pytest.mark.parametrize(
    ("words", "weights", "status"),
    [
        (["promote"], {"v0": 0, "v1": 0, "v2": 100}, "promoted"),
        (["rollback"], {"v0": 0, "v1": 100, "v2": 0}, "rolled back"),
        (["rollback", "--to", "v0"], {"v0": 100, "v1": 0, "v2": 0}, "rolled back"),
        (["advance"], {"v0": 0, "v1": 90, "v2": 10}, "running"),
        (["pause"], {"v0": 0, "v1": 100, "v2": 0}, "paused"),
    ],
)
def test_a_command_is_done_when_it_returns(
    cluster: Cluster, words: list[str], weights: Mapping[str, int], status: str
) -> None:
    done = run(words[0], "iris", *words[1:], "--reason", "we know better")
    assert done.exit_code == 0, done.output
    assert (cluster.state.weights, cluster.state.status) == (weights, status)
    assert cluster.state.history[-1].reason.endswith("we know better")
    assert f"iris: {status}" in done.stderr


def test_pause_resume_and_restart_follow_each_other(cluster: Cluster) -> None:
    assert [run(word, "iris").exit_code for word in ("pause", "resume", "rollback", "restart")] == [0] * 4
    assert [sent["command"] for sent in cluster.sent] == ["pause", "resume", "rollback", "restart"]
    assert len({sent["id"] for sent in cluster.sent}) == 4
    assert cluster.state.status == "running"


@pytest.mark.usefixtures("cluster")
def test_what_the_judge_refuses_is_one_sentence() -> None:
    assert refusal("resume", "iris") == (
        "iris-experiment: the judge refused it: got resume was refused: the experiment is running, allowed what fits "
        "resume; see `modelway rollout status`."
    )


def test_a_judge_that_does_not_answer_is_said_and_keeps_the_command(cluster: Cluster) -> None:
    cluster.runs = False
    assert refusal("pause", "iris") == (
        "iris-judge: the judge does not answer: got no answer in 0 s, allowed a running judge; see `kubectl logs "
        "deployment/iris-judge -n modelway-models`; it obeys once it runs."
    )
    assert json.loads(cluster.waits)["command"] == "pause"


@pytest.mark.usefixtures("cluster")
def test_models_and_versions_that_are_none_are_refused_before_anything_is_asked() -> None:
    assert refusal("pause", "wine").startswith("MODEL: no such model: got 'wine', allowed iris")
    for version in ("v9", "v3"):
        assert refusal("rollback", "iris", "--to", version) == (
            f"--to: names no version of the split: got '{version}', allowed v0, v1, v2; name one."
        )


def test_without_an_experiment_a_rollback_is_a_line_in_the_stack_file(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.experiment = False
    written: list[Any] = []
    outcome = Outcome({"update": 1}, 1.0, (), {})
    monkeypatch.setattr(stack_file, "roll_back", lambda *words: written.append(words) or 7)
    monkeypatch.setattr(deploy, "job", lambda *_: "the stack anew")
    monkeypatch.setattr(deploy, "up", lambda work: written.append(work) or deploy.Served(outcome, {}, ""))
    done = run("rollback", "iris", "--to", "v0")
    assert done.exit_code == 0, done.output
    assert written == [(Path("/project/stacks/Pulumi.shop.yaml"), "shop", "iris", "v0"), "the stack anew"]
    assert "Pulumi.shop.yaml line 7 says rollBackTo: v0. Commit it" in done.stderr
    assert refusal("rollback", "iris").startswith("--to: iris has no experiment, so no champion: got nothing")
    for command in ("promote", "pause", "report"):
        assert refusal(command, "iris") == (
            "modelway:models iris.experiment: there is none in the cluster: got nothing, allowed an experiment; add one "
            "to the stack file and run `modelway up shop`."
        )


@pytest.mark.usefixtures("cluster")
def test_the_report_is_one_file_and_its_name_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    done = run("report", "iris", "--out", str(file))
    assert done.stdout.strip() == str(file)
    assert "v2 against v1" in file.read_text()


@pytest.mark.usefixtures("cluster")
def test_status_is_a_table_or_json() -> None:
    assert "v2 against v1, mode automatic, running" in run("status").stdout
    (facts,) = json.loads(run("status", "--json").stdout)
    assert facts["weights"] == {"v0": 0, "v1": 100, "v2": 0}
    assert run("status", "--json", "--watch").exit_code == 2


@pytest.mark.usefixtures("cluster")
def test_up_tells_what_ended_and_only_for_models_with_an_experiment() -> None:
    run("rollback", "iris")
    judged = job(experiment={"candidate": "v2", "metrics": [{"kind": "errors"}]})
    (sentence,) = deploy._ended(judged)
    assert sentence.startswith(
        "iris: v2 was rolled back at 2023-11-14 22:23:20 UTC: asked for; the weights stay v0 0 %"
    )
    assert deploy._ended(job()) == []
