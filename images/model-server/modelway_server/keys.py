"""API keys for clusters without a gateway that checks them."""

import hashlib
import hmac
import re
from pathlib import Path

from modelway_server import log
from modelway_server.errors import ApiError
from modelway_server.startup import StartupError, sentence

VARIABLE = "MODELWAY_API_KEY_FILE"
_LINE = re.compile(r"(?:(?P<name>[A-Za-z0-9._-]{1,63}):)?(?P<digest>[0-9a-f]{64})")


class ApiKeys:
    """The keys of a file, as sha256; several are valid at once, so that one can replace another."""

    def __init__(self, path: Path, digests: dict[bytes, str]) -> None:
        self._path = path
        self._digests = digests
        self._stamp = _stamp(path)

    @classmethod
    def read(cls, path: Path) -> "ApiKeys":
        """The keys of `path`, one `name:sha256` or `sha256` per line; raises `StartupError`."""
        return cls(path, _read(path))

    def check(self, head: dict[bytes, bytes]) -> None:
        """Refuse with 401 a request without a known key in `authorization: Bearer …` or `x-api-key`."""
        given = head.get(b"x-api-key", b"")
        scheme, _, token = head.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            given = token.strip()
        digest = hashlib.sha256(given).digest()
        # All are compared, so that the time tells nothing of which.
        if not sum([hmac.compare_digest(digest, known) for known in self._digests]):
            raise ApiError(401, "the API key is missing or unknown", headers={"www-authenticate": "Bearer"})

    def refresh(self) -> None:
        """Read the file again if it has changed. A broken file leaves the old keys in force."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._digests = _read(self._path)
            except StartupError as error:
                log.LOGGER.error(str(error))
            else:
                log.event("keys replaced", keys=len(self._digests))


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _read(path: Path) -> dict[bytes, str]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or "bytes that are no ASCII text"
        raise StartupError(
            sentence(VARIABLE, "cannot be read", f"{path} ({found.lower()})", "a readable file", "check the mount")
        ) from None
    digests = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            # Not shown: a mistake here is often the key itself.
            got, allowed = f"line {number} of {path}", "name:sha256 in hexadecimal, one per line"
            raise StartupError(
                sentence(VARIABLE, "has a line that is no key", got, allowed, "hash the key with sha256sum")
            )
        digests[bytes.fromhex(match["digest"])] = match["name"] or f"line {number}"
    if not digests:
        raise StartupError(sentence(VARIABLE, "has no key", str(path), "at least one key", "add one"))
    return digests
