"""One stack on a one-node Kubernetes of its own, made by the real command line, shared by the tests."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cluster.stack import PORTS, PROJECT, Stack, modelway


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
