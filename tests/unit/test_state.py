"""What `modelway status` shows, from recorded answers of a real Prometheus and from those that tell of none."""

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from modelway.monitoring.config import prometheus_rules
from modelway.monitoring.slo import Latency, Slo
from rich.console import Console
from typer.testing import CliRunner, Result

from infra import cli, cli_status, machine, observed, state, state_view
from infra.config_schema import Settings
from infra.deploy import Job
from infra.engine import session
from infra.state import StackState, VersionState
from tests.unit.rollout_samples import items
from tests.unit.rollout_samples import state as judge_state
from tests.unit.test_settings import DIGEST

RECORDED = json.loads(Path(__file__).with_name("prometheus_answers.json").read_text())
"""After a minute: v1 answers 30 requests per second, v2 answers 3, and the gateway half of v2's with 503."""
NOW = 1_795_478_820.0
RUNBOOK = "Runbook: docs/runbooks/model-availability.md"
BUDGETS = {("v1", "availability"): 1.0, ("v1", "latency"): 0.875, ("v2", "availability"): -14.0}
"""Added to what was recorded: Prometheus knows them from the first full hour on."""


def job(**monitoring: Any) -> Job:
    """A stack with the model of the recorded answers, an experiment in it and one more version, a shadow."""
    versions = [
        {"name": "v1", "image": DIGEST, "weight": 100},
        {"name": "v2", "image": DIGEST, "weight": 0},
        {"name": "v3", "image": DIGEST, "shadow": True},
    ]
    slo = {"latency": {"percent": 99, "belowSeconds": 0.1}}
    model = {"name": "iris", "versions": versions, "slo": slo}
    raw = {"cluster": {"provider": "node"}, "models": [model], "monitoring": monitoring}
    files = SimpleNamespace(name="shop", work_folder=Path("/none"))
    return Job(files, Settings.model_validate(raw), Console(quiet=True))  # type: ignore[arg-type]


