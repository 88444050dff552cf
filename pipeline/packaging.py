"""Turns a trained model into an image: artifact, build context, build, push, record."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline import artifact, attestation, evaluation, formats, lock, signing, store
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
    key: Path | None = None
    """Private key that signed the gate's report; None leaves the report unsigned."""
    reports: Path | None = None
    """Folder for the signed report of a pushed image; None is the one beside the record of the images."""


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

    The signed report of an evaluated model goes beside the artifact, and names it too. Raises `ProblemError` for a
    name that is no DNS label, an unknown format or one that does not hold the model, a model that the gate rejected
    or judged otherwise, and a packaged model that disagrees.
    """
    check_target(target)
    packaging = formats.find(target.format)
    model = store.load(model_folder, "--model")
    report = evaluation.read_report(model_folder, model)
    judged = evaluation.judged_file(model_folder, report, packaging)
    signed = None
    if report is not None and target.key is not None:
        signed = attestation.own_report(model_folder, target.key, report["packaged_sha256"])
    folder.mkdir(parents=True, exist_ok=True)
    envelope = folder / attestation.FILE
    envelope.unlink(missing_ok=True)
    with progress.step(f"writing {target.name} {target.version} as {packaging.name}") as step:
        digests = artifact.write(model, folder / "artifact", target.name, target.version, report, packaging, judged)
        artifact.write_reference(model, folder / REFERENCE)
        if signed is not None and target.key is not None:
            envelope.write_bytes(attestation.sign(attestation.extended(signed, digests), target.key))
        digest = digests[packaging.file]
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
    _sign_image(target, folder, reference)
    lock.record(target.name, target.version, reference)
    return reference


def _sign_image(target: Target, folder: Path, reference: str) -> None:
    """Let the signed report, where there is one, name the image too, and put it where stacks look for it."""
    envelope = folder / attestation.FILE
    if target.key is None or not envelope.exists():
        return
    repository, _, digest = reference.rpartition("@sha256:")
    signed = attestation.verify(envelope.read_bytes(), [signing.public_line(target.key)])
    envelope.write_bytes(attestation.sign(attestation.extended(signed, {repository: digest}), target.key))
    attestation.publish(envelope, reference, target.reports)
