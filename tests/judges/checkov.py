"""checkov's verdict on Terraform and on Kubernetes objects."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.judges import environment


@dataclass(frozen=True)
class Verdict:
    """What checkov says of one folder."""

    passed: list[tuple[str, str, str]]
    """Module (a folder below), check and resource."""
    failed: list[tuple[str, str, str]]
    skipped: list[tuple[str, str, str]]


def judge(folder: Path, framework: str = "terraform") -> Verdict:
    """checkov's verdict on a folder; it asks no network."""
    command = [str(environment.folder() / "bin/checkov"), "--directory", str(folder), "--framework", framework]
    command += ["--output", "json", "--skip-download", "--compact", "--soft-fail"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    results = report["results"]
    if report["summary"]["parsing_errors"]:
        raise AssertionError(f"checkov cannot read {folder}: {results['parsing_errors']}")
    kinds = ("passed_checks", "failed_checks", "skipped_checks")
    return Verdict(*(_rows(results.get(kind, [])) for kind in kinds))


def _rows(checks: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return sorted((check["file_path"].split("/")[1], check["check_id"], check["resource"]) for check in checks)
