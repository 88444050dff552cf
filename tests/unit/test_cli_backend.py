"""Backend and passphrase: embedded by default, never empty, never replaced; Pulumi's own variables win."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.engine.backend import backend
from tools.problem import ProblemError


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path))
    return tmp_path


def problem_of(make: Callable[[], object]) -> str:
    with pytest.raises(ProblemError) as raised:
        make()
    return str(raised.value)


def test_the_embedded_backend_has_a_random_private_passphrase(state: Path) -> None:
    used = backend({})
    file = state / "passphrase"
    assert used.environment == {
        "PULUMI_BACKEND_URL": f"file://{state}/backend",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(file),
    }
    assert used.folder == state / "backend"
    assert used.sentence == f"State: {state}/backend, the embedded backend."
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((state / "backend").stat().st_mode) == 0o700
    assert len(file.read_text().strip()) == 43
    first = file.read_text()
    backend({})
    assert file.read_text() == first


def test_a_passphrase_that_others_could_read_is_made_private(state: Path) -> None:
    (state / "passphrase").write_text("secret\n")
    (state / "passphrase").chmod(0o644)
    backend({})
    assert stat.S_IMODE((state / "passphrase").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_lost_passphrase_is_not_replaced_while_stacks_need_it(state: Path, content: str | None) -> None:
    stacks = state / "backend/.pulumi/stacks/modelway"
    stacks.mkdir(parents=True)
    (stacks / "node.json").write_text("{}")
    if content is not None:
        (state / "passphrase").write_text(content)
    assert "the passphrase of this machine's stacks is lost" in problem_of(lambda: backend({}))


def test_a_backend_of_the_users_wins_and_is_named(state: Path) -> None:
    used = backend({"PULUMI_BACKEND_URL": "s3://states", "PULUMI_CONFIG_PASSPHRASE": "p"})
    assert used.sentence == "State: s3://states, as PULUMI_BACKEND_URL says."
    assert used.environment == {}
    assert used.folder is None
    assert list(state.iterdir()) == []


def test_a_file_backend_of_the_users_is_healed_in_its_folder() -> None:
    used = backend({"PULUMI_BACKEND_URL": "file:///srv/states", "PULUMI_CONFIG_PASSPHRASE": "p"})
    assert used.folder == Path("/srv/states")


def test_a_shared_backend_is_never_encrypted_with_this_machines_passphrase() -> None:
    assert problem_of(lambda: backend({"PULUMI_BACKEND_URL": "s3://states"})).startswith(
        "PULUMI_CONFIG_PASSPHRASE_FILE: no passphrase for the stacks of s3://states: got neither"
    )
    assert backend({"PULUMI_BACKEND_URL": "s3://states"}, encrypts_itself=True).environment == {}


def test_a_token_means_pulumi_cloud() -> None:
    used = backend({"PULUMI_ACCESS_TOKEN": "pul-x"})
    assert used.sentence == "State: Pulumi Cloud, because PULUMI_ACCESS_TOKEN is set."
    assert used.environment == {}


def test_a_passphrase_of_the_users_is_used_with_the_embedded_backend(state: Path) -> None:
    used = backend({"PULUMI_CONFIG_PASSPHRASE": "p"})
    assert used.environment == {"PULUMI_BACKEND_URL": f"file://{state}/backend"}


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    assert problem_of(lambda: backend({"PULUMI_CONFIG_PASSPHRASE": ""})) == (
        "PULUMI_CONFIG_PASSPHRASE: an empty passphrase encrypts nothing: got an empty value, allowed a passphrase, "
        "or the variable not set at all; run `unset PULUMI_CONFIG_PASSPHRASE` to use this machine's own."
    )
    empty = tmp_path / "empty"
    empty.touch()
    for named in (empty, tmp_path / "absent"):
        sentence = problem_of(lambda named=named: backend({"PULUMI_CONFIG_PASSPHRASE_FILE": str(named)}))
        assert sentence.startswith(f"PULUMI_CONFIG_PASSPHRASE_FILE: no passphrase in the file it names: got {named}")
