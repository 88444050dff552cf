"""Ids of predictions: what they say, who can make them, and how keys are read."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from modelway_server.prediction_id import (
    ExpiredError,
    ForgedError,
    PlainIds,
    Signer,
    answers_of,
    read_keys,
)
from modelway_server.startup import StartupError

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
DIGEST = "5e" * 32
CLASSES = ("benign", "malignant", "unsure")
NOW = 1_800_000_000.9
ALPHABET = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class Clock:
    def __init__(self) -> None:
        self.seconds = NOW

    def __call__(self) -> float:
        return self.seconds


def signer(*keys: bytes, clock: Any = None, **changes: Any) -> Signer:
    given: dict[str, Any] = {
        "model": "cancer",
        "version": "v1",
        "digest": DIGEST,
        "classes": CLASSES,
        "expiry_seconds": 60,
        "clock": clock or Clock(),
    }
    return Signer(keys or (KEY,), **(given | changes))


def test_an_id_says_what_was_predicted_when_and_by_which_version() -> None:
    text = signer().issue("malignant")
    issued = signer().verify(text)
    assert len(text) == 55
    assert set(text) <= ALPHABET
    assert (issued.version, issued.value, issued.issued_seconds) == ("v1", 1, int(NOW))
    assert (issued.digest_prefix, issued.answers) == (bytes.fromhex("5e" * 8), answers_of(CLASSES))


@pytest.mark.parametrize("value", [0.0, -1.5, 3.4e38, 1e300, 0.1])
def test_the_value_of_a_regression_is_exact(value: float) -> None:
    regression = signer(classes=None)
    assert regression.verify(regression.issue(value)).value == value


def test_classes_that_are_numbers_or_truths_keep_their_index() -> None:
    for classes in ((7, 3), (False, True)):
        ids = signer(classes=classes)
        assert [ids.verify(text).value for text in ids.issue_many(classes)] == [0, 1]


def test_ids_are_unique() -> None:
    ids = [text for _ in range(20) for text in signer().issue_many(["benign"] * 1000)]
    assert len(set(ids)) == len({signer().verify(text).identity for text in ids}) == 20_000
    plain = PlainIds().issue_many(["benign"] * 1000)
    assert len(set(plain)) == 1000
    assert {len(text) for text in plain} == {32}


def test_another_process_verifies_with_the_same_key_whatever_version_it_serves() -> None:
    text = signer().issue("unsure")
    other = signer(version="v2", digest="00" * 32, classes=("no", "yes"))
    assert (other.verify(text).version, other.verify(text).value) == ("v1", 2)
    assert other.verify(text).answers != other.answers


def test_an_id_of_another_key_or_another_model_is_forged() -> None:
    text = signer().issue("benign")
    for stranger in (signer(OTHER_KEY), signer(model="loans")):
        with pytest.raises(ForgedError, match=r"^the id was not signed by this service$"):
            stranger.verify(text)


def test_no_character_can_be_changed_for_another_prediction() -> None:
    ids = signer()
    text = ids.issue("benign")
    identity = ids.verify(text).identity
    for position in range(len(text)):
        for character in "A_z-9":
            changed = text[:position] + character + text[position + 1 :]
            try:
                found = ids.verify(changed)
            except ForgedError:
                continue
            # The last character has bits that mean nothing: spelt otherwise, it is still the same prediction.
            assert found.identity == identity


@pytest.mark.parametrize(
    "text",
    ["", "A", "A" * 54, "A" * 55, "A" * 201, "é" * 55, "A" * 54 + "=", " " + "A" * 54, "A" * 54 + "\n", "\0" * 55],
)
def test_what_is_no_id_is_forged(text: str) -> None:
    with pytest.raises(ForgedError):
        signer().verify(text)


def test_an_id_expires_and_not_before() -> None:
    clock = Clock()
    ids = signer(clock=clock)
    text = ids.issue("benign")
    clock.seconds += 59
    assert ids.verify(text).value == 0
    clock.seconds += 2
    with pytest.raises(ExpiredError, match=r"^the id is older than 60 s$"):
        ids.verify(text)


def test_the_first_key_signs_and_all_verify() -> None:
    old, both, new = signer(KEY), signer(OTHER_KEY, KEY), signer(OTHER_KEY)
    assert both.verify(old.issue("benign")).value == 0
    assert new.verify(both.issue("benign")).value == 0
    with pytest.raises(ForgedError):
        old.verify(both.issue("benign"))


def test_versions_agree_on_answers_only_with_the_same_classes_in_the_same_order() -> None:
    groups = [None, ("a", "b"), ("b", "a"), ("a", "b", "c"), (0, 1), (False, True), ("0", "1")]
    assert len({answers_of(classes) for classes in groups}) == len(groups)
    assert answers_of(["a", "b"]) == answers_of(("a", "b"))


def test_keys_are_read_as_base64_or_hexadecimal_digits(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    lines = [
        KEY.hex(),
        "",
        base64.b64encode(OTHER_KEY).decode(),
        "  " + base64.urlsafe_b64encode(b"\xff" * 33).decode(),
    ]
    file.write_text("\n".join(lines))
    assert read_keys(file) == [KEY, OTHER_KEY, b"\xff" * 33]


def test_unusable_keys_are_named_by_line_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEY.hex()}\nc2hvcnQ=\nno key!\n")
    with pytest.raises(StartupError) as caught:
        read_keys(file)
    fix = "allowed at least 32 random bytes; write `openssl rand -base64 32`."
    assert caught.value.reasons == (
        f"{file} line 2: is no usable key: got 5 bytes, {fix}",
        f"{file} line 3: is no usable key: got neither base64 nor hexadecimal digits, {fix}",
    )


def test_a_key_file_that_is_missing_empty_or_binary_is_refused(tmp_path: Path) -> None:
    unreadable = "cannot be read: got {} ({}), allowed a readable file; mount the Secret."
    keyless = "names a file without a key: got {}, allowed one key per line; write one into it."
    cases = [
        (None, unreadable.format("{0}", "no such file or directory")),
        (b"\n\n", keyless),
        (b"\xff\xfe", unreadable.format("{0}", "not ascii text")),
    ]
    for content, expected in cases:
        file = tmp_path / "keys"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(StartupError) as caught:
            read_keys(file)
        assert str(caught.value) == "MODELWAY_FEEDBACK_KEY_FILE: " + expected.format(file)


def test_ids_of_a_forked_process_are_its_own() -> None:
    ids = signer()
    ids.issue("benign")
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, ids.issue("benign").encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read_end, 200).decode()
    os.close(read_end)
    os.close(write_end)
    assert ids.verify(theirs).identity != ids.verify(ids.issue("benign")).identity
