"""Work folder of a stack: the tracked config wins, the salt and its secrets stay, the checkout is not touched."""

import stat
from pathlib import Path

import pytest
import yaml

from infra.engine.workspace import merged, prepare, stack_files, stack_names
from tools.problem import ProblemError

SALT = "encryptionsalt: v1:abc=:v1:def==\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: modelway\n")
    (tmp_path / "stacks/Pulumi.node.yaml").write_text("config:\n  modelway:a: 1\n")
    (tmp_path / "stacks/Pulumi.local.yaml").write_text("config: {}\n")
    return tmp_path


def test_the_first_copy_is_the_tracked_text() -> None:
    tracked = "# a comment\nconfig:\n  modelway:a: yes\n"
    assert merged(tracked, "") == tracked


def test_the_salt_of_the_copy_stays_and_the_tracked_config_wins() -> None:
    result = merged("config:\n  modelway:a: 2\n", f"config:\n  modelway:a: 1\n  modelway:old: 1\n{SALT}")
    assert yaml.safe_load(result) == {"config": {"modelway:a": 2}, "encryptionsalt": "v1:abc=:v1:def=="}


def test_secrets_set_in_the_copy_stay_with_their_salt() -> None:
    own = f"config:\n  modelway:token:\n    secure: v1:x\n  modelway:a: {{secure: v1:y}}\n{SALT}"
    result = yaml.safe_load(merged("config:\n  modelway:a: 2\n", own))
    assert result["config"] == {"modelway:a": 2, "modelway:token": {"secure": "v1:x"}}


def test_a_tracked_file_with_a_salt_of_its_own_is_taken_as_it_is() -> None:
    tracked = f"config:\n  modelway:a: {{secure: v1:tracked}}\n{SALT}"
    assert merged(tracked, "config:\n  modelway:b: {secure: v1:own}\nencryptionsalt: v1:other\n") == tracked


def test_a_tracked_file_without_config_still_gets_the_salt() -> None:
    assert yaml.safe_load(merged("", SALT)) == {"config": {}, "encryptionsalt": "v1:abc=:v1:def=="}


@pytest.mark.parametrize(
    "scalar", ["yes", "'yes'", "on", "010", "1e3", "0x1F", "2024-01-01", '"12"', "~", "1.0", "12:30:45", "'a: b'"]
)
def test_every_scalar_reads_for_the_engine_as_in_the_tracked_file(scalar: str) -> None:
    result = merged(f"config:\n  modelway:a: {scalar}\n", SALT)
    assert f"modelway:a: {scalar}\n" in result


def test_a_second_merge_changes_nothing() -> None:
    tracked = "config:\n  modelway:models:\n    - {name: a, weight: 90}\n"
    once = merged(tracked, SALT)
    assert merged(tracked, once) == once


def test_prepare_writes_private_copies_and_leaves_the_checkout_alone(project: Path) -> None:
    before = {file: file.read_text() for file in project.rglob("*.yaml")}
    files = stack_files("node", project)
    prepare(files)
    files.work_stack_file.write_text(files.work_stack_file.read_text() + SALT)
    folder = prepare(files)
    assert (folder / "Pulumi.yaml").read_text() == "name: modelway\n"
    assert "encryptionsalt" in (folder / "stacks/Pulumi.node.yaml").read_text()
    assert stat.S_IMODE((folder / "stacks/Pulumi.node.yaml").stat().st_mode) == 0o600
    assert {file: file.read_text() for file in before} == before


def test_an_unknown_stack_is_refused_with_the_nearest_name(project: Path) -> None:
    assert stack_names(project) == ["local", "node"]
    with pytest.raises(ProblemError) as raised:
        stack_files("nod", project)
    assert str(raised.value) == "STACK: no such stack: got 'nod', allowed local, node; did you mean `node`."


def test_a_far_name_gets_the_list(project: Path) -> None:
    with pytest.raises(ProblemError) as raised:
        stack_files("production", project)
    assert str(raised.value) == (
        "STACK: no such stack: got 'production', allowed local, node; "
        "write stacks/Pulumi.production.yaml or choose one of these."
    )
