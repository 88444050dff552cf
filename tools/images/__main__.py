"""`python -m tools.images`: make, push and list images by hand."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from tools.images import base, oci, system
from tools.images.registry import Registry, node_registry
from tools.problem import ProblemError
from tools.progress import Progress
from tools.toolchain.store import locked

_COMMANDS = {
    "base": "make the base image modelway/python:3.11 (root; about a minute, once)",
    "archives": "make the archives of pause, CoreDNS and metrics-server that a node imports",
    "system": "make the node ground's images and push them to its registry",
    "list": "show what is made and what the node's registry has",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 1 after a problem, which is said in one sentence."""
    parser = argparse.ArgumentParser(prog="python -m tools.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        commands.add_parser(name, help=text, description=text)
    command = parser.parse_args(arguments).command
    progress = Progress()
    try:
        if command == "base":
            _base(progress)
        elif command == "archives":
            print(*system.node_archives(progress), sep="\n")
        elif command == "system":
            for name, reference in system.system_images(progress).items():
                print(f"{name} = {reference}")
        else:
            _list()
    except ProblemError as error:
        progress.say(str(error))
        return 1
    return 0


def _base(progress: Progress) -> None:
    store = oci.Store()
    with locked(oci.LOCK, progress):
        image = base.base_image(store, progress)
    print(f"{image.name} = {image.manifest.digest}")


def _list() -> None:
    store = oci.Store()
    with closing(Registry(node_registry())) as registry:
        answers = True
        for image in store.images():
            megabytes = sum(blob.size for blob in store.blobs(image.manifest)) / 1e6
            where = "registry does not answer"
            if answers:
                try:
                    where = (
                        "in the registry"
                        if registry.known(replace(image, name=image.name.removeprefix("localhost/")))
                        else "not in the registry"
                    )
                except ProblemError:
                    answers = False
            print(f"{image.name:32} {megabytes:7.1f} MB  {image.manifest.digest[:19]}  {where}")


if __name__ == "__main__":
    sys.exit(main())
