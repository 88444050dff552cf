"""The engine's home folder: the user's own, without its automatic logs.

The Pulumi CLI writes every property of every call into `~/.pulumi/logs`, compressed, and encrypted only once it
knows the stack's key. With custom resource definitions in a stack that is two thirds of a run without changes
(10.0 s against 3.6 s, measured with 3.259 and 69 resources) and a second place for secrets. No setting turns it
off; a file where the folder should be does, and the CLI then goes on without.
"""

from collections.abc import Mapping
from pathlib import Path

from tools.paths import state_dir

LOGS = "logs"
NOTE = "Not a folder, so that the Pulumi CLI keeps no log of every property here. See infra/engine/home.py.\n"


def quiet_home(environ: Mapping[str, str]) -> Path:
    """A home folder with everything of the user's (plugins, credentials) by links, and no logs."""
    own = Path(environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    (own / "plugins").mkdir(parents=True, exist_ok=True)
    home = state_dir().resolve() / "pulumi"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (home / LOGS).exists():
        (home / LOGS).write_text(NOTE)
    for entry in own.iterdir():
        _link(home / entry.name, entry)
    return home


def _link(link: Path, target: Path) -> None:
    if link.name == LOGS or (link.is_symlink() and link.readlink() == target):
        return
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(target)
