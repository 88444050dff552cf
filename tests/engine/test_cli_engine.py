"""The engine session on the real engine: what users see, and what killed runs leave behind."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.paths import PROJECT

pytestmark = pytest.mark.engine
TWO: dict[str, Any] = {"first": {"a": "1"}, "second": {"a": "1"}}
WAIT_SECONDS = 60.0


@dataclass
class Trial:
    """A checkout with one stack, a folder that plays the cluster, and a state folder."""

    project: Path
    state: Path
    cluster: Path
    environment: dict[str, str]
    pulumi: Path

    def given(self, **more: Any) -> dict[str, str]:
        driver = {
            "stack": "trial",
            "project": str(self.project),
            "pulumi": str(self.pulumi),
            "path": self.environment["PATH"],
            "objects": TWO,
            **more,
        }
        return {**self.environment, "DRIVER": json.dumps(driver)}

    def start(self, operation: str, **more: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.engine.cli_driver", operation],
            cwd=PROJECT,
            env=self.given(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, operation: str, status: int = 0, **more: Any) -> tuple[str, str]:
        process = self.start(operation, **more)
        out, err = process.communicate(timeout=WAIT_SECONDS)
        assert process.returncode == status, out + err
        return out, err

    def hold(self) -> None:
        (self.cluster / "hold").touch()

    def release(self) -> None:
        (self.cluster / "hold").unlink()

    def objects(self) -> list[str]:
        return sorted(file.name for file in self.cluster.glob("*.json"))

    def held(self) -> "subprocess.Popen[str]":
        """An `up` in the middle of creating both objects."""
        self.hold()
        process = self.start("up")
        wait_until(lambda: len(self.objects()) == 2)
        return process

    def engine_pid(self) -> int:
        return int((self.state / "stacks/trial/engine.pid").read_text())

    def locks(self) -> list[Path]:
        return [file for file in (self.state / "backend/.pulumi/locks").rglob("*.json") if file.is_file()]


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def trial(tmp_path: Path, binaries: dict[str, Path]) -> Iterator[Trial]:
    folders = {name: tmp_path / name for name in ("project", "state", "cluster", "bin", "home")}
    for folder in folders.values():
        folder.mkdir()
    (folders["project"] / "stacks").mkdir()
    (folders["project"] / "Pulumi.yaml").write_text("name: modelway\nruntime: python\nstackConfigDir: stacks\n")
    (folders["project"] / "stacks/Pulumi.trial.yaml").write_text("config:\n  modelway:environment: development\n")
    launcher = folders["bin"] / "pulumi-resource-kubernetes"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} {PROJECT}/tests/engine/cli_plugin.py "$@"\n')
    launcher.chmod(0o755)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "MODELWAY_"))}
    environment = {
        **clean,
        "PATH": f"{folders['bin']}:{os.environ['PATH']}",
        "MODELWAY_STATE_DIR": str(folders["state"]),
        "FAKE_CLUSTER": str(folders["cluster"]),
        "PULUMI_HOME": str(folders["home"]),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    yield Trial(folders["project"], folders["state"], folders["cluster"], environment, binaries["pulumi"])
    (folders["cluster"] / "hold").unlink(missing_ok=True)


def test_up_preview_up_and_destroy_say_what_they_do(trial: Trial) -> None:
    planned, _ = trial.run("preview")
    assert "+ ConfigMap first" in planned
    assert trial.objects() == []
    out, err = trial.run("up")
    assert "3 created, 0 updated, 0 replaced, 0 deleted, 0 unchanged" in out
    assert re.search(r"\+ ConfigMap first: created in \d+\.\d s", err)
    assert f"State: {trial.state}/backend, the embedded backend." in err
    out, _ = trial.run("up")
    assert "0 created, 0 updated, 0 replaced, 0 deleted, 3 unchanged" in out
    planned, _ = trial.run("preview", objects={"first": {"a": "2"}, "third": {"a": "1"}})
    assert sorted(planned.splitlines()[:3]) == ["+ ConfigMap third", "- ConfigMap second", "~ ConfigMap first: data"]
    out, err = trial.run("destroy")
    assert "3 deleted" in out
    assert "- ConfigMap second: deleted" in err
    assert trial.objects() == []


def test_destroy_deletes_nothing_while_something_is_protected(trial: Trial) -> None:
    trial.run("up", protected=["second"])
    before = trial.objects()
    _, err = trial.run("destroy", status=1)
    assert err.splitlines()[-1] == (
        "stack trial: resources are protected from deletion: got second, allowed a stack without any; set "
        "modelway:environment to staging and run `modelway up trial` first, if all may go."
    )
    assert trial.objects() == before != []
    trial.run("up")
    assert "3 deleted" in trial.run("destroy")[0]


def test_every_problem_of_the_config_is_one_sentence_without_a_traceback(trial: Trial) -> None:
    _, err = trial.run("preview", status=1, fails="problems")
    assert err.splitlines()[1:] == [
        "modelway:models[0].image: no digest: got 'x:1', allowed NAME@sha256:DIGEST; write the digest.",
        "modelway:modles: unknown key: got 'modles', allowed models; did you mean `models`.",
    ]


def test_an_error_of_the_program_is_its_sentence_and_the_traceback_is_in_the_log(trial: Trial) -> None:
    _, err = trial.run("preview", status=1, fails="value")
    sentence, place = err.splitlines()[1:]
    assert sentence == "replicas: must be at least 1: got 0, allowed 1 or more; raise it."
    log = Path(re.fullmatch(r"The program's traceback is in (.+)\.", place).group(1))  # type: ignore[union-attr]
    assert "Traceback" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_resource_that_fails_is_named_with_its_reason(trial: Trial) -> None:
    _, err = trial.run("up", status=1, objects={"first": {"a": "1"}, "second": {"refused": "yes"}})
    assert "ConfigMap second: models/second is refused by the cluster" in err
    assert re.search(r"\+ ConfigMap second: failed after", err)
    assert "Traceback" not in err
    out, _ = trial.run("up")
    assert "1 created" in out


def test_up_writes_nothing_into_the_checkout_and_no_secret_anywhere(trial: Trial) -> None:
    before = {file: file.read_bytes() for file in trial.project.rglob("*") if file.is_file()}
    out, err = trial.run("up")
    assert {file: file.read_bytes() for file in trial.project.rglob("*") if file.is_file()} == before
    assert "encryptionsalt" in (trial.state / "stacks/trial/stacks/Pulumi.trial.yaml").read_text()
    assert stat.S_IMODE((trial.state / "passphrase").stat().st_mode) == 0o600
    assert '"urls"' in out
    texts = [out, err, *(file.read_text() for file in trial.state.rglob("*") if file.is_file())]
    assert [text for text in texts if "planted" in text] == []
    assert not (Path(trial.environment["PULUMI_HOME"]) / "logs").exists()


def test_a_passphrase_that_is_wrong_or_lost_is_one_sentence_and_never_replaced(trial: Trial) -> None:
    trial.run("up")
    (trial.state / "passphrase").write_text("another one\n")
    _, err = trial.run("up", status=1)
    assert err.splitlines()[-1] == (
        "stack trial: its secrets were encrypted with another passphrase: got an incorrect passphrase, allowed the one "
        "it was created with; set PULUMI_CONFIG_PASSPHRASE_FILE to the file that holds it."
    )
    (trial.state / "passphrase").unlink()
    _, err = trial.run("up", status=1)
    assert "the passphrase of this machine's stacks is lost" in err
    assert not (trial.state / "passphrase").exists()


def test_a_stack_whose_cluster_is_gone_is_forgotten_and_made_again(trial: Trial) -> None:
    trial.run("up")
    for name in trial.objects():
        (trial.cluster / name).unlink()
    out, _ = trial.run("forget")
    assert out == "forgot 4\n"
    out, _ = trial.run("up")
    assert "3 created" in out


def test_a_held_run_says_what_it_waits_for_refuses_a_second_and_ends_gracefully(trial: Trial) -> None:
    process = trial.held()
    _, err = trial.run("up", status=1)
    assert err == (
        f"stack trial: another run works on it: got process {process.pid}, allowed one run at a time; "
        "wait for it to end, or press Ctrl-C there.\n"
    )
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    trial.release()
    _, err = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 130
    assert re.search(r"\+ ConfigMap first: creating for \d s: 0/1 pods ready", err), err
    assert "Cancelling: the running steps finish first" in err
    assert "Cancelled; nothing is lost: run `modelway up trial` again to go on." in err
    assert trial.locks() == []
    out, _ = trial.run("up")
    assert "3 unchanged" in out


def test_a_run_killed_while_it_wrote_the_state_is_followed_by_one_that_reads_it(trial: Trial) -> None:
    trial.run("up")
    (state,) = (trial.state / "backend/.pulumi/stacks/modelway").glob("trial.json")
    attributes, begun = state.with_name("trial.json.attrs"), state.with_name("trial.json.18b9.tmp")
    attributes.write_text("")
    begun.write_text("{")
    out, err = trial.run("up")
    assert "3 unchanged" in out, out + err
    said = "Removed trial.json.attrs, which a killed run left half written; the state beside it is whole."
    assert said in " ".join(err.split())
    assert not begun.exists()


@pytest.mark.parametrize("victims", ["run and engine", "engine", "run", "none, but two interrupts"])
def test_a_run_after_a_kill_finds_what_was_created(trial: Trial, victims: str) -> None:
    process = trial.held()
    engine = trial.engine_pid()
    if "run" in victims:
        process.kill()
    if "engine" in victims:
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: gone(engine))
    if "interrupts" in victims:
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
    _, err = process.communicate(timeout=WAIT_SECONDS)
    assert ("Stopping at once; the next run repairs what is left." in err) == ("interrupts" in victims)
    trial.release()
    out, err = trial.run("up")
    assert "0 updated, 0 replaced, 0 deleted" in out, out + err
    if victims == "run and engine":
        assert f"Removed the lock that a killed run left on stack trial (process {engine} is gone)." in err
        assert re.search(r"A killed run was creating ConfigMap \w+, ConfigMap \w+: looking for what it left\.", err)
    assert trial.objects() == ["models.first.json", "models.second.json"]
    trial.run("destroy")
    assert trial.objects() == []
