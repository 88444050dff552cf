"""The image of the rollout judge in the node's registry: built from `images/rollout-judge` where its files changed."""

import json
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

from tools.images import builder
from tools.images.registry import Registry, node_registry
from tools.paths import PROJECT, state_dir
from tools.progress import Progress
from tools.toolchain.store import fingerprint, write_atomically

NAME = "modelway/rollout-judge:0.1.0"
SOURCE = PROJECT / "images" / "rollout-judge"
PARTS = ("Dockerfile", "requirements.txt", "rollout_judge")


def judge_image(progress: Progress) -> str:
    """Build and push it; returns its reference by digest.

    What was made of the same files is left alone as long as the registry has it. Raises ProblemError when it cannot be
    built, or the registry does not answer.
    """
    inputs, record = _inputs(), state_dir() / "node" / "rollout-judge.json"
    known = _recorded(record, inputs)
    if known is not None:
        return known
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder) / "context"
        context.mkdir()
        for part in PARTS:
            _copy(SOURCE / part, context / part)
        image = builder.build(context, NAME, {}, progress)
        reference = builder.push(image, f"{node_registry()}/{NAME}", progress)
    write_atomically(record, json.dumps({"inputs": inputs, "image": reference}, indent=1) + "\n")
    return reference


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def _inputs() -> str:
    files = [
        file
        for part in PARTS
        for file in (sorted((SOURCE / part).rglob("*.py")) if (SOURCE / part).is_dir() else [SOURCE / part])
    ]
    named = [part for file in files for part in (str(file.relative_to(SOURCE)), file.read_bytes())]
    return fingerprint(node_registry(), *named)


def _recorded(record: Path, inputs: str) -> str | None:
    try:
        known = json.loads(record.read_text())
    except (OSError, ValueError):
        return None
    if known.get("inputs") != inputs:
        return None
    repository, _, digest = str(known["image"]).partition("/")[2].partition("@")
    with closing(Registry(node_registry())) as registry:
        return str(known["image"]) if registry.digest(repository, digest) == digest else None
