"""Launchers of the stand-ins, and the official Pulumi plugins that make them unnecessary."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tools.paths import PROJECT
from tools.progress import Progress
from tools.toolchain import download, store
from tools.toolchain.installed import official_plugin
from tools.toolchain.model import Plugin, Spec, StandIn, Tool

_INSTALL_TIMEOUT_SECONDS = 600.0
PLUGIN_SITE = "https://get.pulumi.com/releases/plugins"


def install_plugin(spec: Spec, plugin: Plugin, pulumi: Path, progress: Progress) -> Tool | None:
    """Let the Pulumi CLI install its official plugin; None where it cannot be had."""
    if not download.reachable(PLUGIN_SITE):
        return None
    wanted = ["plugin", "install", "resource", plugin.resource, plugin.version]
    with progress.step(f"installing the Pulumi plugin {plugin.resource} {plugin.version}") as step:
        try:
            done = subprocess.run(
                [str(pulumi), *wanted, "--non-interactive"],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_INSTALL_TIMEOUT_SECONDS,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            step.update(f"not installed: {error}")
            return None
        if done.returncode != 0:
            step.update(f"not installed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return official_plugin(spec)


def launcher(spec: Spec) -> Path:
    """Where the launcher lies; two checkouts or interpreters that share a cache have one each."""
    of = store.fingerprint(sys.executable, str(PROJECT))
    return store.bin_dir() / f"stand-in-{of}" / spec.executable


def cached(spec: Spec) -> Tool | None:
    """The stand-in, where an earlier run had to fall back on it."""
    path = launcher(spec)
    if spec.stand_in is None or not os.access(path, os.X_OK):
        return None
    return Tool(spec.name, path, spec.version, "stand-in")


def provide(spec: Spec, stand_in: StandIn) -> Tool:
    """Write the launcher of the stand-in."""
    path = launcher(spec)
    text = (
        "#!/bin/sh\n"
        f'export PYTHONPATH={shlex.quote(str(PROJECT))}"${{PYTHONPATH:+:$PYTHONPATH}}"\n'
        f'exec {shlex.quote(sys.executable)} -m {stand_in.module} "$@"\n'
    )
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        store.write_atomically(path, text, mode=0o755)
    return Tool(spec.name, path, spec.version, "stand-in")
