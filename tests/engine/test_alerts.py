"""Every alert of the project has a page that says what to do, and is proven to fire, to stay silent and to end."""

from pathlib import Path
from typing import Any

from modelway.monitoring.config import prometheus_rules
from modelway.monitoring.quality_args import OBJECTIVES, Quality
from modelway.monitoring.self_watch import self_watch_groups
from modelway.monitoring.slo import Latency, Slo
from modelway.monitoring.unwatched import unwatched_rule

from tests.engine import test_quality_alerts, test_self_watch, test_slo_rules

PROJECT = Path(__file__).resolve().parents[2]
SLO = Slo("iris", "v1", "m", 0, latency=Latency(99, 0.1))
EVERYTHING: dict[str, Any] = {
    name: {"yes": 0.5} if name in ("precision_at_least", "recall_at_least", "outcomes_at_least") else 1
    for name in OBJECTIVES
}
QUALITY = Quality("iris", "v1", **EVERYTHING)
PROVEN = (test_slo_rules.proven(), test_quality_alerts.PROVEN, test_self_watch.PROVEN)


def alerts() -> list[dict[str, Any]]:
    """Every alert that a stack can have."""
    return [*_alerts(self_watch_groups()), *of_models()]


def of_models() -> list[dict[str, Any]]:
    """Every alert of what is promised of a version."""
    return _alerts(prometheus_rules([SLO], [QUALITY])["groups"])


def _alerts(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_alert_is_proven_to_fire_to_stay_silent_and_to_end() -> None:
    names = {alert["alert"] for alert in alerts()}
    for proof in ("fire", "stay_silent", "end"):
        assert set().union(*(getattr(proven, proof) for proven in PROVEN)) == names, proof


def test_every_alert_links_to_a_page_that_has_its_name() -> None:
    for alert in alerts():
        page = PROJECT / alert["annotations"]["runbook_url"]
        assert page.parent == PROJECT / "docs/runbooks"
        assert alert["alert"] in page.read_text().splitlines()[0].removeprefix("# ").split(", ")


def test_every_page_is_one_of_an_alert() -> None:
    linked = {Path(alert["annotations"]["runbook_url"]).name for alert in [*alerts(), unwatched_rule()]}
    assert {page.name for page in (PROJECT / "docs/runbooks").glob("*.md")} == linked


def test_every_alert_says_what_is_wrong_and_how_urgent_it_is() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}


def test_every_alert_of_a_model_names_it_and_the_version() -> None:
    for alert in of_models():
        assert (alert["labels"]["model"], alert["labels"]["version"]) == ("iris", "v1")
        assert alert["annotations"]["summary"].startswith("iris v1: ")


def test_a_promise_that_is_kept_by_silence_is_an_alert() -> None:
    measured = {alert["labels"]["objective"] for alert in alerts() if "objective" in alert["labels"]}
    unmeasured = [alert["labels"]["objective"] for alert in alerts() if alert["alert"] == "ModelQualityUnmeasured"]
    assert set(unmeasured) == measured
    assert len(unmeasured) == len(OBJECTIVES) - 1, "freshness of truths has no silence: no truth is stale truth"
