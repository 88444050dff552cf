"""Signed reports: what is signed, that anyone can verify it, and that nothing else passes."""

import base64
import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from typer.testing import CliRunner

from pipeline import attestation, data, signing, training
from pipeline.attestation import RefusalError
from pipeline.cli import app
from pipeline.packaging import Target, build_image, write_package
from tools import images
from tools.problem import ProblemError
from tools.progress import Progress

IMAGE = "registry.example/a"
DIGEST = "d" * 64


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def payload(envelope: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return document


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    training.train(data.read_example(), folder / "v1", "logistic-regression")
    return folder


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("MODELWAY_IMAGES_LOCK", str(tmp_path / "images.lock.json"))
    monkeypatch.delenv(signing.KEY_VARIABLE, raising=False)
    signing.create(tmp_path / "key.pem")
    return tmp_path / "key.pem"


def report(**changes: Any) -> dict[str, Any]:
    base = {
        "accepted": True,
        "reasons": ["fine"],
        "rules": {},
        "checks": {"floor f1": True, "slice x": True},
        "held_out_sha256": "b" * 64,
        "champion_sha256": None,
    }
    return base | changes


def test_a_key_is_a_pem_file_of_its_owner_alone_that_openssl_reads(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    line = signing.public_file(key).read_text().strip()
    assert signing.LINE.fullmatch(line)
    shown = subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout"], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[1] == line


def test_the_command_makes_a_key_once_and_prints_its_line_again(key: Path) -> None:
    assert run("key", str(key)) == (0, signing.public_file(key).read_text(), "")
    made = key.with_name("new.pem")
    assert run("key", str(made)) == run("key", str(made))
    assert made.exists()


def test_an_encrypted_key_needs_its_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signing.PASSPHRASE_VARIABLE, "correct horse")
    line = signing.create(tmp_path / "key.pem")
    assert b"ENCRYPTED" in (tmp_path / "key.pem").read_bytes()
    assert signing.public_line(tmp_path / "key.pem") == line
    monkeypatch.setenv(signing.PASSPHRASE_VARIABLE, "wrong")
    with pytest.raises(ProblemError, match="got other content, or another passphrase, allowed an ed25519 private key"):
        signing.load(tmp_path / "key.pem")
    monkeypatch.delenv(signing.PASSPHRASE_VARIABLE)
    with pytest.raises(ProblemError, match="got no passphrase for an encrypted key"):
        signing.load(tmp_path / "key.pem")


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (None, "no such file or directory"),
        (b"nothing", "other content, or another passphrase"),
        ("rsa", "a key of another kind"),
    ],
)
def test_what_is_no_signing_key_is_refused(tmp_path: Path, content: bytes | str | None, got: str) -> None:
    file = tmp_path / "key.pem"
    if content == "rsa":
        subprocess.run(["openssl", "genrsa", "-out", str(file), "2048"], check=True, capture_output=True)
    elif isinstance(content, bytes):
        file.write_bytes(content)
    with pytest.raises(ProblemError) as caught:
        signing.load(file)
    assert str(caught.value).startswith(f"{file}: is no signing key: got {got}, allowed an ed25519 private key as PEM")


def test_anyone_can_verify_the_envelope_by_the_specifications(key: Path) -> None:
    envelope = json.loads(attestation.sign(attestation.statement({"model.onnx": DIGEST}, report()), key))
    body, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    assert kind == "application/vnd.in-toto+json"
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)
    public = load_der_public_key(base64.b64decode(signing.public_line(key)))
    public.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)  # type: ignore[union-attr,call-arg]
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed + b" ")  # type: ignore[union-attr,call-arg]
    assert json.loads(body) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model.onnx", "digest": {"sha256": DIGEST}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": "PASSED",
            "configuration": [
                {
                    "name": "rules",
                    "digest": {"sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
                },
                {"name": "held-out rows", "digest": {"sha256": "b" * 64}},
            ],
            "passedTests": ["floor f1", "slice x"],
            "failedTests": [],
            "report": report(),
        },
    }


def refused(envelope: bytes, lines: list[str], sha256: str = DIGEST) -> str:
    with pytest.raises(RefusalError) as caught:
        attestation.check(envelope, sha256, lines)
    return str(caught.value)


def test_only_a_passed_report_on_this_digest_by_one_of_the_keys_passes(key: Path) -> None:
    line, other = signing.public_line(key), signing.create(key.with_name("other.pem"))
    good = attestation.sign(attestation.statement({"model.onnx": DIGEST}, report()), key)
    attestation.check(good, DIGEST, [line])
    attestation.check(good, DIGEST, [other, line])
    assert refused(good, [other]).startswith("is signed by another key: got key ")
    assert (
        refused(good, [line], "e" * 64)
        == "is for another digest: got sha256 dddddddddddd…, allowed sha256 eeeeeeeeeeee…"
    )
    failed = report(accepted=False, reasons=["f1: 0.5 misses the floor 0.9"], checks={"floor f1": False})
    bad = attestation.sign(attestation.statement({"model.onnx": DIGEST}, failed), key)
    assert payload(bad)["predicate"]["failedTests"] == ["floor f1"]
    assert refused(bad, [line]) == (
        "says that the gate rejected the model: got f1: 0.5 misses the floor 0.9, allowed PASSED"
    )


