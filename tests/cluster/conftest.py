"""One stack on a one-node Kubernetes of its own, made by the real command line, shared by the tests."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.stack import PORTS, PROJECT, Stack, modelway

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack `node`, up; afterwards it is taken down and the node with it."""
    state = tmp_path_factory.mktemp("state")
    environment = {
        **os.environ,
        **PORTS,
        "MODELWAY_STATE_DIR": str(state),
        "MODELWAY_IMAGES_LOCK": str(state / "images.lock.json"),
    }
    try:
        first = modelway(environment, "up", "node", check=True)
        yield Stack(state, environment, first.stdout)
    finally:
        subprocess.run([sys.executable, "-m", "tools.node", "down"], cwd=PROJECT, env=environment, check=True)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a sentence with a measured figure, which is printed at the end of the run, passed or not."""
    return request.config.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures."""
    if found := config.stash.get(FIGURES, []):
        terminalreporter.section("figures")
        for sentence in found:
            terminalreporter.write_line(sentence)
