"""Builds a Dockerfile and pushes the result by digest: with Docker where it answers, else with buildah.

The same files give the same digest. A Dockerfile gets the base image as build argument `BASE` and this machine's
pip settings as build secrets (see README.md in this folder).
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tools.images.buildah import Buildah
from tools.images.docker import Docker
from tools.problem import Problem, ProblemError
from tools.progress import Progress

_ANSWER_SECONDS = 10.0


class Builder(Protocol):
    """What builds and pushes images on this machine."""

    name: str

    def build(
        self,
        context: Path,
        name: str,
        build_args: Mapping[str, str],
        progress: Progress,
        dockerfile: Path | None = None,
    ) -> str:
        """Build an image from a folder; returns the reference that `push` takes."""

    def push(self, image: str, repository: str, progress: Progress) -> str:
        """Push an image to `HOST[:PORT]/NAME[:TAG]`; returns `HOST[:PORT]/NAME@sha256:…`."""


def docker_answers() -> bool:
    """Whether a Docker daemon answers within 10 seconds."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and bool(asked.stdout.strip())


def builder() -> Builder:
    """Docker where it answers, else buildah; `MODELWAY_BUILDER=docker|buildah` decides.

    Raises ProblemError for another value, and when Docker is asked for but does not answer.
    """
    wanted = os.environ.get("MODELWAY_BUILDER", "")
    if wanted not in ("", "docker", "buildah"):
        fix = "set it to docker or buildah, or unset it"
        problem = Problem("MODELWAY_BUILDER", "there is no such builder", repr(wanted), "docker, buildah", fix)
        raise ProblemError([problem])
    if wanted == "buildah":
        return Buildah()
    if docker_answers():
        return Docker()
    if wanted == "docker":
        problem = Problem(
            where="MODELWAY_BUILDER",
            what="Docker is asked for but does not answer",
            got="no answer to `docker info`",
            allowed="a running Docker daemon",
            fix="start Docker, or unset MODELWAY_BUILDER to build with buildah",
        )
        raise ProblemError([problem])
    return Buildah()


def build(
    context: Path,
    name: str,
    build_args: Mapping[str, str],
    progress: Progress,
    dockerfile: Path | None = None,
) -> str:
    """Build the Dockerfile of a folder (or another `dockerfile` over that folder) into a local image `name`.

    `build_args` may set `BASE`; without it the base is Debian with Python 3.11 (`MODELWAY_BASE_IMAGE` names another).
    Layers are reused between builds, so that two images with the same requirements install them once.
    Returns the reference that `push` takes. Raises ProblemError with the failing instruction's own reason.
    """
    _require_dockerfile(dockerfile or context / "Dockerfile")
    return builder().build(context, name, build_args, progress, dockerfile)


def push(image: str, repository: str, progress: Progress) -> str:
    """Push what `build` returned to `HOST[:PORT]/NAME[:TAG]` and return `HOST[:PORT]/NAME@sha256:…`.

    A registry on a loopback address is spoken to over plain HTTP, every other one over TLS with the user's
    ordinary credentials (`docker login`). Raises ProblemError when the registry does not take it.
    """
    return builder().push(image, repository, progress)


def _require_dockerfile(file: Path) -> None:
    if not file.is_file():
        problem = Problem(str(file), "the Dockerfile is missing", "no such file", "a Dockerfile", "correct the path")
        raise ProblemError([problem])
