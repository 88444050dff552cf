"""From a rule to a receiver through the real Prometheus and Alertmanager, on loopback."""

import json
import queue
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from modelway.monitoring.alert_rules import AlertRule, alert_rule_groups, with_runbooks
from modelway.monitoring.config import ScrapeSpec, prometheus_config
from modelway.monitoring.receivers import (
    Alerting,
    Email,
    PagerDuty,
    Receiver,
    Route,
    Slack,
    Webhook,
    alertmanager_config,
    secret_files,
)

from tests.loopback import serving
from tools.progress import Progress
from tools.toolchain import ensure

GROUP_WAIT_SECONDS = 2
FIRES_SECONDS = 12
BASE = "https://runbooks.example/pages"
EVERY_WAY = (
    Receiver("hook", Webhook("https://hook.example/alerts", bearer_token="token")),
    Receiver("hidden", Webhook(secret_url="https://hook.example/hidden")),
    Receiver("team", Slack("https://hooks.slack.example/services/x", "#models")),
    Receiver("pager", PagerDuty("k" * 32)),
    Receiver("mail", Email(("a@example.com",), "b@example.com", "smtp.example.com:587", "user", "password")),
)


@dataclass
class Hook:
    """A receiver on loopback and what it got, with the time."""

    port: int = 0
    got: "queue.Queue[tuple[float, str, dict[str, Any]]]" = field(default_factory=queue.Queue)

    def next(self) -> tuple[float, str, dict[str, Any]]:
        """The next notification; fails when none comes in a minute."""
        return self.got.get(timeout=60)


@contextmanager
def hook() -> Iterator[Hook]:
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.got.put((time.time(), self.headers.get("Authorization", ""), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with serving(Handler) as found.port:
        yield found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(folder: Path, name: str, port: int, *arguments: str) -> Iterator[None]:
    """The program until the end of the block, ready."""
    program = ensure([name], Progress())[name].path
    command = [program, f"--web.listen-address=127.0.0.1:{port}", *arguments]
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 60
            while not answers(f"http://127.0.0.1:{port}/-/ready"):
                assert process.poll() is None, (folder / f"{name}.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def rules(ends: float) -> dict[str, Any]:
    """Alerts that fire until this time: a page, a ticket of the same objective, and a ticket of another model."""
    groups = alert_rule_groups(
        [
            AlertRule(name, f"vector(1) and on () (vector(time()) < {ends})", severity, "It fails.")
            for name, severity in (("Page", "page"), ("Ticket", "ticket"), ("Other", "ticket"))
        ]
    )
    for rule in groups[0]["rules"]:
        model = "wine" if rule["alert"] == "Other" else "iris"
        rule["labels"] |= {"model": model, "version": "v1", "slo": "availability"}
        rule["annotations"]["runbook_url"] = "docs/runbooks/model-availability.md"
    return with_runbooks({"groups": groups}, BASE)


@pytest.fixture
def delivery(tmp_path: Path) -> Iterator[Hook]:
    """Notifications of `rules` through both programs."""
    with ExitStack() as stack:
        found = stack.enter_context(hook())
        receiver = Receiver("hook", Webhook(f"http://127.0.0.1:{found.port}/", bearer_token="open sesame"))
        route = Route(("hook",), GROUP_WAIT_SECONDS, 1, 1)
        alerting = Alerting((receiver,), route, route)
        for name, text in secret_files(alerting.receivers).items():
            (tmp_path / name).write_text(text)
        (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager_config(alerting, str(tmp_path))))
        alertmanager, prometheus = free_port(), free_port()
        options = ("--config.file=alertmanager.yml", "--storage.path=silences", "--cluster.listen-address=")
        stack.enter_context(running(tmp_path, "alertmanager", alertmanager, *options))
        own = prometheus_config(ScrapeSpec(("m",), "g"), f"127.0.0.1:{alertmanager}")
        config = {"global": {"evaluation_interval": "1s"}, "rule_files": ["rules.yml"], "alerting": own["alerting"]}
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules(time.time() + FIRES_SECONDS)))
        options = ("--config.file=prometheus.yml", "--storage.tsdb.path=data")
        stack.enter_context(running(tmp_path, "prometheus", prometheus, *options))
        yield found


def test_a_page_arrives_within_its_group_wait_with_its_runbook_and_ends(delivery: Hook) -> None:
    seen = [delivery.next() for _ in range(4)]
    firing = {body["groupLabels"]["alertname"]: (at, token, body) for at, token, body in seen[:2]}
    # The ticket of the objective that pages is not told.
    assert {body["groupLabels"]["alertname"] for _, _, body in seen} == {"Page", "Other"}
    at, token, body = firing["Page"]
    (alert,) = body["alerts"]
    assert (token, body["status"], body["receiver"]) == ("Bearer open sesame", "firing", "hook")
    assert alert["annotations"]["runbook_url"] == f"{BASE}/model-availability.md"
    started = datetime.fromisoformat(alert["startsAt"]).timestamp()
    assert GROUP_WAIT_SECONDS <= at - started <= GROUP_WAIT_SECONDS + 3
    assert [body["status"] for _, _, body in seen] == ["firing", "firing", "resolved", "resolved"]


def test_amtool_accepts_every_way_to_be_told(tmp_path: Path) -> None:
    route = Route(tuple(receiver.name for receiver in EVERY_WAY), 5, 60, 4)
    config = alertmanager_config(Alerting(EVERY_WAY, route, route), "/etc/alertmanager/secrets")
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config))
    amtool = ensure(["amtool"], Progress())["amtool"].path
    checked = subprocess.run(
        [amtool, "check-config", "alertmanager.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f" - {len(EVERY_WAY) + 1} receivers" in checked.stdout


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"severity": "page", "model": "iris"}, "hook,pager"),
        ({"severity": "ticket", "model": "iris"}, "team"),
        ({"severity": "strange"}, "team"),
        ({}, "team"),
    ],
    ids=["page", "ticket", "another severity", "no severity"],
)
def test_an_alert_goes_where_its_severity_says(tmp_path: Path, labels: dict[str, str], receivers: str) -> None:
    alerting = Alerting(EVERY_WAY, Route(("hook", "pager"), 5, 60, 4), Route(("team",), 120, 600, 24))
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager_config(alerting, "/etc")))
    amtool = ensure(["amtool"], Progress())["amtool"].path
    command = [amtool, "config", "routes", "test", "--config.file=alertmanager.yml"]
    asked = [*command, *(f"{name}={value}" for name, value in labels.items())]
    told = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout.strip()) == (0, receivers), told.stderr
