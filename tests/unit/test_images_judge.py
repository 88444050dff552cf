"""The judge's image is built once for the same files, and again when one of them changes or the registry lost it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tools.images import builder, judge
from tools.progress import Progress


class Machine:
    """A checkout with the judge's files, and a registry that remembers what was pushed."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "rollout-judge"
        shutil.copytree(judge.SOURCE, self.source, ignore=shutil.ignore_patterns("__pycache__", "tests"))
        self.digests: dict[str, str] = {}
        self.contexts: list[set[str]] = []

    def build(self, context: Path, name: str, _: Mapping[str, str], __: Progress) -> str:
        self.contexts.append({str(file.relative_to(context)) for file in context.iterdir()})
        return name

    def push(self, image: str, repository: str, _: Progress) -> str:
        assert repository == f"127.0.0.1:5000/{judge.NAME}"
        digest = f"sha256:{len(self.contexts)}"
        self.digests[digest] = image
        return f"127.0.0.1:5000/modelway/rollout-judge@{digest}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path)
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("MODELWAY_REGISTRY_PORT", raising=False)
    monkeypatch.setattr(judge, "SOURCE", found.source)
    monkeypatch.setattr(builder, "build", found.build)
    monkeypatch.setattr(builder, "push", found.push)

    class Registry:
        def __init__(self, host: str) -> None:
            assert host == "127.0.0.1:5000"

        def digest(self, repository: str, reference: str) -> str | None:
            return reference if repository == "modelway/rollout-judge" and reference in found.digests else None

        def close(self) -> None:
            """Nothing."""

    monkeypatch.setattr(judge, "Registry", Registry)
    return found


def test_the_image_holds_the_package_and_what_it_needs_and_is_built_once(machine: Machine) -> None:
    first = judge.judge_image(Progress())
    assert first == "127.0.0.1:5000/modelway/rollout-judge@sha256:1"
    assert judge.judge_image(Progress()) == first
    assert machine.contexts == [{"Dockerfile", "requirements.txt", "rollout_judge"}]


@pytest.mark.parametrize("file", ["Dockerfile", "requirements.txt", "rollout_judge/verdict.py"])
def test_a_changed_file_makes_another_image(machine: Machine, file: str) -> None:
    judge.judge_image(Progress())
    changed = machine.source / file
    changed.write_text(changed.read_text() + "\n")
    assert judge.judge_image(Progress()).endswith("@sha256:2")


def test_an_image_that_the_registry_lost_is_made_again(machine: Machine) -> None:
    judge.judge_image(Progress())
    machine.digests.clear()
    assert judge.judge_image(Progress()).endswith("@sha256:2")
