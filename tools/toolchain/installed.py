"""What the machine already has: programs on PATH, their versions, and official Pulumi plugins."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from tools.paths import cache_dir
from tools.toolchain.model import Spec, Tool
from tools.toolchain.store import write_atomically

_ADMIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Debian leaves these out of an ordinary user's PATH, although iptables and haproxy live there."""

_CNI_FOLDERS = ("/opt/cni/bin", "/usr/lib/cni")
_CNI_NEEDED = ("bridge", "host-local", "loopback", "portmap")
_VERSION = re.compile(r"(?<![\d.])\d+\.\d+(?:\.\d+)?(?![\d])")
_VERSION_TIMEOUT_SECONDS = 20.0


def search_path() -> str:
    """PATH plus the admin folders, without the cache folder: what Modelway put there is not installed."""
    own = cache_dir().resolve()
    folders = [
        folder
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if folder and not Path(folder).resolve().is_relative_to(own)
    ]
    return os.pathsep.join([*folders, *(folder for folder in _ADMIN_FOLDERS if folder not in folders)])


def on_path(spec: Spec) -> Tool | None:
    """The installed program, with the version that it states; None where there is none that may be used."""
    if spec.installed == "never":
        return None
    if spec.name == "cni-plugins":
        return _cni_plugins(spec)
    where = shutil.which(spec.executable, path=search_path())
    if where is None:
        return None
    tool = Tool(spec.name, Path(where), version_of(Path(where), spec.version_arguments), "PATH")
    if spec.installed == "same-minor" and tool.version.split(".")[:2] != spec.version.split(".")[:2]:
        return None
    return tool


def _cni_plugins(spec: Spec) -> Tool | None:
    for folder in map(Path, _CNI_FOLDERS):
        if all(os.access(folder / name, os.X_OK) for name in _CNI_NEEDED):
            return Tool(spec.name, folder, version_of(folder / "bridge", spec.version_arguments), "PATH")
    return None


def version_of(program: Path, arguments: tuple[str, ...]) -> str:
    """What the program says its version is, remembered until the file changes; `unknown` where it says nothing."""
    if not arguments:
        return "unknown"
    status = program.stat()
    key = f"{program} {status.st_mtime_ns} {status.st_size}"
    memory = cache_dir() / "path-versions.json"
    known = _read(memory)
    if key not in known:
        known = {k: v for k, v in known.items() if not k.startswith(f"{program} ")}
        known[key] = ask_version(program, arguments)
        write_atomically(memory, json.dumps(known, indent=1, sort_keys=True) + "\n")
    return known[key]


def _read(memory: Path) -> dict[str, str]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def ask_version(program: Path, arguments: tuple[str, ...]) -> str:
    """Run the program with its version arguments; `unknown` when it fails or prints no version."""
    try:
        done = subprocess.run(
            [str(program), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    found = _VERSION.search(done.stdout) or _VERSION.search(done.stderr)
    return found.group(0) if found else "unknown"


def plugin_dir() -> Path:
    """Where the Pulumi CLI installs plugins: `$PULUMI_HOME/plugins`, else `~/.pulumi/plugins`."""
    home = os.environ.get("PULUMI_HOME")
    return (Path(home) if home else Path.home() / ".pulumi") / "plugins"


def official_plugin(spec: Spec) -> Tool | None:
    """The official plugin of exactly the wanted version in Pulumi's own folder."""
    if spec.plugin is None:
        return None
    name = f"pulumi-resource-{spec.plugin.resource}"
    program = plugin_dir() / f"resource-{spec.plugin.resource}-v{spec.plugin.version}" / name
    return Tool(spec.name, program, spec.plugin.version, "downloaded") if os.access(program, os.X_OK) else None


def at_least(version: str, minimum: str) -> bool:
    """Compare dotted versions by number; an unknown version passes, since refusing it would help nobody."""
    numbers = [tuple(int(part) for part in re.findall(r"\d+", text)[:3]) for text in (version, minimum)]
    return not numbers[0] or numbers[0] >= numbers[1]
