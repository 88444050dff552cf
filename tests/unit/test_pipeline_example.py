"""The example's two versions: built once, skipped while nothing changed, repaired when anything is missing."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline import attestation, example, lock, signing
from tools import images
from tools.images import registry
from tools.progress import Progress

HOST = "127.0.0.1:5999"


class Recorder:
    """Stands for builder and registry: keeps what was built and pushed."""

    def __init__(self) -> None:
        self.built: list[tuple[str, dict[str, str], list[str]]] = []
        self.stored: dict[str, str] = {}

    def build(self, context: Path, name: str, build_args: Mapping[str, str], _progress: Progress) -> str:
        self.built.append((name, dict(build_args), sorted(path.name for path in context.iterdir())))
        return f"localhost/{name}"

    def push(self, image: str, repository: str, _progress: Progress) -> str:
        name, tag = registry.split(repository)
        digest = f"sha256:{len(self.built):064x}"
        self.stored[f"{image} as {tag}"] = digest
        return f"{name}@{digest}"


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()

    def digest(_self: registry.Registry, _repository: str, reference: str) -> str | None:
        return reference if reference in recorder.stored.values() else None

    monkeypatch.setenv("MODELWAY_IMAGES_LOCK", str(tmp_path / "images.lock.json"))
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(example, "build_folder", lambda name, version: tmp_path / name / version)
    monkeypatch.setattr(images, "build", recorder.build)
    monkeypatch.setattr(images, "push", recorder.push)
    monkeypatch.setattr(registry.Registry, "digest", digest)
    return recorder


def names(recorder: Recorder) -> list[str]:
    return [name for name, _, _ in recorder.built]


def test_both_versions_are_built_pushed_and_recorded_once(ground: Recorder, tmp_path: Path) -> None:
    example.build_versions(HOST, Progress())
    example.build_versions(HOST, Progress())
    files = ["Dockerfile", "artifact", "modelway_server", "requirements.txt"]
    assert ground.built == [
        ("breast-cancer:v1", {"NAME": "breast-cancer", "VERSION": "v1"}, files),
        ("breast-cancer:v2", {"NAME": "breast-cancer", "VERSION": "v2"}, files),
    ]
    assert lock.read() == {
        "breast-cancer:v1": f"{HOST}/breast-cancer@sha256:{1:064x}",
        "breast-cancer:v2": f"{HOST}/breast-cancer@sha256:{2:064x}",
    }
    for version in ("v1", "v2"):
        reference = json.loads((tmp_path / "breast-cancer" / version / "reference_predictions.json").read_text())
        assert len(reference["rows"]) == len(reference["prediction"]) == len(reference["probability"]) == 200


def test_each_image_gets_a_signed_report_that_passed_and_a_lost_one_is_made_again(
    ground: Recorder, tmp_path: Path
) -> None:
    example.build_versions(HOST, Progress())
    line = signing.ensure_local_key()
    for number in (1, 2):
        sha256 = f"{number:064x}"
        content = (tmp_path / "evaluations" / f"{sha256}.dsse.json").read_bytes()
        attestation.check(content, sha256, [line])
        names = [subject["name"] for subject in attestation.verify(content, [line])["subject"]]
        assert names == ["model.onnx", "manifest.json", f"{HOST}/breast-cancer"]
    checks = attestation.verify(content, [line])["predicate"]["passedTests"]
    assert checks == [
        "floor accuracy",
        "floor recall",
        "f1 against the champion",
        "slice diagnosis is benign",
        "slice diagnosis is malignant",
        "slice mean radius below 12",
        "slice mean radius from 12 to 16",
        "slice mean radius from 16",
        "calibration",
    ]
    (tmp_path / "evaluations" / f"{2:064x}.dsse.json").unlink()
    example.build_versions(HOST, Progress())
    assert [name for name, _, _ in ground.built] == ["breast-cancer:v1", "breast-cancer:v2", "breast-cancer:v2"]


def test_a_version_that_the_registry_lost_is_built_again(ground: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    example.build_versions(HOST, Progress())
    monkeypatch.setattr(example, "_train_all", lambda _progress: None)
    del ground.stored["localhost/breast-cancer:v2 as v2"]
    example.build_versions(HOST, Progress())
    assert names(ground) == ["breast-cancer:v1", "breast-cancer:v2", "breast-cancer:v2"]


def test_changed_inputs_another_registry_and_a_lost_lock_build_both_again(
    ground: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example.build_versions(HOST, Progress())
    monkeypatch.setattr(example, "_train_all", lambda _progress: None)
    example.build_versions("127.0.0.1:5998", Progress())
    assert len(ground.built) == 4
    monkeypatch.setenv("MODELWAY_BASE_IMAGE", "python:3.11-slim")
    example.build_versions("127.0.0.1:5998", Progress())
    assert len(ground.built) == 6
    (tmp_path / "images.lock.json").unlink()
    example.build_versions("127.0.0.1:5998", Progress())
    assert len(ground.built) == 8
