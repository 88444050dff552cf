"""API keys of clients: made, rotated, revoked and listed in the one Secret that the gateway reads them from.

A key is `mw_`, 43 digits to the base 62 that hold 256 random bits, and 6 that hold the CRC-32 of all before, so that a
scanner knows a leaked key from a word that only looks like one.
"""

import base64
import json
import re
import secrets
import string
import subprocess
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelway.gateway.policy import KEYS_SECRET, NOBODY

from infra import machine
from infra.config_schema import DNS_LABEL
from infra.deploy import Job
from infra.names import MODELS_NAMESPACE
from tools.problem import Problem, ProblemError

MANAGER = "modelway-keys"
"""Field manager of our writes."""
ASK_SECONDS = 10
WRITES = 20
"""Writes that one change may lose against others, each of which has then won: more people at once than there are."""

PREFIX = "mw_"
BITS = 256
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_DIGITS, _CHECK_DIGITS = 43, 6
_KEY = re.compile(f"{PREFIX}[0-9A-Za-z]{{{_RANDOM_DIGITS + _CHECK_DIGITS}}}")

_ENTRY = re.compile(rf"({DNS_LABEL.pattern})\.([12])")
# Names and times only: nobody's key leaves the API server for a look.
_LOOK = (
    "{{.metadata.resourceVersion}}"
    '{{range $name, $_ := .data}}{{printf "\\ndata %s" $name}}{{end}}'
    '{{range $name, $value := .metadata.annotations}}{{printf "\\nannotation %s %q" $name $value}}{{end}}'
)


def new_key() -> str:
    """A new random key."""
    text = PREFIX + _digits(secrets.randbits(BITS), _RANDOM_DIGITS)
    return text + _checksum(text)


def is_key(text: str) -> bool:
    """Whether `text` has the form of a key and the checksum fits."""
    return _KEY.fullmatch(text) is not None and _checksum(text[:-_CHECK_DIGITS]) == text[-_CHECK_DIGITS:]


def _checksum(text: str) -> str:
    return _digits(zlib.crc32(text.encode()), _CHECK_DIGITS)


def _digits(number: int, count: int) -> str:
    found = ""
    for _ in range(count):
        number, digit = divmod(number, len(_ALPHABET))
        found = _ALPHABET[digit] + found
    return found


@dataclass(frozen=True)
class Key:
    """One key of a client, without the key."""

    client: str
    slot: int
    """1 or 2: a client has two keys at most."""
    created: datetime | None = None
    """None where another program wrote the key and no time."""

    @property
    def entry(self) -> str:
        """Its name in the Secret."""
        return f"{self.client}.{self.slot}" if self.slot else self.client

    @property
    def annotation(self) -> str:
        """Annotation of the Secret with the time of its creation; a client's name fills the 63 characters."""
        return f"key-{self.slot}.modelway.dev/{self.client}"


@dataclass(frozen=True)
class Keyring:
    """What the Secret says of its keys."""

    version: str
    """The object's version; a write that names an older one is refused."""
    keys: Sequence[Key]

    def of(self, client: str) -> list[Key]:
        """The client's keys, the oldest first; one without a time is older than any that has one."""
        mine = [key for key in self.keys if key.client == client]
        return sorted(mine, key=lambda key: (key.created is not None, key.created, key.slot))


Change = Mapping[Key, str | None]
"""Keys to write, and with None to remove."""


