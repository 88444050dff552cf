"""A copy of the checkout as users have it, with a state folder, for the literal `pulumi` command line."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.ground import NODE_IMAGES
from tools.paths import PROJECT

DIGEST = "sha256:" + "b" * 64
LINKED = ("infra", "components", "tools", "pipeline", "policies")


@dataclass(frozen=True)
class Checkout:
    """Copies of what the engine may write, links to the rest."""

    folder: Path
    environment: Mapping[str, str]

    def config(self, stack: str, **config: Any) -> None:
        """Write a stack file with these keys of `modelway:`."""
        document = {"config": {f"modelway:{key}": value for key, value in config.items()}}
        (self.folder / f"stacks/Pulumi.{stack}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """One command of the engine."""
        command = ["pulumi", *arguments, "--non-interactive"]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=dict(self.environment), stdout=pipe, stderr=pipe, text=True
        )

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        with self.start(*arguments) as process:
            said, complaint = process.communicate()
        return process.returncode, said, complaint

    def pulumi(self, *arguments: str) -> str:
        """Standard output of one command, which must end well."""
        status, said, complaint = self._run(*arguments)
        assert status == 0, said + complaint
        return said

    def refused(self, *arguments: str) -> str:
        """What one command says, which must not end well."""
        status, said, complaint = self._run(*arguments)
        assert status, said + complaint
        return said + complaint

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """The state, resource by resource."""
        exported = json.loads(self.pulumi("stack", "export", "-s", stack))
        return list(exported["deployment"].get("resources") or ())


def checkout(folder: Path, environment: Mapping[str, str], kubeconfig: str) -> Checkout:
    """A checkout below `folder`, and the state folder and lock file of a machine whose node was made."""
    for name in ("project/stacks", "state/node", "backend"):
        (folder / name).mkdir(parents=True)
    project, state = folder / "project", folder / "state"
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(PROJECT / name, project)
    for file in (PROJECT / "stacks").glob("Pulumi.*.yaml"):
        shutil.copy(file, project / "stacks")
    for name in LINKED:
        (project / name).symlink_to(PROJECT / name)
    (project / ".venv").symlink_to(sys.prefix)
    (state / "node/kubeconfig").touch(mode=0o600)
    (state / "node/kubeconfig").write_text(kubeconfig)
    images = {name: f"127.0.0.1:5000/{name.split(':')[0]}@{DIGEST}" for name in NODE_IMAGES.values()}
    (state / "node/images.json").write_text(json.dumps(images))
    lock = {f"breast-cancer:{version}": f"127.0.0.1:5000/breast-cancer@{DIGEST}" for version in ("v1", "v2")}
    (folder / "lock.json").write_text(json.dumps(lock))
    return Checkout(
        project,
        {
            **environment,
            "MODELWAY_STATE_DIR": str(state),
            "MODELWAY_CACHE_DIR": str(folder / "cache"),
            "MODELWAY_IMAGES_LOCK": str(folder / "lock.json"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        },
    )
