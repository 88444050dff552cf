"""The example on real data: breast-cancer v1 (scaled logistic regression) and v2 (gradient boosting)."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline import lock, signing
from pipeline.provenance import REFERENCE, build_folder, inputs_of_example
from tools.paths import evaluations_dir
from tools.problem import Problem, ProblemError
from tools.progress import Progress

NAME = "breast-cancer"
VERSIONS = {"v1": "logistic-regression", "v2": "gradient-boosting"}
RULES = Path(__file__).with_name("example_rules.yaml")
RECORD = "inputs.json"


def build_versions(registry: str, progress: Progress) -> None:
    """Train, evaluate, package and push both versions, and record their digests.

    A version whose data, code, requirements and libraries are those of its last build is skipped when the lock names
    it, the registry still has it and this machine's key signed its evaluation. `registry` is a host with port,
    `127.0.0.1:5000`. Raises `ProblemError`.
    """
    inputs = inputs_of_example()
    missing = [version for version in VERSIONS if not _is_current(version, registry, inputs)]
    if not missing:
        progress.say(f"{NAME} {' and '.join(VERSIONS)}: already in {registry}")
        return
    with _alone(progress):
        _train_all(progress)
        for version in missing:
            _package(version, registry, inputs, progress)


@contextmanager
def _alone(progress: Progress) -> Iterator[None]:
    """Two programs at once would take each other's files, which their own keys did not sign."""
    folder = build_folder(NAME, "all").parent
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"{NAME}: another program builds it here, waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _package(version: str, registry: str, inputs: str, progress: Progress) -> None:
    from pipeline.packaging import Target, build_image, write_package

    folder = build_folder(NAME, version)
    target = Target(NAME, version, registry, key=signing.local_key())
    write_package(folder / "model", target, folder, progress)
    reference = build_image(target, folder, progress)
    (folder / RECORD).write_text(json.dumps({"inputs": inputs, "image": reference}, indent=2) + "\n")


def _train_all(progress: Progress) -> None:
    from pipeline import attestation, data, evaluation, rules, training

    signing.ensure_local_key()
    table, wanted = data.read_example(), rules.read(RULES, {})
    champion: Path | None = None
    for version, family in VERSIONS.items():
        folder = build_folder(NAME, version) / "model"
        with progress.step(f"training {NAME} {version} ({family})") as step:
            training.train(table, folder, family)
            verdict = evaluation.evaluate(folder, champion, rules=wanted)
            report = evaluation.report_of(folder)
            subjects = {report["packaged_file"]: report["packaged_sha256"]}
            attestation.write_signed(folder, subjects, report, signing.local_key())
            step.update(f"accuracy {verdict.candidate['accuracy']}")
        if not verdict.accepted:
            fix = f"read {folder / evaluation.REPORT}"
            raise ProblemError(
                [Problem(f"{NAME} {version}", "was rejected by the gate", "; ".join(verdict.reasons), "a pass", fix)]
            )
        champion = folder


def _is_current(version: str, registry: str, inputs: str) -> bool:
    from tools.images.registry import Registry

    folder = build_folder(NAME, version)
    reference = lock.read().get(f"{NAME}:{version}")
    try:
        record = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return False
    if record != {"inputs": inputs, "image": reference} or not (folder / REFERENCE).exists():
        return False
    host, _, rest = str(reference).partition("/")
    repository, _, digest = rest.partition("@")
    if host != registry:
        return False
    with closing(Registry(host)) as client:
        if client.digest(repository, digest) != digest:
            return False
    return _is_attested(digest.removeprefix("sha256:"))


def _is_attested(sha256: str) -> bool:
    from pipeline import attestation

    envelope = evaluations_dir() / attestation.envelope_name(sha256)
    return attestation.accepted_by(envelope, sha256, signing.ensure_local_key())
