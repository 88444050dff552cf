"""The program that holds a pod's namespaces open, compiled from `main.go` beside this file."""

from pathlib import Path

from tools.images import process
from tools.paths import cache_dir
from tools.problem import Problem, ProblemError
from tools.progress import Progress
from tools.toolchain import Tool, gobuild
from tools.toolchain.store import fingerprint

VERSION = "3.10"
_SOURCE = Path(__file__).parent
_FIX = "install Go 1.22 or newer (https://go.dev/dl/)"


def program(progress: Progress) -> Tool:
    """The compiled program, from the cache where the source did not change; the caller holds the store's lock.

    Raises ProblemError when Go is missing or the compiler fails.
    """
    source = [(_SOURCE / name).read_bytes() for name in ("main.go", "go.mod")]
    target = cache_dir() / "images" / "programs" / f"pause-{fingerprint(*source)}"
    if not target.exists():
        go = gobuild.go_command()
        if go is None:
            problem = Problem("image pause", "Go is missing", "no `go` on PATH", "Go 1.22 or newer", _FIX)
            raise ProblemError([problem])
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".partial-{target.name}")
        with progress.step("building pause"):
            flags = ["-C", str(_SOURCE), "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="]
            process.run(
                [str(go), "build", *flags, "-o", str(partial), "."],
                what="image pause",
                fix=_FIX,
                log="pause",
                environment=gobuild.environment(),
            )
        partial.replace(target)
    return Tool("pause", target, VERSION, "built")
