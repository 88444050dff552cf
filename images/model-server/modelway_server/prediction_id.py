"""Names of predictions: signed, so that any replica knows from the id alone what was predicted, when, by which version.

An id is URL-safe base64 without padding of

    format 1 byte | digest 8 | answers 4 | seconds 4 | nonce 8 | subject 0 or 8 | value 2 or 8 | version | HMAC 12

`format` is 1 for a class, whose index is the value (unsigned 16 bits), and 2 for a number (float64); 3 and 4 are the
same with the subject of an experiment, a keyed hash of the user's key. `version` is its name. `digest` begins
the sha256 of the model file and `answers` the sha256 of the classes. The HMAC is HMAC-SHA256 cut to 96 bits (RFC 2104,
section 5, wants at least 80), under a key that is derived per model: ids of one model are forged for all others.
"""

import binascii
import hashlib
import hmac
import os
import re
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelway_server.signature import ClassLabel
from modelway_server.startup import StartupError, sentence

MINIMUM_KEY_BYTES = 32
MAXIMUM_ID_CHARACTERS = 200

_CLASS, _NUMBER, _SUBJECT_CLASS, _SUBJECT_NUMBER = b"\x01", b"\x02", b"\x03", b"\x04"
SUBJECT_BYTES = 8
_INDEX, _DOUBLE = struct.Struct(">H"), struct.Struct(">d")
_SECONDS = struct.Struct(">I")
_DIGEST, _ANSWERS, _NONCE, _MAC = 8, 4, 8, 12
_HEAD = 1 + _DIGEST + _ANSWERS + _SECONDS.size + _NONCE
_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
_CHARACTERS = re.compile(rf"[A-Za-z0-9_-]{{1,{MAXIMUM_ID_CHARACTERS}}}")


class ForgedError(Exception):
    """No key of this server signed the id, or it was signed for another model."""


class ExpiredError(Exception):
    """The id is genuine and too old."""


@dataclass(frozen=True)
class Issued:
    """What a genuine id says."""

    version: str
    """Name of the version that predicted."""
    digest_prefix: bytes
    """First 8 bytes of the sha256 of the model file that predicted."""
    answers: bytes
    """Equal between versions with the same classes in the same order, and between regressions."""
    issued_seconds: int
    """When, in seconds since 1970."""
    value: int | float
    """Index of the predicted class, or the value of a regression."""
    subject: bytes
    """Names the subject of an experiment whom the split brought, equal in all versions; empty for other predictions."""
    identity: bytes
    """The bytes that name this prediction, whichever key signed them and however the id was spelt."""


class PlainIds:
    """Random ids of servers without a key, 32 hexadecimal digits: they name a prediction and say nothing of it."""

    def issue(self, prediction: ClassLabel | float) -> str:
        """One id."""
        return self.issue_many((prediction,))[0]

    def subject(self, _key: bytes | None) -> bytes:
        """Nothing: nobody could read it from a random id."""
        return b""

    def issue_many(self, predictions: Sequence[ClassLabel | float], _subject: bytes = b"") -> list[str]:
        """One id per prediction."""
        noise = os.urandom(16 * len(predictions)).hex()
        return [noise[start : start + 32] for start in range(0, len(noise), 32)]


