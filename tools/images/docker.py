"""Builds with the Docker daemon (BuildKit)."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from tools.images import process
from tools.images.pip_settings import build_settings
from tools.images.registry import split
from tools.paths import cache_dir
from tools.problem import Problem, ProblemError
from tools.progress import Progress
from tools.toolchain.store import write_atomically

BASE = "python:3.11-slim"
_FIX = "read the reason, correct the cause and run the command again"
_PASSED = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


class Docker:
    """Docker as builder. Digests repeat as long as Docker keeps its build cache."""

    name = "docker"

    def build(
        self,
        context: Path,
        name: str,
        build_args: Mapping[str, str],
        progress: Progress,
        dockerfile: Path | None = None,
    ) -> str:
        """See `tools.images.build`."""
        values = dict(build_args)
        if "BASE" not in values:
            values["BASE"] = os.environ.get("MODELWAY_BASE_IMAGE") or self.base(progress)
        with progress.step(f"image {name} (docker)") as step, build_settings() as settings:
            argv = ["docker", "build", "--provenance=false", "--tag", name]
            argv += ["--file", str(dockerfile or context / "Dockerfile"), "--build-arg", "SOURCE_DATE_EPOCH=0"]
            for key, value in values.items():
                argv += ["--build-arg", f"{key}={value}"]
            # Named without a value, Docker reads them from the environment; a proxy's password stays out of argv.
            for key in (key for key in _PASSED if key in os.environ):
                argv += ["--build-arg", key]
            for key, file in settings.secrets.items():
                argv += ["--secret", f"id={key},src={file}"]
            environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
            process.run(
                [*argv, str(context)], what=f"image {name}", fix=_FIX, log="build", step=step, environment=environment
            )
        return name

    def push(self, image: str, repository: str, progress: Progress) -> str:
        """See `tools.images.push`."""
        name, tag = split(repository)
        with progress.step(f"pushing {name}:{tag} (docker)") as step:
            fix = "check that the registry runs and that `docker login` was done for it"
            process.run(["docker", "tag", image, f"{name}:{tag}"], what=image, fix=_FIX, log="push")
            process.run(["docker", "push", f"{name}:{tag}"], what=f"push to {name}", fix=fix, log="push", step=step)
        return self._digest(f"{name}:{tag}", name)

    def base(self, progress: Progress) -> str:
        """`python:3.11-slim` by the digest that was current when it was first used on this machine."""
        memory = cache_dir() / "images" / "docker-base"
        if memory.exists():
            return memory.read_text(encoding="utf-8").strip()
        with progress.step(f"base image {BASE}") as step:
            fix = "check that Docker reaches its registry, or set MODELWAY_BASE_IMAGE to an image with Python 3.11"
            process.run(["docker", "pull", BASE], what=f"base image {BASE}", fix=fix, log="base", step=step)
        reference = self._digest(BASE, "python")
        write_atomically(memory, reference + "\n")
        return reference

    def _digest(self, image: str, name: str) -> str:
        argv = ["docker", "image", "inspect", "--format", "{{json .RepoDigests}}", image]
        known = json.loads(process.run(argv, what=image, fix=_FIX, log="inspect")[-1]) or []
        for reference in known:
            if str(reference).startswith(f"{name}@sha256:"):
                return str(reference)
        problem = Problem(
            image, "Docker states no digest for it", json.dumps(known), f"{name}@sha256:…", "push it again"
        )
        raise ProblemError([problem])
