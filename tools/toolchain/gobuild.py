"""Programs that are compiled from the Go module graphs in `modules/`, one after the other, at low priority."""

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tools.problem import Problem, ProblemError
from tools.progress import Progress, Step
from tools.toolchain import store
from tools.toolchain.model import GoBuild, Spec, Tool
from tools.toolchain.overlay import laid_over

MODULES = Path(__file__).resolve().parent / "modules"
NEEDED_FREE_BYTES = 4 << 30
"""What a cold build of the largest program and Go's own caches take while it runs, rounded up."""

_USUAL_PLACE = Path("/usr/local/go/bin/go")
_ERROR_LINES = 12


def go_command() -> Path | None:
    """The Go command: on PATH, else where Go's own installer puts it."""
    found = shutil.which("go")
    if found:
        return Path(found)
    return _USUAL_PLACE if os.access(_USUAL_PLACE, os.X_OK) else None


def environment() -> dict[str, str]:
    """Go's environment without the user's build flags, so that a build depends on the module graph only."""
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}


def fingerprint(build: GoBuild) -> str:
    """What decides the program: module graph, checksums, own sources, flags."""
    folder = MODULES / build.module
    # tools.go only keeps the graph complete, no program contains it.
    sources = sorted(f for f in folder.rglob("*") if f.suffix in {".go", ".mod", ".sum"} and f.name != "tools.go")
    content: list[str | bytes] = [build.package, *build.ldflags, *build.tags]
    for file in sources:
        content += [str(file.relative_to(folder)), file.read_bytes()]
    return store.fingerprint(*content)


def cached(spec: Spec) -> Tool | None:
    """The program of an earlier build or download, unless its module graph has changed since."""
    folder = store.bin_dir() / spec.cache_folder
    stamp = store.read_stamp(folder)
    program = folder / spec.executable
    if not stamp or not os.access(program, os.X_OK):
        return None
    if stamp.get("origin") == "downloaded":
        return Tool(spec.name, program, spec.version, "downloaded")
    if spec.go is None or stamp.get("fingerprint") != fingerprint(spec.go):
        return None
    return Tool(spec.name, program, spec.version, "built")


def blocker(spec: Spec) -> Problem | None:
    """What stops the build before it begins: no Go, or too little room."""
    if go_command() is None:
        return Problem(
            where=f"tool {spec.name}",
            what="it is neither installed nor downloadable here, and building it needs Go",
            got="no `go` on PATH",
            allowed="Go 1.26 or newer",
            fix=f"install Go (https://go.dev/dl/), or {spec.fix}",
        )
    root = store.bin_dir()
    while not root.exists():
        root = root.parent
    free = shutil.disk_usage(root).free
    if free < NEEDED_FREE_BYTES:
        return Problem(
            where=str(root),
            what="too little disk space to build the toolchain",
            got=f"{free / (1 << 30):.1f} GiB free",
            allowed=f"{NEEDED_FREE_BYTES >> 30} GiB or more",
            fix="free some space, or move the cache with MODELWAY_CACHE_DIR",
        )
    return None


def provide(specs: Sequence[Spec], progress: Progress) -> dict[str, Tool]:
    """Build the programs in order; each is in the cache as a whole as soon as it is built.

    Raises ProblemError with the compiler's last lines when one does not build.
    """
    tools: dict[str, Tool] = {}
    with store.locked("go", progress) as lock:
        for number, spec in enumerate(specs, start=1):
            tool = cached(spec)
            if tool is None and spec.go is not None:
                title = f"building {spec.name} {spec.version} from Go modules ({number} of {len(specs)})"
                with progress.step(title) as step:
                    tool = _build(spec, spec.go, lock, step)
            if tool is not None:
                tools[spec.name] = tool
    return tools


def _build(spec: Spec, build: GoBuild, lock: int, step: Step) -> Tool:
    target = store.bin_dir() / spec.cache_folder
    made_from = fingerprint(build)
    with ExitStack() as stack:
        folder = stack.enter_context(store.staging("go", store.bin_dir()))
        command = [
            "nice",
            str(go_command()),
            "build",
            *_overlay(spec, build, stack),
            "-v",
            "-trimpath",
            "-buildvcs=false",
            f"-tags={','.join(build.tags)}",
            f"-ldflags=-s -w {' '.join(build.ldflags)}",
            "-o",
            str(folder / spec.executable),
            build.package,
        ]
        _compile(spec, command, MODULES / build.module, lock, step)
        stamp = {"origin": "built", "version": spec.version, "fingerprint": made_from}
        store.publish(folder, target, stamp)
    return Tool(spec.name, target / spec.executable, spec.version, "built")


def _overlay(spec: Spec, build: GoBuild, stack: ExitStack) -> list[str]:
    """Options of `go build`; what they name is there until `stack` closes."""
    go = go_command()
    if not build.overlaid or go is None:
        return []
    try:
        return stack.enter_context(laid_over(MODULES / build.module, build.overlaid, go, environment()))
    except subprocess.CalledProcessError as error:
        raise ProblemError([_unbuilt(spec, build.package, error.stderr.strip())]) from None


def _unbuilt(spec: Spec, package: str, said: str) -> Problem:
    return Problem(
        where=f"tool {spec.name}",
        what="it does not build",
        got=said,
        allowed=f"a program from {package} {spec.version}",
        fix=f"repair what the message names and run `python -m tools.toolchain ensure {spec.name}`; or {spec.fix}",
    )


def _compile(spec: Spec, command: Sequence[str], module: Path, lock: int, step: Step) -> None:
    """Run the compiler; it inherits the lock, so that it holds it even when this process is killed."""
    last: deque[str] = deque(maxlen=_ERROR_LINES)
    packages = 0
    with subprocess.Popen(
        command,
        cwd=module,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
    ) as compiler:
        try:
            for line in compiler.stdout or ():
                last.append(line.strip())
                if line.startswith("go: downloading "):
                    step.update(line.strip().removeprefix("go: "))
                else:
                    packages += 1
                    step.update(f"{packages} packages compiled, now {line.strip()}")
        except BaseException:
            compiler.terminate()
            raise
    if compiler.returncode != 0:
        said = " / ".join(last) or f"exit status {compiler.returncode} of `go build`"
        raise ProblemError([_unbuilt(spec, command[-1], said)])
    step.update(f"done, {packages} packages compiled" if packages else "done")
