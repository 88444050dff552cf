"""A machine with `kind` and `docker` whose clusters and containers are files; every call is recorded.

Run as `kind_machine.py FOLDER kind|docker ARGUMENT…`. Lines of `FOLDER/calls` are JSON: program and arguments, and
standard input where the program reads it. `FOLDER/kubeconfig` is what every cluster answers with.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """Clusters are folders in `clusters`, containers in `containers`."""

    folder: Path

    def calls(self) -> list[list[str]]:
        """Every call so far; what was read from standard input comes last."""
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def record(self, *words: str) -> None:
        with (self.folder / "calls").open("a") as calls:
            calls.write(json.dumps(words) + "\n")

    def kind(self, *arguments: str) -> int:
        stdin = (sys.stdin.read(),) if arguments[:2] == ("create", "cluster") else ()
        self.record("kind", *arguments, *stdin)
        clusters = self.folder / "clusters"
        match arguments:
            case ("get", "clusters"):
                print(*sorted(each.name for each in clusters.iterdir()), sep="\n")
            case ("create", "cluster", "--name", name, *_):
                (clusters / name).mkdir()
            case ("delete", "cluster", "--name", name):
                shutil.rmtree(clusters / name)
            case ("get", "kubeconfig", "--name", name) if (clusters / name).exists():
                print((self.folder / "kubeconfig").read_text())
            case ("get", "nodes", "--name", name) if (clusters / name).exists():
                print(f"{name}-control-plane")
            case _:
                return 1
        return 0

    def docker(self, *arguments: str) -> int:
        stdin = (sys.stdin.read(),) if arguments[:2] == ("exec", "-i") else ()
        self.record("docker", *arguments, *stdin)
        containers = self.folder / "containers"
        match arguments:
            case ("container", "inspect", name):
                return 0 if (containers / name).exists() else 1
            case ("run", *_, "--name", name, _):
                (containers / name).mkdir()
            case ("network", "connect", "kind", name):
                network = containers / name / "kind"
                if network.exists():
                    return 1
                network.mkdir()
            case ("network", "inspect", "kind"):
                print(json.dumps([{"Containers": {each.parent.name: {"Name": each.parent.name}}} for each in containers.glob("*/kind")]))  # fmt: skip
            case ("rm", "--force", "--volumes", name):
                shutil.rmtree(containers / name, ignore_errors=True)
            case ("exec", *_):
                pass
            case _:
                return 1
        return 0


def machine(folder: Path, kubeconfig: str) -> Machine:
    """A new machine whose programs lie in `folder/bin`."""
    for name in ("bin", "clusters", "containers"):
        (folder / name).mkdir(parents=True)
    (folder / "kubeconfig").write_text(kubeconfig)
    for name in ("kind", "docker"):
        launcher = folder / "bin" / name
        launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -I {__file__} {folder} {name} "$@"\n')
        launcher.chmod(0o755)
    return Machine(folder)


if __name__ == "__main__":
    place, program, *words = sys.argv[1:]
    own = Machine(Path(place))
    sys.exit(own.kind(*words) if program == "kind" else own.docker(*words))
