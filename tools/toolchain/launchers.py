"""Launchers of unpacked programs: each finds its libraries, plugins and configuration below the unpacked root."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path

_IPTABLES = tuple(
    f"{family}tables-{backend}{action}"
    for family in ("ip", "ip6")
    for backend in ("nft", "legacy")
    for action in ("", "-save", "-restore")
)
_PROGRAMS = (
    *("usr/bin/etcd", "usr/bin/containerd", "usr/bin/containerd-shim-runc-v2", "usr/bin/ctr", "usr/sbin/runc"),
    *("usr/sbin/conntrack", "usr/sbin/nft", "usr/sbin/haproxy", "usr/bin/socat", "usr/bin/docker-registry"),
    *("usr/bin/buildah", "usr/bin/skopeo", "usr/sbin/debootstrap", "usr/bin/wrk"),
    *("usr/sbin/ipset", "usr/lib/chromium/chromium"),
    *(f"usr/sbin/{name}" for name in _IPTABLES),
)
_SYSTEM_CONFIGURATION = "/etc/containers"
_START_TIMEOUT_SECONDS = 20.0


def write(staged: Path, target: Path) -> None:
    """Write one launcher per unpacked program into `bin/`, with the paths that hold once it lies in `target`."""
    root = staged / "root"
    libraries = _library_folders(root)
    (staged / "bin").mkdir()
    for program in _PROGRAMS:
        if (root / program).exists():
            text = _launcher(root, target / "root", program, libraries)
            name = Path(program).name
            # Debian's `iptables` is a link that its installer makes; nft is the backend it picks.
            for launcher in {name, name.replace("tables-nft", "tables")}:
                (staged / "bin" / launcher).write_text(text, encoding="utf-8")
                (staged / "bin" / launcher).chmod(0o755)


def _library_folders(root: Path) -> list[str]:
    # PulseAudio keeps the library that its others share in a folder of its own, known to them by an absolute path.
    return sorted(
        str(folder.relative_to(root))
        for place in ("lib", "usr/lib")
        for each in (root / place).glob("*-linux-*")
        for folder in (each, each / "pulseaudio")
        if any(folder.glob("*.so*"))
    )


def _launcher(staged: Path, root: Path, program: str, libraries: Iterable[str]) -> str:
    lines = ["#!/bin/sh"]
    folders = ":".join(str(root / folder) for folder in libraries)
    # Only where a library is missing, because children inherit the variable.
    if folders and lacks_library(staged / program):
        lines.append(f'export LD_LIBRARY_PATH={shlex.quote(folders)}"${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"')
    name = Path(program).name
    if "tables" in name or name == "nft":
        for folder in sorted((staged / "usr/lib").glob("*-linux-*/xtables")):
            lines.append(f"export XTABLES_LIBDIR={shlex.quote(str(root / folder.relative_to(staged)))}")
    if name == "debootstrap":
        lines.append(f"export DEBOOTSTRAP_DIR={shlex.quote(str(root / 'usr/share/debootstrap'))}")
    if name in {"buildah", "skopeo"}:
        lines += _containers(root, name)
    lines.append(f'exec {shlex.quote(str(root / program))} "$@"')
    return "\n".join(lines) + "\n"


def _containers(root: Path, name: str) -> list[str]:
    """The package's own image policy and registry list, where the machine has none."""
    registries = shlex.quote(str(root / "etc/containers/registries.conf"))
    policy = shlex.quote(str(root / "etc/containers/policy.json"))
    lines = [
        f"[ -e {_SYSTEM_CONFIGURATION}/registries.conf ] || export CONTAINERS_REGISTRIES_CONF={registries}",
        f'if [ ! -e {_SYSTEM_CONFIGURATION}/policy.json ] && [ ! -e "$HOME/.config/containers/policy.json" ]; then',
    ]
    if name == "skopeo":
        lines.append(f'  set -- --policy {policy} "$@"')
    else:
        # buildah takes the policy as an option of the command only, so the command must come first.
        lines += [
            '  case "${1-}" in bud|build|build-using-dockerfile|commit|from|pull|push)',
            f'    command=$1; shift; set -- "$command" --signature-policy {policy} "$@" ;;',
            "  esac",
        ]
    return [*lines, "fi"]


def lacks_library(program: Path) -> bool:
    """Whether the machine's own libraries do not suffice to start the program."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    return "not found" in done.stdout


def starts(program: Path, arguments: tuple[str, ...]) -> str:
    """Start the program once; empty when it ends well or names itself, as `wrk` does before it fails.

    Otherwise what it said.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [str(program), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_START_TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0 or done.stdout.startswith(f"{program.name} "):
        return ""
    return (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
