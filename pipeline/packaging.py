"""Turns a trained model into an image: artifact, build context, build, push, record."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline import artifact, formats, lock, store
from pipeline.provenance import REFERENCE, SERVER
from tools.problem import Problem, ProblemError
from tools.progress import Progress

LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Target:
    """Where a package goes."""

    name: str
    """Name of the model, a DNS label: it becomes part of URLs and Kubernetes names."""
    version: str
    """Name of the version, a DNS label."""
    registry: str
    """Registry, with an optional path: `127.0.0.1:5000`, `docker.io/me`."""
    base: str | None = None
    """Base image; None lets the builder choose."""
    push: bool = True
    """Whether to push and record the image."""
    format: str = formats.DEFAULT
    """Format of the model file: a key of `formats.FORMATS`."""


def check_target(target: Target) -> None:
    """Raise `ProblemError` when a name is no DNS label."""
    problems = [
        Problem(
            option,
            "is no DNS label",
            repr(value),
            "lower-case letters, digits and '-', at most 63, a letter first",
            "correct the option",
        )
        for option, value in (("--name", target.name), ("--version", target.version))
        if not LABEL.fullmatch(value)
    ]
    if problems:
        raise ProblemError(problems)


def write_package(model_folder: Path, target: Target, folder: Path, progress: Progress) -> str:
    """Write artifact and reference predictions to `folder`; returns the sha256 of the model file.

    Raises `ProblemError` for a name that is no DNS label, an unknown format or one that does not hold the model, a
    model that the gate rejected, and a packaged model that disagrees.
    """
    check_target(target)
    packaging = formats.find(target.format)
    model = store.load(model_folder, "--model")
    report = artifact.read_report(model_folder, model)
    folder.mkdir(parents=True, exist_ok=True)
    with progress.step(f"writing {target.name} {target.version} as {packaging.name}") as step:
        digest = artifact.write(model, folder / "artifact", target.name, target.version, report, packaging)
        artifact.write_reference(model, folder / REFERENCE)
        step.update(f"equal on {len(model.held_out_rows)} held-out rows, sha256 {digest[:12]}…")
    return digest


def build_image(target: Target, folder: Path, progress: Progress) -> str:
    """Build the image of the artifact in `folder`, push it and record its digest; returns its reference."""
    from tools import images

    context = folder / "context"
    if context.exists():
        shutil.rmtree(context)
    context.mkdir()
    requirements = formats.find(target.format).requirements
    for part in ("Dockerfile", requirements, "modelway_server"):
        source = SERVER / part
        if source.is_dir():
            shutil.copytree(source, context / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, context / part)
    shutil.copytree(folder / "artifact", context / "artifact")
    arguments = {"NAME": target.name, "VERSION": target.version} | ({"BASE": target.base} if target.base else {})
    if requirements != formats.FORMATS[formats.DEFAULT].requirements:
        arguments["REQUIREMENTS"] = requirements
    tag = f"{target.name}:{target.version}"
    image = images.build(context, tag, arguments, progress)
    if not target.push:
        return image
    reference = images.push(image, f"{target.registry}/{tag}", progress)
    lock.record(target.name, target.version, reference)
    return reference
