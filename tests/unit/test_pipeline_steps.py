"""The steps one by one: what they refuse, what they write, and the command line over them."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline import artifact, convert, data, evaluation, families, formats, lock, parity, store, training
from pipeline.cli import app
from pipeline.packaging import Target, build_image, write_package
from pipeline.rules import Rules
from tools import images
from tools.problem import ProblemError
from tools.progress import Progress

ONNX = formats.FORMATS["onnx"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `v1`, `v2`, `bad` (trained on guesses) and `other` (another question)."""
    folder = tmp_path_factory.mktemp("models")
    table = data.read_example()
    training.train(table, folder / "v1", "logistic-regression")
    training.train(table, folder / "v2", "gradient-boosting")
    good = store.load(folder / "v1", "--model")
    guesses = np.random.default_rng(0).integers(0, 2, len(good.training_rows))
    useless = families.create("classification", None, 0).fit(good.training_rows, guesses)
    store.save(folder / "bad", dataclasses.replace(good, estimator=useless))
    fewer = data.Table(**(vars(table) | {"features": table.features[:5], "rows": table.rows[:, :5].copy()}))
    training.train(fewer, folder / "other")
    return folder


def refusal(*arguments: Any, **options: Any) -> str:
    with pytest.raises(ProblemError) as caught:
        evaluation.evaluate(*arguments, **options)
    return str(caught.value)


def test_the_second_version_passes_the_gate_against_the_first(models: Path) -> None:
    verdict = evaluation.evaluate(models / "v2", models / "v1", rules=Rules(floors={"accuracy": 0.9}))
    report = json.loads((models / "v2" / "report.json").read_text())
    assert verdict.accepted
    assert report["accepted"] is True
    assert report["held_out_rows"] == 200
    assert report["candidate"]["accuracy"]["value"] == verdict.candidate["accuracy"].value
    assert sorted(report["difference"]) == ["accuracy", "f1", "precision", "recall"]
    assert report["notes"] == []


def test_a_worse_model_is_blocked_and_can_not_be_packaged(models: Path, tmp_path: Path) -> None:
    verdict = evaluation.evaluate(models / "bad", models / "v1")
    assert not verdict.accepted
    assert verdict.reasons[-1].endswith("the candidate is worse")
    with pytest.raises(ProblemError) as caught:
        write_package(models / "bad", Target("sample", "v1", "registry"), tmp_path, Progress())
    assert f"--model {models / 'bad'}: was rejected by the gate: got f1: candidate − champion is " in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_models_of_different_questions_are_not_compared(models: Path) -> None:
    assert refusal(models / "v1", models / "other").startswith("--champion: has other features: got ")


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, None).startswith(f"--candidate {tmp_path}: is no trained model: got ")


def test_a_model_that_was_changed_after_training_is_refused(models: Path, tmp_path: Path) -> None:
    for file in (models / "v1").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / store.MODEL).write_bytes(b"other")
    assert "got a model.skops that was changed after training" in refusal(tmp_path, None)