def test_a_report_that_is_not_signed_as_agreed_is_refused(key: Path) -> None:
    line = signing.public_line(key)
    statement = attestation.statement({"model.onnx": DIGEST}, report())
    good = json.loads(attestation.sign(statement, key))
    plain = "is not signed: got no DSSE envelope, allowed an envelope that `pipeline` signed"
    for content in (b"", b"[]", b"{}", b"\xff", json.dumps(statement).encode(), json.dumps(good["payload"]).encode()):
        assert refused(content, [line]) == plain
    bare = json.dumps({**good, "signatures": []}).encode()
    assert (
        refused(bare, [line])
        == "is not signed: got an envelope without a signature, allowed one that `pipeline` signed"
    )
    changed = base64.b64encode(json.dumps({**statement, "subject": []}).encode()).decode()
    forged = json.dumps({**good, "payload": changed}).encode()
    assert refused(forged, [line]).startswith("was changed after it was signed: got a signature that does not fit")
    retyped = json.dumps({**good, "payloadType": "text/plain"}).encode()
    assert refused(retyped, [line]).startswith("was changed after it was signed")


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"predicate": {"result": "PASSED"}},
        {"_type": "x", "predicateType": attestation.PREDICATE_TYPE, "subject": [], "predicate": {"result": "PASSED"}},
        {
            "_type": attestation.STATEMENT_TYPE,
            "predicateType": "https://slsa.dev/provenance/v1",
            "subject": [{"digest": {"sha256": DIGEST}}],
            "predicate": {"result": "PASSED"},
        },
    ],
)
def test_a_signed_document_of_another_kind_is_no_report(key: Path, document: Any) -> None:
    assert refused(attestation.sign(document, key), [signing.public_line(key)]).startswith(
        "is no evaluation report: got "
    )


def test_the_command_signs_what_it_judged_and_packaging_adds_artifact_and_image(
    key: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "build", lambda *_: "localhost/a:v1")
    monkeypatch.setattr(images, "push", lambda *_: f"{IMAGE}@sha256:{DIGEST}")
    code, out, err = run("evaluate", "--candidate", str(models / "v1"), "--floor", "accuracy=0.9", "--key", str(key))
    assert (code, out.splitlines()[-1]) == (0, "accepted: every floor is reached and there is no champion"), err
    judged = payload((models / "v1" / attestation.FILE).read_bytes())
    assert [subject["name"] for subject in judged["subject"]] == ["model.onnx"]
    target = Target("a", "v1", "registry.example", key=key)
    model_sha256 = write_package(models / "v1", target, tmp_path / "out", Progress())
    assert judged["subject"][0]["digest"]["sha256"] == model_sha256
    build_image(target, tmp_path / "out", Progress())
    folder = tmp_path / "evaluations"
    assert [file.name for file in folder.iterdir()] == [f"{DIGEST}.dsse.json"]
    envelope = (folder / f"{DIGEST}.dsse.json").read_bytes()
    final = payload(envelope)
    assert [subject["name"] for subject in final["subject"]] == ["model.onnx", "manifest.json", IMAGE]
    assert final["predicate"] == judged["predicate"]
    for subject in final["subject"]:
        attestation.check(envelope, subject["digest"]["sha256"], [signing.public_line(key)])


def test_a_report_without_its_own_signature_is_not_packaged(key: Path, models: Path, tmp_path: Path) -> None:
    run("evaluate", "--candidate", str(models / "v1"), "--key", str(key))
    file = models / "v1" / attestation.FILE
    target = Target("a", "v1", "registry.example", key=signing.chosen_key(None))
    with pytest.raises(ProblemError, match=r"is signed by another key: got key .*evaluate` with the same --key and"):
        write_package(models / "v1", target, tmp_path / "out", Progress())
    file.unlink()
    with pytest.raises(ProblemError, match="is missing: got no file, allowed a report that `evaluate` signed"):
        write_package(models / "v1", target, tmp_path / "out", Progress())
    assert not (tmp_path / "out").exists()


def test_a_report_that_was_edited_by_hand_is_not_packaged(key: Path, models: Path, tmp_path: Path) -> None:
    code, _, _ = run("evaluate", "--candidate", str(models / "v1"), "--floor", "accuracy=0.99", "--key", str(key))
    assert code == 1
    file = models / "v1" / "report.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"accepted": True, "reasons": ["all is well"]}))
    with pytest.raises(ProblemError, match=r"gate rejected the model: got accuracy: 0\.9550 misses"):
        write_package(models / "v1", Target("a", "v1", "r", key=key), tmp_path / "out", Progress())


def test_another_file_than_the_judged_one_is_not_packaged(key: Path, models: Path, tmp_path: Path) -> None:
    run("evaluate", "--candidate", str(models / "v1"), "--key", str(key))
    with pytest.raises(
        ProblemError, match="was evaluated in another format: got --format skops, allowed --format onnx"
    ):
        write_package(models / "v1", Target("a", "v1", "r", format="skops", key=key), tmp_path / "out", Progress())
    (models / "v1" / "packaged" / "model.onnx").write_bytes(b"other")
    with pytest.raises(
        ProblemError, match=r"packaged/model.onnx is not the file that was evaluated: got sha256 d9298a10"
    ):
        write_package(models / "v1", Target("a", "v1", "r", key=key), tmp_path / "out", Progress())


def test_a_model_that_was_not_evaluated_is_packaged_without_a_report(key: Path, tmp_path: Path) -> None:
    training.train(data.read_example(), tmp_path / "m")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / attestation.FILE).write_text("of an earlier package")
    write_package(tmp_path / "m", Target("a", "v1", "r", key=key), tmp_path / "out", Progress())
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["artifact", "reference_predictions.json"]


def test_the_key_is_the_option_the_variable_or_this_machines_own(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = signing.chosen_key(None)
    assert own == tmp_path / "state" / "evaluation-key.pem"
    assert signing.ensure_local_key() == signing.public_line(own)
    monkeypatch.setenv(signing.KEY_VARIABLE, str(key))
    assert signing.chosen_key(None) == key
    assert signing.chosen_key(own) == own
