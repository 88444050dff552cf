"""The alert that nothing comes from the cluster, judged by promtool: when it fires, when not, and when it ends."""

import subprocess
from pathlib import Path

import yaml
from modelway.monitoring.unwatched import unwatched_rule

from tools.progress import Progress
from tools.toolchain import ensure

PROJECT = Path(__file__).resolve().parents[2]
RECORDED = 'model_version:modelway_absent:bool{model="iris",version="v1"}'


def test_it_fires_five_minutes_after_the_last_series_and_ends_with_the_next(tmp_path: Path) -> None:
    rule = unwatched_rule()
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "unwatched", "rules": [rule]}]}))
    # Twenty minutes of samples, twenty without, ten again.
    series = [{"series": RECORDED, "values": "0x20 stale _x19 0x10"}]
    firing = {"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}
    fired = {10: [], 20: [], 24: [], 27: [firing], 39: [firing], 42: [], 50: []}
    tests = [
        {"alertname": rule["alert"], "eval_time": f"{minute}m", "exp_alerts": alerts}
        for minute, alerts in fired.items()
    ]
    case = {"interval": "1m", "input_series": series, "alert_rule_test": tests}
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document))
    promtool = ensure(["promtool"], Progress())["promtool"].path
    command = [promtool, "test", "rules", "tests.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_runbook_is_there_and_names_it() -> None:
    rule = unwatched_rule()
    page = (PROJECT / rule["annotations"]["runbook_url"]).read_text(encoding="utf-8")
    assert page.splitlines()[0] == f"# {rule['alert']}"
