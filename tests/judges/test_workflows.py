"""actionlint and zizmor judge our workflows: judges that know nothing of them."""

import re
from pathlib import Path

import pytest
import yaml

from tests.judges import workflows
from tools.paths import PROJECT

WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))
PREVIEW = (PROJECT / ".github/workflows/preview.yml").read_text(encoding="utf-8")
PINNED = re.compile(r"^ +(?:- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")

TEETH = {
    "dangerous-triggers": ("  pull_request:\n", "  pull_request_target:\n"),
    "unpinned-uses": ("@8e5e406f4007fca908480587cb9893c07090f58d", "@v7"),
    "excessive-permissions": ("    permissions:\n      contents: read\n", "    permissions: write-all\n    env:\n"),
    "artipacked": ("          persist-credentials: false\n", "          fetch-depth: 1\n"),
    "template-injection": ("make venv", "make ${{ github.event.pull_request.title }}"),
}
"""What zizmor must find where it is planted, by audit: what stands there, and what is put in its place."""

MISTAKES = {
    "action": ("actions@8e5e406f4007fca908480587cb9893c07090f58d", "actions"),
    "expression": ("vars.AWS_REGION", "vars.AWS_REGION.name"),
    "permissions": ("id-token: write", "id-token: execute"),
    "syntax-check": ("timeout-minutes: 30", "timeout_minutes: 30"),
}
"""The same for actionlint, by rule."""


def planted(folder: Path, plants: dict[str, tuple[str, str]]) -> list[Path]:
    files = []
    for name, (found, put) in plants.items():
        assert found in PREVIEW
        files.append(folder / f"{name}.yml")
        files[-1].write_text(PREVIEW.replace(found, put), encoding="utf-8")
    return files


def test_neither_judge_finds_anything() -> None:
    assert len(WORKFLOWS) >= 3
    assert workflows.actionlint(WORKFLOWS) == []
    assert workflows.zizmor(WORKFLOWS) == []


def test_zizmor_finds_what_is_planted(tmp_path: Path) -> None:
    found = workflows.zizmor(planted(tmp_path, TEETH))
    assert [audit for audit in TEETH if (f"{audit}.yml", audit) not in found] == []


def test_actionlint_finds_what_is_planted(tmp_path: Path) -> None:
    found = workflows.actionlint(planted(tmp_path, MISTAKES))
    assert [rule for rule in MISTAKES if (f"{rule}.yml", rule) not in found] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(file: Path) -> None:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if re.search(r"\buses:", line)]
    assert [line for line in lines if not PINNED.match(line)] == []


def test_jobs_of_a_pull_request_read_and_comment() -> None:
    """No job of the preview may deploy: it names no environment, whose role deploys, and writes nothing but comments."""
    document = yaml.safe_load(PREVIEW)
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        assert job["permissions"] == {"contents": "read", "id-token": "write", "pull-requests": "write"}
        assert "environment" not in job
        commands = [step["with"]["command"] for step in job["steps"] if "pulumi/actions" in step.get("uses", "")]
        assert commands == ["preview"]
        assert "head.repo.full_name == github.repository" in job["if"]
    stacks = [stack for job in document["jobs"].values() for stack in job["strategy"]["matrix"]["stack"]]
    assert stacks == ["aws-staging", "aws-production", "gcp-staging", "gcp-production"]
