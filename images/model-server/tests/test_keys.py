import hashlib
from pathlib import Path

import pytest
from modelway_server.errors import ApiError
from modelway_server.keys import ApiKeys
from modelway_server.startup import StartupError


def line(key: str, name: str = "") -> str:
    return (f"{name}:" if name else "") + hashlib.sha256(key.encode()).hexdigest() + "\n"


def accepted(keys: ApiKeys, key: str) -> bool:
    try:
        keys.check({b"x-api-key": key.encode()})
    except ApiError as error:
        return error.status != 401
    return True


def replace(path: Path, content: str) -> None:
    """As Kubernetes does it: a new file takes the name."""
    new = path.with_suffix(".new")
    new.write_text(content)
    new.replace(path)


def test_an_old_and_a_new_key_hold_at_once_until_the_old_is_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(line("old", "first"))
    keys = ApiKeys.read(path)
    assert (accepted(keys, "old"), accepted(keys, "new"), accepted(keys, "")) == (True, False, False)
    replace(path, line("old", "first") + line("new"))
    keys.refresh()
    assert (accepted(keys, "old"), accepted(keys, "new")) == (True, True)
    replace(path, line("new"))
    keys.refresh()
    assert (accepted(keys, "old"), accepted(keys, "new")) == (False, True)


@pytest.mark.parametrize("broken", ["", "the-key-itself\n"])
def test_a_file_that_breaks_later_leaves_the_keys_in_force(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "keys"
    path.write_text(line("old"))
    keys = ApiKeys.read(path)
    replace(path, broken)
    keys.refresh()
    assert accepted(keys, "old")


def test_a_missing_file_and_a_key_in_clear_stop_the_start_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with pytest.raises(StartupError) as caught:
        ApiKeys.read(path)
    assert caught.value.reasons == (
        f"MODELWAY_API_KEY_FILE: cannot be read: got {path} (no such file or directory), allowed a readable file; "
        "check the mount.",
    )
    path.write_text(line("old") + "the-key-itself\n")
    with pytest.raises(StartupError) as caught:
        ApiKeys.read(path)
    assert caught.value.reasons == (
        f"MODELWAY_API_KEY_FILE: has a line that is no key: got line 2 of {path}, allowed name:sha256 in hexadecimal, "
        "one per line; hash the key with sha256sum.",
    )
