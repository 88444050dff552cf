"""Engine events become steps, lines, counts and sentences."""

import io
from typing import Any

import pytest
from pulumi.automation import CommandError, CommandResult
from pulumi.automation.events import EngineEvent
from rich.console import Console

from infra.engine.display import LiveDisplay, PlainDisplay, preview_lines, summary
from infra.engine.events import Recorder, plain, title
from infra.engine.failures import EngineError, failure
from tools.problem import ProblemError

URN = "urn:pulumi:node::modelway::modelway:index:ModelServer$kubernetes:apps/v1:Deployment::breast-cancer-v1"
STACK = "urn:pulumi:node::modelway::pulumi:pulumi:Stack::modelway-node"


def step(op: str, urn: str = URN, custom: bool = True, **more: Any) -> dict[str, Any]:
    kind = urn.split("::")[2].rpartition("$")[2]
    return {
        "metadata": {"op": op, "urn": urn, "type": kind, "new": {"type": kind, "urn": urn, "custom": custom}, **more}
    }


class Lines:
    def __init__(self) -> None:
        self.output = io.StringIO()
        self.display = PlainDisplay(Console(file=self.output, soft_wrap=True, highlight=False))
        self.recorder = Recorder(self.display)

    def take(self, **event: Any) -> None:
        self.recorder(EngineEvent.from_json({"sequence": 1, "timestamp": 1, **event}))

    def age(self, seconds: float) -> None:
        """Let every line that was said about a running step be older."""
        said = self.display._said
        said.update({urn: (at - seconds, note) for urn, (at, note) in said.items()})

    def text(self) -> list[str]:
        return [line.partition("] ")[2] for line in self.output.getvalue().splitlines()]


def test_titles_are_the_short_type_and_the_logical_name() -> None:
    assert title(URN) == "Deployment breast-cancer-v1"
    assert title("urn:pulumi:node::modelway::pulumi:providers:kubernetes::cluster") == "provider kubernetes cluster"
    assert title("urn:pulumi:n::m::modelway:index:Gateway$kubernetes:helm.sh/v3:Release::a::b") == "Release a::b"


def test_a_finished_step_is_one_line_with_its_duration() -> None:
    lines = Lines()
    lines.take(resourcePreEvent=step("create"))
    lines.take(resOutputsEvent=step("create"))
    assert lines.text() == ["+ Deployment breast-cancer-v1: created in 0.0 s"]


def test_a_failed_step_says_so() -> None:
    lines = Lines()
    lines.take(resourcePreEvent=step("update"))
    lines.take(resOpFailedEvent=step("update"))
    assert lines.text() == ["~ Deployment breast-cancer-v1: failed after 0.0 s"]


def test_a_long_step_says_what_it_waits_for_and_repeats_itself() -> None:
    lines = Lines()
    lines.take(resourcePreEvent=step("create"))
    lines.display.tick()
    assert lines.text() == []
    lines.recorder.running[URN].started -= 10
    lines.take(
        diagnosticEvent={
            "urn": URN,
            "message": "0/2 pods ready\n",
            "color": "never",
            "severity": "info",
            "ephemeral": True,
        }
    )
    lines.display.tick()
    lines.display.tick()
    assert lines.text() == ["+ Deployment breast-cancer-v1: creating for 10 s: 0/2 pods ready"]
    lines.recorder.running[URN].note = "1/2 pods ready"
    lines.age(3.0)
    lines.display.tick()
    lines.age(16.0)
    lines.display.tick()
    assert lines.text()[1:] == ["+ Deployment breast-cancer-v1: creating for 10 s: 1/2 pods ready"] * 2


def test_a_terminal_shows_the_running_steps_and_how_many_more() -> None:
    output = io.StringIO()
    display = LiveDisplay(Console(file=output, width=100))
    recorder = Recorder(display)
    for number in range(14):
        event = {"sequence": 1, "timestamp": 1, "resourcePreEvent": step("create", f"{URN}{number}")}
        recorder(EngineEvent.from_json(event))
    Console(file=output, width=100).print(display)
    shown = output.getvalue().splitlines()
    assert shown[0].strip() == "+ Deployment breast-cancer-v10: creating for 0 s"
    assert shown[-1].strip() == "… and 2 more"
    assert len(shown) == 13


