"""Every hostile file is refused with its own sentence, by a process that ends by itself and runs nothing of it."""

from collections.abc import Iterator
from pathlib import Path

import hostile
import pytest
from server_testing import Starter

REASONS = hostile.reasons()


@pytest.fixture(scope="module")
def starter() -> Iterator[Starter]:
    with Starter(warm=True) as running:
        yield running


@pytest.mark.parametrize("case", hostile.corpus(), ids=lambda case: case.name)
def test_a_hostile_file_is_refused_with_its_reason(case: hostile.Case, starter: Starter, tmp_path: Path) -> None:
    folder, marker = tmp_path / "artifact", tmp_path / "marker"
    case.write(folder, marker)
    code, errors = starter.start(folder, tmp_path / "errors")
    said = errors.replace(str(folder), "{folder}").replace(str(tmp_path), "{parent}")
    assert (code, said) == (1, REASONS[case.name] + "\n")
    assert not marker.exists()


def test_every_reason_belongs_to_a_case() -> None:
    assert [case.name for case in hostile.corpus()] == list(REASONS)
