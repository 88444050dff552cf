import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelway_server.service import Service
from server_testing import start, write_artifact


@pytest.fixture(scope="session")
def classification(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_artifact(tmp_path_factory.mktemp("classification"))


@pytest.fixture(scope="session")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_artifact(tmp_path_factory.mktemp("regression"), "regression")


@pytest.fixture
def service(classification: Path) -> Service:
    return start(classification, MODELWAY_MAX_ROWS="3", MODELWAY_MAX_BODY_BYTES="2000")


@pytest.fixture
def scored(classification: Path, tmp_path: Path) -> Service:
    """A service that takes feedback."""
    (tmp_path / "key").write_text("0" * 64)
    return start(classification, MODELWAY_FEEDBACK_KEY_FILE=str(tmp_path / "key"), MODELWAY_MAX_BODY_BYTES="2000")


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
