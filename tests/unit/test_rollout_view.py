"""What people see of an experiment: the table, the sentences, the report, and how they are read."""

import io
import itertools
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from infra.rollout_plot import Axis, Band, plot
from infra.rollout_report import report
from infra.rollout_state import rollouts
from infra.rollout_view import as_json, duration_text, ended_sentences, evidence_text, shown
from tests.unit.rollout_samples import HOSTILE, NOW, items, rolled_back, rollout, state
from tools.problem import ProblemError

VOID = {"meta", "line", "polyline", "polygon"}


def text(*found: Any) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(shown(list(found), NOW))
    return console.export_text()


def test_the_table_has_weights_samples_effect_evidence_and_verdict() -> None:
    lines = [re.sub(r" {2,}", " | ", line.strip()) for line in text(rollout(state())).splitlines()]
    assert lines[:6] == [
        "iris: v2 against v1, mode automatic, running for 10 min 00 s, step 2; v1 90 %, v2 10 %",
        "metric | v1 (champion) | v2 (candidate) | difference | evidence | enough",
        "errors | 2 of 1080 (0.19 %) | 3 of 120 (2.50 %) | -0.40 to +6.10 points | 7.25 | 300",
        "latency (guardrail) | 0 of 0 | 0 of 0 | unknown | 1 | 300",
        "sample ratio | 1080 | 120 | 0.2 | 300",
        "Verdict: hold: errors has 120 trials of 500 in this step.",
    ]


def test_what_the_judge_has_not_seen_yet_is_said() -> None:
    waiting = "iris: v2 against v1, mode automatic: waiting for the judge's first look; v1 90 %, v2 10 %"
    assert text(rollout(None)).strip() == waiting
    assert text(rollout(state(experiment="another"))).strip() == waiting
    assert "A command waits for the judge." in text(rollout(state(), command="{}"))
    bare = rollouts(items(None, {"v1": 100})[2:], ["iris", "wine"])
    assert text(*bare.values()).splitlines() == [
        "iris: no experiment; v1 100 %",
        "wine: no experiment; not deployed",
    ]


def test_an_experiment_that_ended_is_told_once_with_when_why_and_what_starts_another() -> None:
    ended = rollout(rolled_back("errors is worse"), {"v1": 100, "v2": 0})
    assert ended_sentences([ended, rollout(state())]) == [
        "iris: v2 was rolled back at 2023-11-14 22:22:20 UTC: errors is worse; the weights stay v1 100 %, v2 0 %; "
        "a new image or `modelway rollout restart` starts another."
    ]
    entry = {"number": 2, "at": NOW, "event": "promoted", "weights": {"v1": 0, "v2": 100}, "reason": "all is well"}
    promoted = rollout(state(status="promoted", history=[entry]), {"v1": 0, "v2": 100})
    assert ended_sentences([promoted]) == [
        "iris: v2 was promoted at 2023-11-14 22:23:20 UTC: all is well; the weights stay v1 0 %, v2 100 %; give v2 "
        "weight 100 in the stack file and remove the experiment to keep it."
    ]
    assert "Ended: errors is worse." in text(ended)


def test_a_state_of_another_format_is_refused_in_one_sentence() -> None:
    with pytest.raises(ProblemError) as caught:
        rollout(state(weights="none"))
    assert [str(problem) for problem in caught.value.problems] == [
        "iris-experiment-state: the judge's state has another format: got weights, allowed a format that is known here; "
        "use the modelway that deployed the judge."
    ]


def test_the_facts_are_plain_json() -> None:
    facts = as_json(rollout(state(sample_ratio={"evidence": float("inf"), "enough": 300.0})))
    assert json.loads(json.dumps(facts, allow_nan=False))["state"]["sample_ratio"]["evidence"] is None
    assert facts["weights"] == {"v1": 90, "v2": 10}
    assert facts["experiment"]["candidate"] == "v2"
    assert as_json(rollout(state(experiment="another")))["state"] is None


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (61, "1 min 01 s"), (3720, "1 h 02 min"), (-5, "0 s")])
def test_a_duration_has_its_two_largest_units(seconds: float, said: str) -> None:
    assert duration_text(seconds) == said


def test_evidence_beyond_all_numbers_is_said_in_words() -> None:
    assert [evidence_text(each) for each in (1.0, 12345.6, float("inf"))] == ["1", "1.23e+04", "more than 1e300"]


class Page(HTMLParser):
    """Elements of a page, that each is closed, and everything that a browser could follow or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count it."""
        self.seen.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One that is closed at once."""
        self.seen.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """It closes the last one that is open."""
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_report_has_the_facts_and_three_plots_and_needs_nothing_else() -> None:
    made = report(rollout(state()), "node", NOW)
    page = Page(made)
    assert page.seen.count("svg") == 3
    for fact in ("errors", "2 of 1080 (0.19 %)", "-0.40 to +6.10 points", "7.25 of 300", "v2 10 %", "promoted"):
        assert fact in made, fact
    outside = [
        (name, value)
        for name, value in page.attributes
        if name in ("src", "href", "action", "srcset", "data") or name.startswith("on")
    ]
    assert outside == []
    assert re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", made) == []
    assert "script" not in page.seen


def test_a_reason_that_somebody_wrote_is_shown_and_never_run() -> None:
    hostile = rolled_back(HOSTILE)
    hostile["previous"][0]["reason"] = HOSTILE
    hostile["series"][-1]["weights"]["<b>v9"] = 5
    page = Page(report(rollout(hostile), HOSTILE, NOW))
    assert set(page.seen).isdisjoint({"script", "img", "b"})


def test_a_report_before_the_first_look_says_so() -> None:
    assert "The judge has not looked yet. Live weights: v1 90 %, v2 10 %." in report(rollout(None), "node", NOW)


def test_what_is_beyond_the_axis_is_drawn_at_its_edge() -> None:
    axis = Axis("evidence", 0.1, 1000, logarithmic=True)
    assert [axis.place(value) for value in (0.0, 0.1, 10.0, 1e9)] == [0.0, 0.0, 0.5, 1.0]
    assert axis.ticks() == pytest.approx([0.1, 1, 10, 100, 1000])


def test_the_names_of_lines_that_end_together_stay_apart() -> None:
    bands = [Band(f"line {number}", [(0.0, 1.0), (60.0, 1.0)]) for number in range(4)]
    drawn = plot("lines", bands, Axis("weight", 0, 2), {30.0: "step"})
    heights = [float(found) for found in re.findall(r'y="([\d.]+)" fill=', drawn)]
    assert min(after - before for before, after in itertools.pairwise(heights)) >= 13
