"""The example on real data: breast-cancer v1 (scaled logistic regression) and v2 (gradient boosting)."""

import json
from contextlib import closing
from pathlib import Path

from pipeline import lock
from pipeline.provenance import REFERENCE, build_folder, inputs_of_example
from tools.problem import Problem, ProblemError
from tools.progress import Progress

NAME = "breast-cancer"
VERSIONS = {"v1": "logistic-regression", "v2": "gradient-boosting"}
FLOORS = {"accuracy": 0.9, "recall": 0.85}
RECORD = "inputs.json"


def build_versions(registry: str, progress: Progress) -> None:
    """Train, evaluate, package and push both versions, and record their digests.

    A version whose data, code, requirements and libraries are those of its last build is skipped when the lock names
    it and the registry still has it. `registry` is a host with port, `127.0.0.1:5000`. Raises `ProblemError`.
    """
    inputs = inputs_of_example()
    missing = [version for version in VERSIONS if not _is_current(version, registry, inputs)]
    if not missing:
        progress.say(f"{NAME} {' and '.join(VERSIONS)}: already in {registry}")
        return
    _train_all(progress)
    from pipeline.packaging import Target, build_image, write_package

    for version in missing:
        folder = build_folder(NAME, version)
        target = Target(NAME, version, registry)
        write_package(folder / "model", target, folder, progress)
        reference = build_image(target, folder, progress)
        (folder / RECORD).write_text(json.dumps({"inputs": inputs, "image": reference}, indent=2) + "\n")


def _train_all(progress: Progress) -> None:
    from pipeline import data, evaluation, training

    table = data.read_example()
    champion: Path | None = None
    for version, family in VERSIONS.items():
        folder = build_folder(NAME, version) / "model"
        with progress.step(f"training {NAME} {version} ({family})") as step:
            training.train(table, folder, family)
            verdict = evaluation.evaluate(folder, champion, floors=FLOORS)
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
        return client.digest(repository, digest) == digest