def test_unknown_families_are_refused_with_those_of_the_task(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        training.train(data.read_example(), tmp_path, "linear")
    assert str(caught.value) == (
        "--family: is unknown: got 'linear', allowed logistic-regression or gradient-boosting or hist-gradient-boosting or xgboost "
        "or lightgbm for a classification; correct the option."
    )


def test_a_disagreement_of_the_packaged_model_names_row_feature_and_both_values(models: Path) -> None:
    model = store.load(models / "v1", "--model")
    run = convert.run_onnx
    feature = model.facts.features.index("worst area")
    limit = float(model.held_out_rows[17, feature])

    def wrong_where_the_area_is_that_of_row_18(content: bytes, rows: data.Matrix, facts: store.Facts) -> store.Outputs:
        prediction, probability = run(content, rows, facts)
        assert probability is not None
        hit = rows[:, feature] == np.float32(limit)
        return np.where(hit, 1 - prediction, prediction), np.where(hit[:, None], probability[:, ::-1], probability)

    wrong = dataclasses.replace(ONNX, run=wrong_where_the_area_is_that_of_row_18)
    with pytest.raises(ProblemError) as caught:
        parity.check(model, wrong, convert.to_onnx(model))
    found = re.fullmatch(
        r"held-out row 18, feature 'worst area' = (\S+): the packaged and the trained model disagree \(1 of 200 rows do\): "
        r"got class (\d) \((\S+), (\S+)\) as onnx and class (\d) \((\S+), (\S+)\) as trained, "
        r"allowed equal classes and values within 1e-05; "
        r"scale or round that feature, or choose another --family or --format\.",
        str(caught.value),
    )
    assert found is not None
    probability = model.probability(model.held_out_rows[17:18])
    assert probability is not None
    original, turned = probability[0].tolist(), probability[0, ::-1].tolist()
    winner = int(probability[0].argmax())
    shown = [float(text) for text in found.groups()]
    assert shown == pytest.approx([limit, 1 - winner, *turned, winner, *original], abs=1e-6)


def test_parity_holds_on_every_held_out_row(models: Path) -> None:
    for version in ("v1", "v2"):
        model = store.load(models / version, "--model")
        assert parity.check(model, ONNX, convert.to_onnx(model)) <= parity.TOLERANCE


@pytest.mark.parametrize(
    ("family", "model_format", "sentence"),
    [
        (
            "xgboost",
            "onnx",
            "--format onnx: does not hold this model: got a xgboost model of xgboost, allowed models of sklearn that "
            "convert; use --format xgboost.",
        ),
        (
            "hist-gradient-boosting",
            "onnx",
            "--format onnx: does not hold this model: got a hist-gradient-boosting model of sklearn (ValueError), "
            "allowed models of sklearn that convert; use --format skops.",
        ),
        (
            "logistic-regression",
            "lightgbm",
            "--format lightgbm: does not hold this model: got a logistic-regression model of sklearn, allowed models "
            "of lightgbm that convert; use --format skops.",
        ),
        (
            "logistic-regression",
            "joblib",
            "--format: is unknown: got 'joblib', allowed onnx or xgboost or lightgbm or skops or pickle; "
            "correct the option.",
        ),
    ],
)
def test_a_format_that_does_not_hold_the_model_names_one_that_does(
    tmp_path: Path, family: str, model_format: str, sentence: str
) -> None:
    training.train(data.read_example(), tmp_path / "model", family)
    with pytest.raises(ProblemError) as caught:
        write_package(tmp_path / "model", Target("a", "v1", "registry", format=model_format), tmp_path, Progress())
    assert str(caught.value) == sentence


@pytest.mark.parametrize(("name", "version"), [("Breast_Cancer", "v1"), ("a" * 64, "v1"), ("ok", "1.0"), ("ok", "")])
def test_names_that_are_no_dns_labels_are_refused(models: Path, tmp_path: Path, name: str, version: str) -> None:
    with pytest.raises(ProblemError) as caught:
        write_package(models / "v1", Target(name, version, "registry"), tmp_path, Progress())
    assert "is no DNS label" in str(caught.value)


@pytest.mark.parametrize(
    ("model_format", "requirements", "arguments"),
    [
        ("onnx", "requirements.txt", {}),
        ("skops", "requirements-sklearn.txt", {"REQUIREMENTS": "requirements-sklearn.txt"}),
    ],
)
def test_an_image_installs_what_its_format_needs(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_format: str,
    requirements: str,
    arguments: dict[str, str],
) -> None:
    built: list[tuple[list[str], dict[str, str]]] = []

    def build(context: Path, name: str, given: dict[str, str], _progress: Progress) -> str:
        built.append((sorted(path.name for path in context.iterdir()), given))
        return name

    monkeypatch.setattr(images, "build", build)
    target = Target("a", "v1", "registry", push=False, format=model_format)
    write_package(models / "v1", target, tmp_path, Progress())
    build_image(target, tmp_path, Progress())
    files = ["Dockerfile", "artifact", "modelway_server", requirements]
    assert built == [(files, {"NAME": "a", "VERSION": "v1"} | arguments)]


def test_the_card_says_what_the_gate_found(models: Path, tmp_path: Path) -> None:
    evaluation.evaluate(models / "v2", models / "v1")
    write_package(models / "v2", Target("sample", "v2", "registry"), tmp_path, Progress())
    card = (tmp_path / "artifact" / artifact.CARD).read_text()
    assert card.startswith("# sample v2\n")
    assert "The gate accepted it: f1: candidate − champion is " in card
    assert "| mean radius | float32 | " in card


def test_the_lock_keeps_other_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWAY_IMAGES_LOCK", str(tmp_path / "images.lock.json"))
    assert lock.read() == {}
    lock.record("b", "v1", "r/b@sha256:1")
    lock.record("a", "v1", "r/a@sha256:2")
    lock.record("b", "v1", "r/b@sha256:3")
    assert list(lock.read().items()) == [("a:v1", "r/a@sha256:2"), ("b:v1", "r/b@sha256:3")]
    assert [file.name for file in tmp_path.iterdir()] == ["images.lock.json"]


def test_a_lock_that_is_no_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "images.lock.json"
    file.write_text("[]")
    monkeypatch.setenv("MODELWAY_IMAGES_LOCK", str(file))
    with pytest.raises(ProblemError) as caught:
        lock.read()
    assert str(caught.value) == (
        f"{file}: is no image record: got other content, allowed JSON of references; "
        "remove the file and package the models again."
    )


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path / "state"))


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_the_command_line_trains_and_judges(models: Path, tmp_path: Path) -> None:
    code, _, _ = run("train", "--out", str(tmp_path / "m"))
    assert code == 0
    code, out, _ = run("evaluate", "--candidate", str(tmp_path / "m"), "--champion", str(models / "v1"))
    assert code == 0
    assert out.splitlines()[-1].startswith("accepted: f1: candidate − champion is 0.0000 [0.0000, 0.0000], not wholly")
    code, out, _ = run("evaluate", "--candidate", str(tmp_path / "m"), "--floor", "accuracy=0.99")
    assert code == 1
    assert out.splitlines()[-1] == "rejected: accuracy: 0.9550 misses the floor 0.99"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["train", "--data", "t.csv"],
            "--target: is missing: got --data without it, allowed a column; name the column",
        ),
        (["train", "--data", "absent.csv", "--target", "x"], "absent.csv: cannot be read: got "),
        (["evaluate", "--floor", "high"], "--floor: is no floor: got 'high', allowed METRIC=VALUE"),
        (["package", "--name", "A", "--version", "v1"], "--name: is no DNS label: got 'A', allowed lower-case"),
    ],
)
def test_bad_input_ends_with_two_and_a_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    options = {"train": "--out", "evaluate": "--candidate", "package": "--model"}
    code, _, err = run(*arguments, options[arguments[0]], str(tmp_path))
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err


def test_help_names_every_step() -> None:
    code, out, _ = run("--help")
    assert code == 0
    for step in ("train", "evaluate", "package", "key", "example"):
        assert step in out
