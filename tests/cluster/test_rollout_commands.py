"""An experiment from the config to its end, by the command line: commands, `up` in between, the report, and leaving."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.split import places, shares
from tests.cluster.stack import LONG, PROJECT, Stack

pytestmark = LONG

MODEL = "judged"
DRIVER = """
import sys
from pathlib import Path
from infra import cli, cli_common, cli_rollout, deploy
project = Path(sys.argv.pop(1))
for module in (cli, cli_common, cli_rollout):
    module.job_of = lambda stack: deploy.job(stack or "node", cli_common.console(), project)
cli.main()
"""
"""The command line on the stacks of another folder."""
EXPERIMENT = {"candidate": "v2", "metrics": [{"kind": "errors"}], "warmupSeconds": 0}


class Judged:
    """The stack with a model under an experiment, in a folder of its own."""

    def __init__(self, stack: Stack, project: Path) -> None:
        self.stack, self.project = stack, project
        (project / "stacks").mkdir(parents=True)
        shutil.copy(PROJECT / "Pulumi.yaml", project)

    def write(self, experiment: dict[str, Any] | None, names: Sequence[str] = ("v1", "v2"), **more: Any) -> None:
        """Write the stack file; the first version has everything."""
        image = self.stack.lock()["breast-cancer:v1"]
        versions = [
            {"name": name, "image": image, "weight": 0 if name != "v1" else 100, "replicas": 1} for name in names
        ]
        model = {"name": MODEL, "drainSeconds": 2, "versions": versions, **more}
        document = yaml.safe_load((PROJECT / "stacks/Pulumi.node.yaml").read_text())
        document["config"]["modelway:models"] += [{**model, **({"experiment": experiment} if experiment else {})}]
        (self.project / "stacks/Pulumi.node.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def run(self, *words: str) -> str:
        """One command of `modelway`; everything that it prints."""
        command = [sys.executable, "-c", DRIVER, str(self.project), *words]
        environment = {**os.environ, **self.stack.environment}
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def facts(self) -> dict[str, Any]:
        """What `rollout status` knows."""
        text = self.run("rollout", "status", "node", "--json")
        (found,) = [each for each in json.loads(text[: text.rindex("]") + 1]) if each["model"] == MODEL]
        return dict(found)


@pytest.fixture(scope="module")
def judged(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    """A model with an experiment, up; afterwards the stack is as it was."""
    made = Judged(stack, tmp_path_factory.mktemp("judged") / "project")
    made.write(EXPERIMENT)
    made.run("up", "node")
    yield made
    stack.modelway("up", "node")


def test_commands_move_the_weights_and_up_keeps_what_was_rolled_back(judged: Judged, tmp_path: Path) -> None:
    assert judged.facts()["experiment"]["champion"] == "v1"
    judged.run("rollout", "promote", "node", MODEL, "--reason", "it is better")
    assert shares(judged.stack, MODEL) == {"v2": 100}
    judged.run("rollout", "rollback", "node", MODEL, "--to", "v1", "--reason", "it is <worse>")
    assert shares(judged.stack, MODEL) == {"v1": 100}
    for _ in range(2):
        said = judged.run("up", "node")
        assert f"{MODEL}: v2 was rolled back at" in said
        assert "asked for: it is <worse>; the weights stay v1 100 %" in said
        assert [line for line in said.splitlines() if f" {MODEL}-" in line] == []
    assert judged.facts()["state"]["status"] == "rolled back"
    file = tmp_path / "report.html"
    judged.run("rollout", "report", "node", MODEL, "--out", str(file))
    assert "asked for: it is &lt;worse&gt;" in file.read_text()
    judged.run("rollout", "restart", "node", MODEL)
    assert judged.facts()["state"]["status"] == "running"


def test_a_version_is_removed_after_the_judge_has_drained_it_and_the_weights_stay(judged: Judged) -> None:
    judged.write(EXPERIMENT, ("v1", "v2", "v0"))
    judged.run("up", "node")
    assert len(places(judged.stack, MODEL)) == 3
    judged.run("rollout", "promote", "node", MODEL)
    judged.write(EXPERIMENT)
    judged.run("up", "node")
    assert (len(places(judged.stack, MODEL)), shares(judged.stack, MODEL)) == (2, {"v2": 100})


def test_an_experiment_that_leaves_gives_the_weights_back_and_takes_all_of_its_objects_along(judged: Judged) -> None:
    judged.write(None)
    judged.run("up", "node")
    assert shares(judged.stack, MODEL) == {"v1": 100}
    kinds = "deployments,configmaps,leases,roles,rolebindings,serviceaccounts,networkpolicies"
    selector = f"app.kubernetes.io/name={MODEL},app.kubernetes.io/component=rollout-judge"
    assert judged.stack.kubectl("get", kinds, "-n", "modelway-models", "-l", selector, "-o", "name") == ""
    judged.run("rollout", "rollback", "node", MODEL, "--to", "v2")
    assert shares(judged.stack, MODEL) == {"v2": 100}
    text = (judged.project / "stacks/Pulumi.node.yaml").read_text()
    assert f"rollBackTo: v2\n    name: {MODEL}" in text.replace("  - rollBackTo", "rollBackTo").replace("    ", "    ")