class Signer:
    """Issues and verifies the ids of one model version. Thread-safe, and safe to share by `fork`."""

    def __init__(
        self,
        keys: Sequence[bytes],
        model: str,
        version: str,
        digest: str,
        classes: Sequence[ClassLabel] | None,
        expiry_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`keys`: the first signs, all verify; `digest`: sha256 of the model file; `classes`: None for a regression."""
        self.answers = answers_of(classes)
        self._macs = [_keyed(key, model) for key in keys]
        self._sign = self._macs[0]
        self._subject_key = hmac.digest(keys[0], b"modelway subject 1\n" + model.encode(), "sha256")
        formats = (_NUMBER, _SUBJECT_NUMBER) if classes is None else (_CLASS, _SUBJECT_CLASS)
        self._starts = [kind + bytes.fromhex(digest)[:_DIGEST] + self.answers for kind in formats]
        self._version = version.encode()
        self._values = None if classes is None else {label: _INDEX.pack(i) for i, label in enumerate(classes)}
        self._expiry_seconds = expiry_seconds
        self._clock = clock

    def issue(self, prediction: ClassLabel | float) -> str:
        """One id for a predicted class, or for the value of a regression."""
        return self.issue_many((prediction,))[0]

    def subject(self, key: bytes | None) -> bytes:
        """The subject that a user's key names, equal in all pods; None names one of its own."""
        if key is None:
            return os.urandom(SUBJECT_BYTES)
        return hashlib.blake2b(key, key=self._subject_key, digest_size=SUBJECT_BYTES).digest()

    def issue_many(self, predictions: Sequence[ClassLabel | float], subject: bytes = b"") -> list[str]:
        """One id per prediction, about 2 µs each; `subject` says whose they are."""
        start, end = self._starts[bool(subject)] + _SECONDS.pack(int(self._clock())), self._version
        noise, at = os.urandom(_NONCE * len(predictions)), 0
        values = self._values
        sign, encode, pack = self._sign, binascii.b2a_base64, _DOUBLE.pack
        ids = []
        for prediction in predictions:
            value = pack(prediction) if values is None else values[prediction]  # type: ignore[index]
            payload = start + noise[at : at + _NONCE] + subject + value + end
            at += _NONCE
            mac = sign.copy()
            mac.update(payload)
            text = encode(payload + mac.digest()[:_MAC], newline=False).translate(_TO_URL)
            ids.append(text.rstrip(b"=").decode("ascii"))
        return ids

    def verify(self, text: str) -> Issued:
        """What the id says; raises `ForgedError` or `ExpiredError`."""
        payload = self._genuine(_decode(text))
        size = _INDEX if payload[:1] in (_CLASS, _SUBJECT_CLASS) else _DOUBLE
        value_at = _HEAD + (SUBJECT_BYTES if payload[:1] in (_SUBJECT_CLASS, _SUBJECT_NUMBER) else 0)
        answers_at = 1 + _DIGEST
        seconds_at = answers_at + _ANSWERS
        issued = Issued(
            version=payload[value_at + size.size :].decode(),
            digest_prefix=payload[1:answers_at],
            answers=payload[answers_at:seconds_at],
            issued_seconds=_SECONDS.unpack_from(payload, seconds_at)[0],
            value=size.unpack_from(payload, value_at)[0],
            subject=payload[_HEAD:value_at],
            identity=payload,
        )
        if self._clock() - issued.issued_seconds > self._expiry_seconds:
            raise ExpiredError(f"the id is older than {self._expiry_seconds:g} s")
        return issued

    def _genuine(self, content: bytes) -> bytes:
        payload, given = content[:-_MAC], content[-_MAC:]
        for key in self._macs:
            mac = key.copy()
            mac.update(payload)
            if hmac.compare_digest(mac.digest()[:_MAC], given):
                return payload
        raise ForgedError("the id was not signed by this service")


def answers_of(classes: Sequence[ClassLabel] | None) -> bytes:
    """Four bytes that are equal for equal classes in equal order; a regression (None) has its own."""
    kinds = None if classes is None else [(type(label).__name__, str(label)) for label in classes]
    return hashlib.sha256(repr(kinds).encode()).digest()[:_ANSWERS]


def read_keys(path: Path) -> list[bytes]:
    """Keys of a file, one per line as base64 or hexadecimal digits; raises `StartupError`, which shows no key."""
    variable = "MODELWAY_FEEDBACK_KEY_FILE"
    try:
        lines = [line.strip() for line in path.read_text("ascii").splitlines()]
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "not ASCII text").lower()
        raise StartupError(
            sentence(variable, "cannot be read", f"{path} ({reason})", "a readable file", "mount the Secret")
        ) from None
    keys, reasons = [], []
    for number, line in enumerate(lines, 1):
        key = _key(line)
        if key is not None and len(key) >= MINIMUM_KEY_BYTES:
            keys.append(key)
        elif line:
            got = "neither base64 nor hexadecimal digits" if key is None else f"{len(key)} bytes"
            allowed = f"at least {MINIMUM_KEY_BYTES} random bytes"
            reasons.append(
                sentence(f"{path} line {number}", "is no usable key", got, allowed, "write `openssl rand -base64 32`")
            )
    if not keys and not reasons:
        reasons.append(
            sentence(variable, "names a file without a key", str(path), "one key per line", "write one into it")
        )
    if reasons:
        raise StartupError(reasons)
    return keys


def _key(line: str) -> bytes | None:
    # 64 hexadecimal digits are valid base64 too: what can be read as digits is meant so.
    if re.fullmatch(r"([0-9a-fA-F]{2})+", line):
        return bytes.fromhex(line)
    try:
        return binascii.a2b_base64(line.encode().translate(_FROM_URL), strict_mode=True)
    except binascii.Error:
        return None


def _keyed(key: bytes, model: str) -> hmac.HMAC:
    # Keyed once: a copy of this costs a third of an HMAC from the start.
    derived = hmac.digest(key, b"modelway prediction id 1\n" + model.encode(), "sha256")
    return hmac.new(derived, digestmod="sha256")


def _decode(text: str) -> bytes:
    padded = text + "=" * (-len(text) % 4)
    if _CHARACTERS.fullmatch(text):
        try:
            content = binascii.a2b_base64(padded.encode().translate(_FROM_URL), strict_mode=True)
        except binascii.Error:
            content = b""
        if len(content) > _HEAD + _INDEX.size + _MAC:
            return content
    raise ForgedError("the id is none that this service gave")
