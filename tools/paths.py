"""Where Modelway keeps what belongs to a machine: the user's cache and state folders (XDG Base Directory)."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
"""The checkout this program runs from."""


def _folder(own: str, xdg: str, default: str) -> Path:
    if override := os.environ.get(own):
        return Path(override)
    return Path(os.environ.get(xdg) or Path.home() / default) / "modelway"


def cache_dir() -> Path:
    """Downloads and builds, safe to delete: `MODELWAY_CACHE_DIR`, else `~/.cache/modelway`."""
    return _folder("MODELWAY_CACHE_DIR", "XDG_CACHE_HOME", ".cache")


def state_dir() -> Path:
    """Stacks, passphrase and the node's data: `MODELWAY_STATE_DIR`, else `~/.local/state/modelway`."""
    return _folder("MODELWAY_STATE_DIR", "XDG_STATE_HOME", ".local/state")


def images_lock() -> Path:
    """Git-ignored record of what `package` pushed: `{"breast-cancer:v1": "127.0.0.1:5000/…@sha256:…"}`."""
    return Path(os.environ.get("MODELWAY_IMAGES_LOCK") or PROJECT / "images.lock.json")


def evaluations_dir() -> Path:
    """Git-ignored folder of signed evaluation reports of packaged images, beside the record of the images."""
    return images_lock().parent / "evaluations"


def accepted_dir() -> Path:
    """Tracked folder of signed evaluation reports, for stacks that are deployed from another machine."""
    return PROJECT / "stacks" / "evaluations"
