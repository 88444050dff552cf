"""The real engine with the stand-in plugins, and a real API server without nodes, shared by the engine tests."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation as auto
from pulumi.automation.events import EngineEvent

from infra.engine.stack import LeanStack, StateWorkspace
from tests.engine.apiserver import Api, running
from tests.engine.cloud_stacks import Clouds, clouds
from tools.paths import PROJECT
from tools.progress import Progress
from tools.toolchain import ensure

TOOLS = ("pulumi", "kubectl", "helm", "etcd", "kube-apiserver", "kube-controller-manager")
LAUNCHERS = {
    "pulumi-resource-kubernetes": "tools.plugins.kubernetes",
    "pulumi-resource-command": "tools.plugins.command",
    "pulumi-language-python": "tools.plugins.language_python",
}
PASSPHRASE = "only for tests"
OFFICIAL = os.environ.get("MODELWAY_TEST_PLUGIN", "")
"""Path of the official `pulumi-resource-kubernetes`, to run the tests of the stand-in with it; empty for the stand-in."""


@pytest.fixture(scope="session", autouse=True)
def _unfinished_programs() -> None:
    """The SDK drops the coroutines of a program that fails; Python tells so whenever it collects them."""
    sys.unraisablehook = lambda _: None


@pytest.fixture(scope="session")
def binaries() -> dict[str, Path]:
    """The programs that engine tests run, by name."""
    return {name: tool.path for name, tool in ensure(TOOLS, Progress()).items()}


@pytest.fixture(scope="session")
def api(binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A real API server; tests share it and use namespaces of their own."""
    with running(tmp_path_factory.mktemp("api"), binaries) as server:
        yield server


@pytest.fixture(scope="session")
def tool_root(binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `bin` holds the engine, its tools and launchers of the stand-ins."""
    root = tmp_path_factory.mktemp("tools")
    (root / "bin").mkdir()
    for name in ("pulumi", "kubectl", "helm"):
        (root / "bin" / name).symlink_to(binaries[name])
    for name, module in LAUNCHERS.items():
        launcher = root / "bin" / name
        launcher.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m {module} "$@"\n')
        launcher.chmod(0o755)
    if OFFICIAL:
        (root / "bin/pulumi-resource-kubernetes").unlink()
        (root / "bin/pulumi-resource-kubernetes").symlink_to(Path(OFFICIAL).resolve(strict=True))
    return root


@pytest.fixture(scope="session")
def environment(tool_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which the engine finds the stand-ins and nothing of this machine's Pulumi or clusters."""
    home = tmp_path_factory.mktemp("home")
    # The engine logs every property of every request into this folder, at several times the cost of the work itself;
    # it goes without where the folder cannot be made.
    (home / "logs").touch()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "KUBE", "HELM_"))}
    return {
        **kept,
        "PATH": f"{tool_root / 'bin'}:{os.environ['PATH']}",
        "HELM_CACHE_HOME": str(home),
        "HELM_CONFIG_HOME": str(home),
        "HELM_DATA_HOME": str(home),
        "KUBECONFIG": str(home / "none"),
        "PULUMI_HOME": str(home),
        # Every program here ends before its garbage would matter; collecting it costs a tenth of its time.
        "GOGC": "off",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
    }


def _project(folder: Path) -> auto.ProjectSettings:
    return auto.ProjectSettings("tests", "python", backend=auto.ProjectBackend(f"file://{folder / 'backend'}"))


class _Auto(LeanStack):
    """Its `up` does not ask the engine for outputs, which few tests read."""

    def outputs(self) -> auto.OutputMap:
        return {}


