"""The HTML report in Debian's chromium: what it shows, and that it asks nobody for anything."""

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.rollout_report import report
from tests.unit.rollout_samples import HOSTILE, NOW, rolled_back, rollout
from tools.progress import Progress
from tools.toolchain import ensure

ALONE = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions")
OWN = (".google.com", ".googleapis.com", ".gvt1.com")
"""Whom the browser asks by itself all the same, for the time and for updates; no report names them."""
BLANK_BYTES = 20_000
"""An empty page of this size is a PNG of some kilobytes."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes, list[str]]:
    """A report with hostile texts in the browser: its elements, what it looks like, and every URL that was asked."""
    folder = tmp_path_factory.mktemp("report")
    page, log, picture = folder / "report.html", folder / "net.json", folder / "report.png"
    page.write_text(report(rollout(rolled_back(HOSTILE)), HOSTILE, NOW))
    _chromium(folder, page, f"--screenshot={picture}", "--window-size=1000,1800")
    elements = _chromium(folder, page, "--dump-dom", f"--log-net-log={log}")
    return elements, picture.read_bytes(), _asked(json.loads(log.read_text()))


def _chromium(folder: Path, page: Path, *arguments: str) -> str:
    program = ensure(["chromium"], Progress())["chromium"].path
    # As root, as in a container, its own sandbox cannot start; the page is our own.
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", *ALONE)
    command = [str(program), *quiet, f"--user-data-dir={folder / 'profile'}", *arguments, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _asked(log: dict[str, Any]) -> list[str]:
    kinds = {number: name for name, number in log["constants"]["logEventTypes"].items()}
    started = [each for each in log["events"] if kinds[each["type"]] == "URL_REQUEST_START_JOB"]
    return sorted({each["params"]["url"] for each in started if "url" in each.get("params", {})})


def test_the_report_is_drawn_with_its_plots(opened: tuple[str, bytes, list[str]]) -> None:
    elements, picture, _ = opened
    assert elements.count("<svg") == elements.count("</svg>") == 3
    assert elements.count("<polyline") >= 6
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > BLANK_BYTES


def test_a_hostile_reason_is_text(opened: tuple[str, bytes, list[str]]) -> None:
    elements, _, _ = opened
    assert "<script" not in elements
    assert "<img" not in elements
    assert '&lt;script&gt;alert("x")&lt;/script&gt;' in elements


def test_nothing_is_asked_for_on_the_way(opened: tuple[str, bytes, list[str]]) -> None:
    _, _, asked = opened
    hosts = {urlsplit(url).hostname or "" for url in asked if not url.startswith("file:")}
    assert [host for host in hosts if not host.endswith(OWN)] == []


def test_a_page_that_asks_is_found(tmp_path: Path) -> None:
    page, log = tmp_path / "page.html", tmp_path / "net.json"
    page.write_text('<!DOCTYPE html><img src="http://outside.invalid/x" alt="">')
    _chromium(tmp_path, page, "--dump-dom", f"--log-net-log={log}")
    assert "http://outside.invalid/x" in _asked(json.loads(log.read_text()))
