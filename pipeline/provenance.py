"""What decides a model's bytes, and where packages lie; imports nothing heavy, so that asking is quick."""

import hashlib
import importlib.metadata
import importlib.util
import os
from pathlib import Path

from tools.paths import PROJECT
from tools.problem import Problem, ProblemError

LIBRARIES = ("lightgbm", "numpy", "onnx", "onnxruntime", "scikit-learn", "scipy", "skl2onnx", "skops", "xgboost")
SERVER = PROJECT / "images" / "model-server"
DOCKERFILE_PARTS = ("Dockerfile", "requirements.txt", "modelway_server")
REFERENCE = "reference_predictions.json"


def library_versions() -> dict[str, str]:
    """Installed versions of what decides the model's bytes."""
    return {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # The same library, packaged without what needs a GPU.
        return importlib.metadata.version(f"{name}-cpu")


def build_folder(name: str, version: str) -> Path:
    """Where the files of a package lie: `build/NAME/VERSION`, ignored by git."""
    return PROJECT / "build" / name / version


def digest(path: Path) -> str:
    """Digest of a file's content as hexadecimal sha256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def example_file() -> Path:
    """The breast-cancer table (569 rows, 30 features) that ships with scikit-learn, found without importing it."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        fix = "run `pip install -r requirements.txt`"
        problem = Problem("scikit-learn", "is not installed", "no package sklearn", "scikit-learn 1.8 or later", fix)
        raise ProblemError([problem])
    return Path(spec.origin).parent / "datasets" / "data" / "breast_cancer.csv"


def server_files() -> list[Path]:
    """Files of the image that do not depend on the model."""
    files = []
    for part in DOCKERFILE_PARTS:
        path = SERVER / part
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return files


def inputs_of_example() -> str:
    """Digest of data, code, requirements and library versions: equal inputs give equal images."""
    settings = [*sorted(library_versions().items()), ("base", os.environ.get("MODELWAY_BASE_IMAGE", ""))]
    total = hashlib.sha256(repr(settings).encode())
    own = [file for pattern in ("*.py", "*.yaml") for file in sorted((PROJECT / "pipeline").glob(pattern))]
    for file in [example_file(), *own, *server_files()]:
        total.update(f"{file.name} {digest(file)}\n".encode())
    return total.hexdigest()