@dataclass(frozen=True)
class Store:
    """The Secret, through kubectl: a key goes through its standard input and nowhere else."""

    kubectl: Sequence[str]
    stack: str

    def look(self) -> Keyring:
        """The keys without the keys; raises `ProblemError` when the cluster or the Secret is not there."""
        return keyring(self._ask("get", f"--output=go-template={_LOOK}").stdout)

    def write(self, version: str, change: Change) -> bool:
        """Write a change of the keyring with this version; False when somebody else was faster."""
        document = {
            "metadata": {
                "resourceVersion": version,
                "annotations": {
                    key.annotation: _stamp(key) if value is not None else None for key, value in change.items()
                },
            },
            "data": {
                key.entry: base64.b64encode(value.encode()).decode() if value is not None else None
                for key, value in change.items()
            },
        }
        flags = ("--type=merge", "--patch-file=/dev/stdin", f"--field-manager={MANAGER}", "--output=name")
        return self._ask("patch", *flags, stdin=json.dumps(document), allowed="(Conflict)").returncode == 0

    def _ask(
        self, verb: str, *flags: str, stdin: str = "", allowed: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        where = ("secret", KEYS_SECRET, f"--namespace={MODELS_NAMESPACE}", f"--request-timeout={ASK_SECONDS}s")
        command = [*self.kubectl, verb, *where, *flags]
        asked = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if asked.returncode and not (allowed and allowed in asked.stderr):
            raise ProblemError([_unanswered(self.stack, asked.stderr)])
        return asked


def keyring(look: str) -> Keyring:
    """What `kubectl get` with our template printed."""
    version, *lines = look.splitlines()
    entries = [line.removeprefix("data ") for line in lines if line.startswith("data ")]
    pairs = [line.split(" ", 2)[1:] for line in lines if line.startswith("annotation ")]
    times = {name: value.strip('"') for name, value in pairs}
    return Keyring(version, [_key(entry, times) for entry in entries if entry != NOBODY])


def _key(entry: str, times: Mapping[str, str]) -> Key:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return Key(entry, 0)  # Good at the gateway all the same, so that a list must not hide it.
    key = Key(found[1], int(found[3]))
    try:
        return Key(key.client, key.slot, datetime.strptime(times[key.annotation], "%Y-%m-%dT%H:%M:%S%z"))
    except (KeyError, ValueError):
        return key


def _stamp(key: Key) -> str:
    return key.created.strftime("%Y-%m-%dT%H:%M:%SZ") if key.created else ""


def store_of(work: Job) -> Store:
    """The Secret of a stack; raises `ProblemError` when the stack knows no keys or has no cluster."""
    stack, auth = work.files.name, work.settings.gateway.auth
    if auth is None:
        fix = f"add `auth: {{method: api-key}}` to modelway:gateway and run `modelway up {stack}`"
        what = f"the gateway of stack {stack} asks nobody for a key"
        raise ProblemError([Problem("modelway:gateway.auth", what, "no auth", "method api-key", fix)])
    if auth.method != "api-key":
        fix = "let the issuer of the tokens add and revoke the client"
        what = f"the gateway of stack {stack} asks for tokens, not keys"
        raise ProblemError([Problem("modelway:gateway.auth.method", what, auth.method, "api-key", fix)])
    up = f"run `modelway up {stack}`"
    if gone := machine.cluster_gone(work.settings):
        raise ProblemError([Problem(f"stack {stack}", "it has no cluster", gone, "a deployed stack", up)])
    if machine.asleep(work.settings):
        fix = "run `modelway node up`, which starts it with all that it served"
        raise ProblemError([Problem(f"stack {stack}", "the cluster does not answer", "a stopped node", "a node", fix)])
    kubectl = machine.kubectl(work.settings)
    if not kubectl:
        raise ProblemError([Problem("kubectl", "this program is missing", "nothing on PATH", "kubectl", up)])
    return Store(kubectl, stack)


def _unanswered(stack: str, stderr: str) -> Problem:
    if "(NotFound)" in stderr:
        fix = f"run `modelway up {stack}`"
        return Problem(f"stack {stack}", "it has no place for keys", "no such Secret", "a deployed stack", fix)
    last = (stderr.strip().splitlines() or ["no answer"])[-1].rstrip("?.")
    what = "the cluster refused" if "from server" in last else "the cluster does not answer"
    return Problem(f"stack {stack}", what, last, "kubectl's access to the Secret", "check the cluster and your access")


def add(store: Store, client: str, now: datetime) -> str:
    """Make the first key of a new client and return it.

    Raises:
        ProblemError: not a name for a client, or the client has a key.
    """
    _require_client(client)
    key = new_key()

    def change(ring: Keyring) -> Change:
        if count := len(ring.of(client)):
            fix = f"run `modelway keys rotate {store.stack} {client}` for another key"
            raise _refused(client, "the client has a key", f"{count} keys" if count > 1 else "1 key", "none", fix)
        return {Key(client, 1, now): key}

    _change(store, change)
    return key


def rotate(store: Store, client: str, now: datetime) -> str:
    """Make the second key of a client and return it; the first goes on being valid.

    Raises:
        ProblemError: the client has no key, or two.
    """
    _require_client(client)
    key = new_key()

    def change(ring: Keyring) -> Change:
        first, *second = _known(store, ring, client)
        if second:
            fix = f"run `modelway keys revoke {store.stack} {client} --old` when the client uses the new one"
            raise _refused(client, "the last rotation is not finished", "2 keys", "1 key", fix)
        # Another's clock may be ahead of this one, and time is what says which key is the old one.
        created = max(now, first.created + timedelta(seconds=1)) if first.created else now
        return {Key(client, 2 if first.slot == 1 else 1, created): key}

    _change(store, change)
    return key


def revoke(store: Store, client: str, *, old: bool = False) -> int:
    """Remove all keys of a client, or with `old` the older one of two; returns how many.

    Raises:
        ProblemError: the client has no key; with `old`, it has one only, or none of its two has a time.
    """
    _require_client(client)
    removed: list[Key] = []

    def change(ring: Keyring) -> Change:
        mine = _known(store, ring, client)
        if old and len(mine) == 1:
            fix = f"run `modelway keys rotate {store.stack} {client}` first, or leave --old out to remove its only key"
            raise _refused(client, "no rotation is under way", "1 key", "2 keys", fix)
        if old and mine[-1].created is None:
            fix = "remove the old one where it was written"
            raise _refused(client, "nobody knows which key is the old one", "keys without times", "a time", fix)
        removed[:] = mine[:-1] if old else mine
        return dict.fromkeys(removed)

    _change(store, change)
    return len(removed)


def lost_with(work: Job) -> str:
    """A sentence on the keys that the end of a stack deletes; empty where there are none, or nobody can know."""
    try:
        count = len({key.client for key in store_of(work).look().keys})
    except ProblemError:
        return ""
    lose = "1 client loses its keys" if count == 1 else f"{count} clients lose their keys"
    return f"{lose} with this stack; docs/api-keys.md says how to keep a copy." if count else ""


def _change(store: Store, change: Callable[[Keyring], Change]) -> None:
    # Optimistic concurrency: decided on what was read, written only if that still holds, else decided anew.
    for _ in range(WRITES):
        ring = store.look()
        if store.write(ring.version, change(ring)):
            return
    what, fix = "others change the keys all the time", "find who does it (`kubectl get secret --show-managed-fields`)"
    raise ProblemError([Problem(KEYS_SECRET, what, f"{WRITES} lost writes", "fewer", fix)])


def _known(store: Store, ring: Keyring, client: str) -> list[Key]:
    if mine := ring.of(client):
        return mine
    fix = f"see `modelway keys list {store.stack}`, or make one with `modelway keys add {store.stack} {client}`"
    raise _refused(client, "no such client", "no key", "1 or 2 keys", fix)


def _require_client(client: str) -> None:
    if DNS_LABEL.fullmatch(client) is None:
        allowed = "lower-case letters, digits and '-', a letter first, no '-' last, at most 63 characters"
        raise ProblemError([Problem("CLIENT", "not a DNS label", repr(client), allowed, "choose another name")])


def _refused(client: str, what: str, got: str, allowed: str, fix: str) -> ProblemError:
    return ProblemError([Problem(f"client {client}", what, got, allowed, fix)])