def test_unchanged_resources_components_and_plans_print_nothing() -> None:
    lines = Lines()
    lines.take(resourcePreEvent=step("same"))
    lines.take(resourcePreEvent=step("create", custom=False))
    lines.take(resourcePreEvent={**step("create"), "planning": True})
    lines.take(diagnosticEvent={"message": "beginning rpc", "color": "never", "severity": "debug"})
    lines.take(
        diagnosticEvent={"message": "using pulumi-resource-x from $PATH at /b", "color": "never", "severity": "warning"}
    )
    assert lines.text() == []


def test_a_warning_is_a_line_without_colour_marks() -> None:
    lines = Lines()
    message = "<{%fg 11%}>deprecated<{%reset%}>\n"
    lines.take(diagnosticEvent={"urn": URN, "message": message, "color": "raw", "severity": "warning"})
    assert lines.text() == ["Deployment breast-cancer-v1: deprecated"]
    assert plain("<{%fg 1%}>a<{%reset%}>") == "a"


def test_the_summary_counts_every_kind() -> None:
    lines = Lines()
    lines.take(
        summaryEvent={"resourceChanges": {"create": 3, "update": 1, "replace": 2, "same": 40}, "durationSeconds": 9}
    )
    assert summary(lines.recorder.counts, 9.04) == (
        "3 created, 1 updated, 2 replaced, 0 deleted, 40 unchanged in 9.0 s"
    )
    assert summary({"delete": 1}, 1, planned=True) == (
        "0 to create, 0 to update, 0 to replace, 1 to delete, 0 unchanged in 1.0 s"
    )


def test_a_preview_names_each_change_once_with_what_differs() -> None:
    lines = Lines()
    lines.take(
        resourcePreEvent={**step("update", detailedDiff={"spec.replicas": {"diffKind": "update"}}), "planning": True}
    )
    lines.take(resourcePreEvent={**step("create-replacement", f"{URN}x"), "planning": True})
    lines.take(resourcePreEvent={**step("replace", f"{URN}x", keys=["metadata.name"]), "planning": True})
    lines.take(resourcePreEvent={**step("delete-replaced", f"{URN}x"), "planning": True})
    assert preview_lines(lines.recorder.changes) == [
        "~ Deployment breast-cancer-v1: spec.replicas",
        "± Deployment breast-cancer-v1x: metadata.name",
    ]


def error(stdout: str = "", stderr: str = "") -> CommandError:
    return CommandError(CommandResult(stdout, stderr, 1))


def causes(found: Exception) -> list[str]:
    assert isinstance(found, EngineError)
    return list(found.causes)


def test_the_programs_sentence_appears_once_without_prefix_or_traceback() -> None:
    message = "python inline source runtime error: a: b: got c, allowed d; e.\nTraceback (most recent call last):\n  x"
    found = failure(
        error(), [(STACK, message), (STACK, f"an unhandled error occurred: {message}")], "node", "modelway up node"
    )
    assert causes(found) == ["a: b: got c, allowed d; e."]
    assert isinstance(found, EngineError)
    assert found.traceback_text.count("Traceback") == 2


def test_a_resources_error_is_named_and_the_engines_echo_dropped() -> None:
    found = failure(error(), [(URN, "0 of 2 pods became ready"), (STACK, "update failed")], "node", "modelway up node")
    assert causes(found) == ["Deployment breast-cancer-v1: 0 of 2 pods became ready"]


def test_without_events_the_clis_own_complaint_is_the_cause() -> None:
    assert causes(failure(error(stderr="error: no such thing"), [], "node", "c")) == ["no such thing"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("error: incorrect passphrase", "its secrets were encrypted with another passphrase"),
        ("error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE", "no passphrase for its secrets"),
        ("write /x: no space left on device", "free some and run `modelway up node` again: nothing is lost"),
    ],
)
def test_known_causes_are_problems_with_their_fix(text: str, sentence: str) -> None:
    found = failure(error(stderr=text), [], "node", "modelway up node")
    assert isinstance(found, ProblemError)
    assert sentence in str(found)
    assert len(found.problems) == 1
