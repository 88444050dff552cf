"""The keys that sign evaluation reports: ed25519, as PEM files that `openssl` reads as well.

`securesystemslib` signs and verifies (`pipeline.attestation`): it is the library under TUF and in-toto, kept by their
makers, and needs nothing but `cryptography`.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tools.paths import state_dir
from tools.problem import Problem, ProblemError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_VARIABLE = "MODELWAY_EVALUATION_KEY"
PASSPHRASE_VARIABLE = "MODELWAY_EVALUATION_KEY_PASSPHRASE"  # noqa: S105 - a name
LINE = re.compile(r"MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=")
"""A public key as the stack config has it: the one line between the marks of its PEM file."""


def local_key() -> Path:
    """This machine's own key, for development."""
    return state_dir() / "evaluation-key.pem"


def public_file(key: Path) -> Path:
    """Where the public key beside the private one lies, as the line for the stack config."""
    return key.with_suffix(".pub")


def chosen_key(option: Path | None) -> Path:
    """The key of the option `--key`, else of the variable, else this machine's own, which is made at first use."""
    if option is None and (named := os.environ.get(KEY_VARIABLE)):
        option = Path(named)
    if option is None:
        ensure_local_key()
    return option or local_key()


def ensure_local_key() -> str:
    """The public line of this machine's own key, made when there is none."""
    key = local_key()
    if key.exists() and public_file(key).exists():
        return public_file(key).read_text().strip()
    return public_line(key) if key.exists() else create(key)


def create(key: Path) -> str:
    """Make a private key in the new file `key`, readable by its owner alone, and its public key beside it.

    It is encrypted when the variable `MODELWAY_EVALUATION_KEY_PASSPHRASE` is set. Returns the line for the stack
    config. Raises `ProblemError` when the file exists or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    passphrase = os.environ.get(PASSPHRASE_VARIABLE, "").encode()
    sealing = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)
    line = _line(private)
    try:
        key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        public_file(key).write_text(line + "\n")
    except OSError as error:
        fix = "name another file"
        reason = (error.strerror or "unwritable").lower()
        raise ProblemError([Problem(str(key), "no key can be written", reason, "a new file", fix)]) from None
    return line


def public_line(key: Path) -> str:
    """The line for the stack config of the private key in the file `key`, written beside it again."""
    line = _line(load(key))
    public_file(key).write_text(line + "\n")
    return line


def load(key: Path) -> "Ed25519PrivateKey":
    """The private key in the file `key`; raises `ProblemError` when it holds none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    passphrase = os.environ.get(PASSPHRASE_VARIABLE, "").encode() or None
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), passphrase)
    except OSError as error:
        raise _refused(key, (error.strerror or "unreadable").lower()) from None
    except TypeError:
        got = "no passphrase for an encrypted key" if passphrase is None else "a passphrase for a key that has none"
        raise _refused(key, got) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _refused(key, "other content, or another passphrase") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise _refused(key, "a key of another kind")
    return private


def _line(private: "Ed25519PrivateKey") -> str:
    from cryptography.hazmat.primitives import serialization

    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode().splitlines()[1]


def _refused(key: Path, got: str) -> ProblemError:
    allowed = f"an ed25519 private key as PEM, its passphrase in {PASSPHRASE_VARIABLE}"
    fix = f"run `python -m pipeline key {key}`, which makes one"
    return ProblemError([Problem(str(key), "is no signing key", got, allowed, fix)])
