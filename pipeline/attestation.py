"""Signed evaluation reports: an in-toto Statement in a DSSE envelope.

The Statement (https://in-toto.io/Statement/v1) names by sha256 what it speaks of: the model file, and once packaged
also the artifact's manifest and the image. Its predicate is in-toto's own Test Result
(https://in-toto.io/attestation/test-result/v0.1) with the whole report beside it.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import signing
from tools.paths import evaluations_dir
from tools.problem import Problem, ProblemError

if TYPE_CHECKING:
    from securesystemslib.signer import Key  # type: ignore[attr-defined]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
PASSED, FAILED = "PASSED", "FAILED"
FILE = "evaluation.dsse.json"
"""Name of the envelope beside a report or an artifact."""


class RefusalError(Exception):
    """Why a report does not speak for a version: the middle of one sentence."""

    def __init__(self, what: str, got: str, allowed: str) -> None:
        self.what, self.got, self.allowed = what, got, allowed
        super().__init__(f"{what}: got {got}, allowed {allowed}")


def envelope_name(sha256: str) -> str:
    """Name of the envelope of what has this digest, in a folder of many."""
    return f"{sha256}.dsse.json"


def statement(subjects: Mapping[str, str], report: Mapping[str, Any]) -> dict[str, Any]:
    """The Statement on `subjects`, sha256 by name, that carries the gate's `report`."""
    rules = json.dumps(report["rules"], sort_keys=True).encode()
    inputs = {
        "rules": hashlib.sha256(rules).hexdigest(),
        "held-out rows": report["held_out_sha256"],
        "champion": report["champion_sha256"],
    }
    checks: Mapping[str, bool] = report["checks"]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in subjects.items()],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": PASSED if report["accepted"] else FAILED,
            "configuration": [{"name": name, "digest": {"sha256": sum_}} for name, sum_ in inputs.items() if sum_],
            "passedTests": [name for name, held in checks.items() if held],
            "failedTests": [name for name, held in checks.items() if not held],
            "report": dict(report),
        },
    }


def sign(document: Mapping[str, Any], key: Path) -> bytes:
    """The envelope around `document`, signed with the private key in the file `key`; raises `ProblemError`."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    payload = json.dumps(document, sort_keys=True, ensure_ascii=False).encode()
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(signing.load(key)))
    return (json.dumps(envelope.to_dict(), indent=1) + "\n").encode()


def verify(content: bytes, public_lines: Sequence[str]) -> dict[str, Any]:
    """The Statement in the envelope `content`, when one of the keys signed it; raises `RefusalError`."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError, VerificationError

    try:
        envelope = Envelope.from_dict(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, FormatError):
        raise RefusalError("is not signed", "no DSSE envelope", "an envelope that `pipeline` signed") from None
    if not envelope.signatures:
        raise RefusalError("is not signed", "an envelope without a signature", "one that `pipeline` signed")
    keys: list[Key] = [_public_key(line) for line in public_lines]
    known = {key.keyid for key in keys} & set(envelope.signatures)
    if not known:
        got = "key " + ", ".join(name[:12] for name in envelope.signatures)
        allowed = "key " + " or ".join(key.keyid[:12] for key in keys)
        raise RefusalError("is signed by another key", got, f"{allowed} of modelway:evaluation.publicKeys")
    try:
        envelope.verify(keys, threshold=1)
    except VerificationError:
        raise RefusalError(
            "was changed after it was signed", "a signature that does not fit", "the signed bytes"
        ) from None
    return _statement(envelope.payload, envelope.payload_type)


def check(content: bytes, sha256: str, public_lines: Sequence[str]) -> None:
    """Raise `RefusalError` unless `content` is a passed report on what has this sha256, signed by one of the keys."""
    document = verify(content, public_lines)
    digests = [str(subject["digest"].get("sha256")) for subject in document["subject"]]
    if sha256 not in digests:
        shown = ", ".join(f"sha256 {digest[:12]}…" for digest in digests) or "no digest"
        raise RefusalError("is for another digest", shown, f"sha256 {sha256[:12]}…")
    predicate = document["predicate"]
    if predicate.get("result") != PASSED:
        report = predicate.get("report") or {}
        reasons = "; ".join(map(str, report.get("reasons") or [])) or str(predicate.get("result"))
        raise RefusalError("says that the gate rejected the model", reasons, PASSED)


def write_signed(folder: Path, subjects: Mapping[str, str], report: Mapping[str, Any], key: Path) -> Path:
    """Sign the gate's `report` on `subjects` into `folder`; returns the file."""
    file = folder / FILE
    file.write_bytes(sign(statement(subjects, report), key))
    return file


def publish(envelope: Path, image: str, folder: Path | None = None) -> Path:
    """Put the envelope of an image (`REPOSITORY@sha256:…`) where stacks look for it; returns the file."""
    folder = folder or evaluations_dir()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / envelope_name(image.rpartition("sha256:")[2])
    new = file.with_name(f".{file.name}.new")
    new.write_bytes(envelope.read_bytes())
    new.replace(file)
    return file


def check_key(where: str, line: str) -> Problem | None:
    """What is wrong with a public key that stands at the config key `where`."""
    if signing.LINE.fullmatch(line):
        return None
    allowed = "the line that `python -m pipeline key FILE` prints"
    return Problem(where, "is no ed25519 public key", repr(line), allowed, "copy that line")


def _public_key(line: str) -> "Key":
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    return SSlibKey.from_crypto(load_der_public_key(base64.b64decode(line)))


def _statement(payload: bytes, payload_type: str) -> dict[str, Any]:
    allowed = f"an in-toto Statement with predicate {PREDICATE_TYPE}"
    try:
        document = json.loads(payload)
        kinds = (payload_type, document["_type"], document["predicateType"])
        subjects = [subject["digest"]["sha256"] for subject in document["subject"]]
        document["predicate"]["result"]
    except (ValueError, KeyError, TypeError):
        raise RefusalError("is no evaluation report", "other content", allowed) from None
    if kinds != (PAYLOAD_TYPE, STATEMENT_TYPE, PREDICATE_TYPE) or not all(isinstance(each, str) for each in subjects):
        raise RefusalError("is no evaluation report", " ".join(map(str, kinds)), allowed)
    return dict(document)


def accepted_by(envelope: Path, sha256: str, line: str) -> bool:
    """Whether `envelope` is a passed report on what has this sha256, signed by the key of `line`."""
    try:
        check(envelope.read_bytes(), sha256, [line])
    except (OSError, RefusalError):
        return False
    return True


def own_report(folder: Path, key: Path, sha256: str) -> dict[str, Any]:
    """The Statement that `evaluate` left in `folder` on what has this sha256, signed with the private key `key`.

    Raises `ProblemError` when it is missing, says otherwise or was signed with another key.
    """
    line = signing.public_line(key)
    try:
        content = (folder / FILE).read_bytes()
        check(content, sha256, [line])
    except OSError:
        error = RefusalError("is missing", "no file", "a report that `evaluate` signed")
    except RefusalError as refusal:
        error = refusal
    else:
        return verify(content, [line])
    fix = "run `python -m pipeline evaluate` with the same --key and --format again"
    raise ProblemError([Problem(str(folder / FILE), error.what, error.got, error.allowed, fix)])


def extended(document: Mapping[str, Any], subjects: Mapping[str, str]) -> dict[str, Any]:
    """The Statement with `subjects`, sha256 by name, besides its own."""
    own = [entry for entry in document["subject"] if entry["name"] not in subjects]
    more = [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in subjects.items()]
    return {**document, "subject": [*own, *more]}
