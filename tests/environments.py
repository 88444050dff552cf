"""Virtual environments in the cache for packages whose pins do not fit ours."""

import subprocess
import sys
from pathlib import Path

from tools.paths import cache_dir
from tools.progress import Progress
from tools.toolchain.store import locked


def environment(name: str, *packages: str) -> Path:
    """The folder of an environment with `packages` (pinned), made once."""
    place = cache_dir() / "environments" / name
    progress = Progress()
    with locked(f"environment-{name}", progress):
        ready = place / "packages"
        if not ready.exists() or ready.read_text().splitlines() != list(packages):
            with progress.step(f"installing {', '.join(packages)} into the cache"):
                subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
                pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
                subprocess.run([*pip, *packages], check=True)
                ready.write_text("\n".join(packages))
    return place