class Stack:
    """One stack with a file backend of its own; each operation takes the program it runs."""

    def __init__(self, folder: Path, command: auto.PulumiCommand, environment: dict[str, str], empty: Path) -> None:
        self.folder = folder
        shutil.copytree(empty, folder, dirs_exist_ok=True)
        settings = {"env_vars": environment, "project_settings": _project(folder), "pulumi_command": command}
        workspace = StateWorkspace(work_dir=str(folder), **settings)
        self.auto = _Auto.select("dev", workspace)
        self.said: list[str] = []

    def _run(self, verb: str, program: Callable[[], None], **options: Any) -> dict[str, int]:
        """Resources per operation."""
        counts: dict[str, int] = {}
        heard = options.pop("on_event", lambda _event: None)

        def count(event: EngineEvent) -> None:
            heard(event)
            if event.summary_event:
                changes = event.summary_event.resource_changes.items()
                counts.update({str(getattr(key, "value", key)): number for key, number in changes})

        self.auto.workspace.program = program
        getattr(self.auto, verb)(on_output=self.said.append, on_event=count, **options)
        return counts

    def up(self, program: Callable[[], None], **options: Any) -> dict[str, int]:
        """Count of resources per operation."""
        return self._run("up", program, **options)

    def preview(self, program: Callable[[], None], **options: Any) -> dict[str, int]:
        """Count of resources per planned operation."""
        return self._run("preview", program, **options)

    def refresh(self, program: Callable[[], None]) -> dict[str, int]:
        """Count of resources per operation."""
        return self._run("refresh", program)

    def destroy(self, program: Callable[[], None]) -> dict[str, int]:
        """Count of resources per operation."""
        return self._run("destroy", program)

    def refused(self, verb: str, program: Callable[[], None], **options: Any) -> str:
        """What the engine says of an operation that must fail."""
        with pytest.raises(auto.CommandError) as caught:
            self._run(verb, program, **options)
        return str(caught.value)

    def outputs(self, secrets: str = "--show-secrets") -> dict[str, Any]:
        """The stack's outputs; without `secrets` those that are secrets as `HIDDEN`."""
        command = ["stack", "output", "--json", "--stack", "dev", *secrets.split()]
        workspace = self.auto.workspace
        return dict(json.loads(workspace.pulumi_command.run(command, workspace.work_dir, workspace.env_vars).stdout))

    def state(self, name: str) -> dict[str, Any]:
        """The recorded state of the one resource with this logical name."""
        (file,) = (self.folder / "backend/.pulumi/stacks").rglob("dev.json")
        resources = json.loads(file.read_text())["checkpoint"]["latest"]["resources"]
        (found,) = [item for item in resources if item["urn"].endswith(f"::{name}")]
        return dict(found)

    def stored(self) -> str:
        """Everything that the backend wrote."""
        files = sorted(path for path in (self.folder / "backend").rglob("*") if path.is_file())
        return "\n".join(path.read_text(errors="replace") for path in files)


@pytest.fixture(scope="session")
def pulumi_command(tool_root: Path) -> auto.PulumiCommand:
    """The engine's command line."""
    return auto.PulumiCommand(str(tool_root))


@pytest.fixture(scope="session")
def empty_stack(
    tmp_path_factory: pytest.TempPathFactory, pulumi_command: auto.PulumiCommand, environment: dict[str, str]
) -> Path:
    """Backend and files of a stack without resources; a copy spares each test one start of the engine."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "backend").mkdir()
    settings = {"env_vars": environment, "project_settings": _project(folder), "pulumi_command": pulumi_command}
    StateWorkspace(work_dir=str(folder), **settings).create_stack("dev")
    return folder


@pytest.fixture
def stack(tmp_path: Path, pulumi_command: auto.PulumiCommand, environment: dict[str, str], empty_stack: Path) -> Stack:
    """A new stack."""
    return Stack(tmp_path / "stack", pulumi_command, dict(environment), empty_stack)


@pytest.fixture
def namespace(api: Api, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = str(request.node.name).removeprefix("test_").replace("_", "-")[:60].rstrip("-")
    api.kubectl("create", "namespace", name)
    return name


@pytest.fixture
def made(tmp_path: Path, environment: dict[str, str], binaries: dict[str, Path]) -> Clouds:
    """A checkout whose engine finds the recorder of cloud stacks."""
    assert binaries["pulumi"].exists()
    return clouds(tmp_path / "clouds", environment)
