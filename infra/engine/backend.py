"""Where the state lives and what encrypts its secrets: embedded, unless Pulumi's variables say otherwise."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.paths import state_dir
from tools.problem import Problem, ProblemError

PASSPHRASE_BYTES = 32


@dataclass(frozen=True)
class Backend:
    """One Pulumi backend, and the variables that make the engine use it."""

    sentence: str
    """Which backend is used and why, in one line for the user."""
    folder: Path | None
    """The folder of a `file://` backend of this machine, else None."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables to add for the engine. Holds the path of a passphrase file, never a passphrase."""


def backend(environ: Mapping[str, str], encrypts_itself: bool = False) -> Backend:
    """The backend that `environ` names, else the embedded one in the user's state folder.

    `encrypts_itself`: the stack file names a `secretsprovider` (a cloud key): no passphrase is needed.

    Raises:
        ProblemError: the passphrase is empty, lost, or missing for a backend that others share.
    """
    _refuse_empty_passphrase(environ)
    own_passphrase = bool(environ.get("PULUMI_CONFIG_PASSPHRASE") or environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"))
    if url := environ.get("PULUMI_BACKEND_URL"):
        keeps_secrets = encrypts_itself or own_passphrase or url.startswith(("https://", "http://"))
        if not keeps_secrets:
            raise ProblemError([_no_passphrase(url)])
        folder = Path(url.removeprefix("file://")).expanduser() if url.startswith("file://") else None
        return Backend(f"State: {url}, as PULUMI_BACKEND_URL says.", folder)
    if environ.get("PULUMI_ACCESS_TOKEN"):
        return Backend("State: Pulumi Cloud, because PULUMI_ACCESS_TOKEN is set.", None)
    folder = state_dir().resolve() / "backend"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    variables = {"PULUMI_BACKEND_URL": f"file://{folder}"}
    if not own_passphrase:
        variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase_file(folder))
    return Backend(f"State: {folder}, the embedded backend.", folder, variables)


def passphrase_file(backend_folder: Path) -> Path:
    """The file with this machine's random passphrase (mode 0600), written on first use.

    Raises:
        ProblemError: the file is gone or empty while stacks encrypted with it exist.
    """
    file = state_dir().resolve() / "passphrase"
    if file.exists() and file.read_text().strip():
        file.chmod(0o600)
        return file
    if any((backend_folder / ".pulumi" / "stacks").rglob("*.json")):
        raise ProblemError(
            [
                Problem(
                    str(file),
                    "the passphrase of this machine's stacks is lost",
                    "no passphrase" if not file.exists() else "an empty file",
                    f"the file that encrypted {backend_folder}",
                    f"restore it from a backup, or remove {backend_folder} to start over",
                )
            ]
        )
    draft = file.with_name(f"passphrase.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_urlsafe(PASSPHRASE_BYTES) + "\n")
    draft.replace(file)
    return file


def _refuse_empty_passphrase(environ: Mapping[str, str]) -> None:
    if environ.get("PULUMI_CONFIG_PASSPHRASE") == "":
        raise ProblemError(
            [
                Problem(
                    "PULUMI_CONFIG_PASSPHRASE",
                    "an empty passphrase encrypts nothing",
                    "an empty value",
                    "a passphrase, or the variable not set at all",
                    "run `unset PULUMI_CONFIG_PASSPHRASE` to use this machine's own",
                )
            ]
        )
    named = environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if named and not (Path(named).is_file() and Path(named).read_text().strip()):
        raise ProblemError(
            [
                Problem(
                    "PULUMI_CONFIG_PASSPHRASE_FILE",
                    "no passphrase in the file it names",
                    named,
                    "a readable file that is not empty",
                    "run `unset PULUMI_CONFIG_PASSPHRASE_FILE` to use this machine's own",
                )
            ]
        )


def _no_passphrase(url: str) -> Problem:
    return Problem(
        "PULUMI_CONFIG_PASSPHRASE_FILE",
        f"no passphrase for the stacks of {url}",
        "neither PULUMI_CONFIG_PASSPHRASE nor PULUMI_CONFIG_PASSPHRASE_FILE",
        "one of them, the same for all who share the backend",
        "set it, or name a `secretsprovider` in the stack file",
    )
