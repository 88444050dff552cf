"""From killed runs to nothing left: the stack taken down, made again under kills, and its end."""

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.cluster.stack import FULL, PROJECT, Stack

pytestmark = pytest.mark.cluster

NAMESPACES = ("modelway-gateway", "modelway-models", "modelway-monitoring")
KILLS = 10 if FULL else 3


def start_up(stack: Stack) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "infra.cli", "up", "node"],
        cwd=PROJECT,
        env=dict(stack.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def ours(stack: Stack) -> list[str]:
    namespaces = stack.kubectl("get", "namespaces", "-o", "name").split()
    definitions = stack.kubectl("get", "crds", "-o", "name").split()
    left = [name for name in namespaces if "modelway" in name]
    return left + [name for name in definitions if "gateway" in name]


def test_down_leaves_nothing_in_the_cluster_and_killed_ups_are_finished_by_the_next(
    stack: Stack, figure: Callable[[str], None]
) -> None:
    stack.modelway("down", "node")
    assert ours(stack) == []
    chance = random.Random(20261123)
    moments = [round(chance.uniform(1, 25), 1) for _ in range(KILLS)]
    for moment in moments:
        process = start_up(stack)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    figure(f"killed `up` after {moments} s")
    finished = stack.modelway("up", "node").stdout
    assert f"{stack.gateway}/breast-cancer/predict" in finished
    again = stack.modelway("up", "node").stdout
    assert re.search(r"\b0 created, 0 updated, 0 replaced, 0 deleted\b", again), again
    for namespace in NAMESPACES:
        pods = stack.kubectl("get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].status.phase}").split()
        assert set(pods) == {"Running"}