class Cluster:
    """A cluster as kubectl tells of it."""

    def __init__(self) -> None:
        self.samples = [*RECORDED["query"]["result"], *(budget(*key, left) for key, left in BUDGETS.items())]
        self.alerts: Any = RECORDED["alerts"]
        self.refusal = ""
        """What the API server says instead of Prometheus' answers."""
        self.down = ""
        self.asked: list[str] = []

    def run(self, command: list[str], **_options: Any) -> "subprocess.CompletedProcess[str]":
        """As kubectl answers."""
        words = " ".join(command)
        self.asked.append(words)
        if self.down:
            return subprocess.CompletedProcess(command, 1, "", self.down)
        if "deployments" in command:
            return self._done({"items": [deployment("v1", 2, 2), deployment("v2", 0, 1)]})
        if "configmaps,httproutes" in command:
            return self._done({"items": items(judge_state(started_at=NOW - 600), {"v1": 90, "v2": 10})})
        if self.refusal:
            return subprocess.CompletedProcess(command, 1, "", self.refusal)
        path = urlsplit(command[command.index("--raw") + 1])
        assert path.path.startswith("/api/v1/namespaces/modelway-monitoring/services/prometheus:http/proxy/api/v1/")
        if path.path.endswith("/query"):
            assert parse_qs(path.query) == {"query": [observed.QUERY]}
            return self._done({"status": "success", "data": {"resultType": "vector", "result": self.samples}})
        return self._done({"status": "success", "data": self.alerts})

    @staticmethod
    def _done(document: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess([], 0, json.dumps(document).replace("breast-cancer", "iris"), "")


def budget(version: str, slo: str, left: float) -> dict[str, Any]:
    labels = {"__name__": observed.BUDGET, "model": "iris", "version": version, "slo": slo}
    return {"metric": labels, "value": [NOW, str(left)]}


def deployment(version: str, ready: int, wanted: int) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "iris", "app.kubernetes.io/version": version}
    return {"metadata": {"labels": labels}, "spec": {"replicas": wanted}, "status": {"readyReplicas": ready}}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A deployed stack."""
    made = Cluster()
    urls = [f"http://g/iris{path}/predict" for path in ("", "/v1", "/v2", "/v3")]
    outputs = {"urls": {"iris": urls}, "versions": {"iris": ["v1", "v2", "v3"]}}
    monkeypatch.setattr(session, "stack_outputs", lambda *_: outputs)
    monkeypatch.setattr(state, "toolset", lambda *_, **__: None)
    monkeypatch.setattr(machine, "cluster_gone", lambda _: None)
    monkeypatch.setattr(machine, "asleep", lambda _: False)
    monkeypatch.setattr(machine, "kubectl", lambda _: ["kubectl"])
    monkeypatch.setattr(subprocess, "run", made.run)
    monkeypatch.setattr(cli_status, "job_of", lambda _: job())
    monkeypatch.setattr("time.time", lambda: NOW)
    return made


def run(*words: str) -> Result:
    """One look."""
    done = CliRunner().invoke(cli.app, ["status", *words])
    assert done.exit_code == 0, done.output
    return done


def rows(done: Result) -> list[str]:
    return [re.sub(r" {2,}", " | ", line.strip()) for line in done.stdout.splitlines()]


@pytest.mark.usefixtures("cluster")
def test_one_look_shows_rates_latency_errors_budgets_drift_alerts_and_the_experiment() -> None:
    done = run()
    burns = "iris v2: availability burns its error budget (99.9 % promised)"
    names = (
        "share | pods ready | requests/s | p50 | p99 | errors | availability budget left | latency budget left | drift"
    )
    assert rows(done) == [
        "stack shop",
        f"model | version | {names}",
        "iris | v1 | 90 % | 2/2 | 29.8 | 0.256 ms | 0.821 ms | 0 % | 100 % | 87.5 % | 0.00, worst texture 0.12",
        "v2 | 10 % | 0/1 | 2.97 | 0.256 ms | 0.821 ms | 0 % | -1400 % | - | -",
        "v3 | shadow | 0/0 | - | - | - | - | - | - | -",
        f"Alert ModelAvailabilityPage (page) of iris v2, for 1 min 39 s: {burns}. {RUNBOOK}",
        f"Alert ModelAvailabilityTicket (ticket) of iris v2, for 1 min 29 s: {burns}. {RUNBOOK}",
        "Experiment of iris: v2 against v1, mode automatic, running for 10 min 00 s, step 2. "
        "Verdict: hold: errors has 120 trials of 500 in this step.",
        "iris: http://g/iris/predict",
        *(f"iris {version}: http://g/iris/{version}/predict" for version in ("v1", "v2", "v3")),
    ]
    assert done.stderr == "Cluster: answers.\nMonitoring: it answers; 2 alerts fire.\n"


@pytest.mark.usefixtures("cluster")
def test_the_json_has_the_documented_shape() -> None:
    found = json.loads(run("--json").stdout)
    (model,) = found["models"]
    first, second, shadow = model["versions"]
    assert {key: found[key] for key in ("stack", "deployed", "cluster", "monitoring", "unread")} == {
        "stack": "shop", "deployed": True, "cluster": "answers", "monitoring": "answers", "unread": "",
    }  # fmt: skip
    assert found["alerts"][0] == {
        "name": "ModelAvailabilityPage",
        "severity": "page",
        "model": "iris",
        "version": "v2",
        "since": pytest.approx(1795478720.846628),
        "summary": "iris v2: availability burns its error budget (99.9 % promised)",
        "runbook": "docs/runbooks/model-availability.md",
    }
    assert (model["url"], model["experiment"]["candidate"]) == ("http://g/iris/predict", "v2")
    assert first == {
        "version": "v1",
        "weight": 90,
        "shadow": False,
        "ready": 2,
        "wanted": 2,
        "url": "http://g/iris/v1/predict",
        "requests_per_second": 29.78583222750097,
        "error_share": 0.0,
        "p50_seconds": 0.00025641025641025646,
        "p99_seconds": 0.0008214285714285742,
        "budget_left": {"availability": 1.0, "latency": 0.875},
        "prediction_drift": 1.1741090431494394e-32,
        "feature_drift": 0.12420805635252344,
        "drifted_feature": "worst texture",
    }
    assert second["budget_left"] == {"availability": -14.0, "latency": None}
    assert {name for name, value in shadow.items() if value is None} == {
        "requests_per_second", "error_share", "p50_seconds", "p99_seconds", "prediction_drift", "feature_drift",
        "drifted_feature",
    }  # fmt: skip


def test_every_field_is_documented() -> None:
    fields = Path("docs/status.md").read_text()
    made = state_view.as_json(StackState("s", True, "answers", [VersionState("m", "v", 1, 1, 1, "")]))
    (model,) = made["models"]
    assert [
        name for name in (*made, *model, *model["versions"][0]) if f"`{name}" not in fields and f".{name}" not in fields
    ] == []


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (
            'Error from server (NotFound): services "prometheus" not found',
            "there is no Prometheus in modelway-monitoring; `modelway up` deploys it",
        ),
        (
            'Error from server (Forbidden): services "prometheus:http" is forbidden: User "ann" cannot get resource',
            "you may not ask it; it takes the verb get on services/proxy in modelway-monitoring",
        ),
        (
            'Error from server (ServiceUnavailable): no endpoints available for service "prometheus:http"',
            "no pod of it is ready; `kubectl get pods -n modelway-monitoring` says why",
        ),
        (
            "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
            "it does not answer: Error from server (ServiceUnavailable): the server is currently unable to handle "
            "the request",
        ),
    ],
)
def test_a_prometheus_that_cannot_be_asked_is_one_sentence_and_every_number_unknown(
    cluster: Cluster, refusal: str, sentence: str
) -> None:
    cluster.refusal = refusal
    done = run()
    assert rows(done)[2] == "iris | v1 | 90 % | 2/2 | - | - | - | - | - | - | -"
    assert done.stderr == f"Cluster: answers.\nMonitoring: {sentence}.\n"
    assert json.loads(run("--json").stdout)["monitoring"] == sentence


def test_a_prometheus_without_data_says_when_it_has_some_and_shows_no_zero(cluster: Cluster) -> None:
    cluster.samples, cluster.alerts = [], {"alerts": []}
    done = run()
    assert rows(done)[3] == "v2 | 10 % | 0/1 | - | - | - | - | - | - | -"
    assert "Monitoring: it has no data of these models yet; the first numbers come about 20 s after" in done.stderr


def test_a_quantile_of_no_request_is_unknown_and_a_rate_of_none_is_zero(cluster: Cluster) -> None:
    labels = {"model": "iris", "version": "v1"}
    values = {observed.REQUESTS: "0", observed.ERRORS: "0", observed.P50: "NaN", observed.P99: "NaN"}
    cluster.samples = [
        {"metric": {"__name__": name, **labels}, "value": [NOW, value]} for name, value in values.items()
    ]
    assert rows(run())[2] == "iris | v1 | 90 % | 2/2 | 0 | - | - | - | - | - | -"


def test_a_stack_without_monitoring_says_so_and_asks_nobody(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_status, "job_of", lambda _: job(enabled=False))
    assert f"Monitoring: {state.OFF}.\n" in run().stderr
    assert [words for words in cluster.asked if "prometheus" in words] == []


def test_a_cluster_that_does_not_answer_is_one_sentence(cluster: Cluster) -> None:
    cluster.down = "The connection to the server 127.0.0.1:6443 was refused"
    done = run()
    assert rows(done)[2] == "iris | v1 | 100 % | - | - | - | - | - | - | - | -"
    assert done.stderr == f"Cluster: it does not answer: {cluster.down}.\n"
    assert json.loads(run("--json").stdout)["monitoring"] == state.UNSEEN


@pytest.mark.usefixtures("cluster")
def test_watching_shows_it_anew_and_keeps_the_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    before = state.look(job())
    assert state.look_again(job(), before) == before
    assert CliRunner().invoke(cli.app, ["status", "--watch", "--json"]).exit_code == 2

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    monkeypatch.setenv("COLUMNS", "200")
    watched = CliRunner().invoke(cli.app, ["status", "--watch"])
    assert (watched.exit_code, "worst texture 0.12" in watched.stdout) == (130, True)


def test_what_is_asked_is_what_the_rules_record() -> None:
    rules = prometheus_rules([Slo("iris", "v1", "m", split_position=0, latency=Latency(99, 0.1))])
    recorded = {rule.get("record") for group in rules["groups"] for rule in group["rules"]}
    asked = {observed.REQUESTS, observed.ERRORS, observed.P50, observed.P99, observed.BUDGET}
    assert asked | {observed.PREDICTIONS, observed.FEATURES} <= recorded
