"""The judges' Python environment: what checkov and moto need conflicts with what the project needs."""

import subprocess
import sys
from pathlib import Path

from tools.paths import cache_dir
from tools.progress import Progress
from tools.toolchain import store

PINS = Path(__file__).with_name("pins.txt")


def folder() -> Path:
    """Its folder in the user's cache, filled at first use."""
    made = cache_dir() / "checks" / f"judges-{store.fingerprint(PINS.read_bytes(), sys.version)}"
    with store.locked("judges", Progress()):
        if not (made / "ready").exists():
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(made)], check=True)
            install = [*uv, "pip", "install", "--quiet", "--python", str(made / "bin/python")]
            subprocess.run([*install, "--requirement", str(PINS)], check=True)
            (made / "ready").touch()
    return made
