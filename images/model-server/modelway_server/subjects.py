"""Counts subjects of an experiment: users, where requests of one user are no trials of their own.

Under a sticky split all requests of a user meet one version, and what one user meets once is met again: ten thousand
requests of ten users are ten trials. So a user is one trial at the first request, and one event of a kind at the first
error, the first slow answer and the first prediction. A request without the user's key is a subject of its own, for the
gateway splits such requests at random. Only requests that the split brought count.
"""

import hashlib
import os
import struct
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from prometheus_client import CollectorRegistry, Counter

from modelway_server.runtimes import Prediction
from modelway_server.settings import Settings
from modelway_server.shared import SharedMemory
from modelway_server.signature import ClassLabel

CAPACITY = 65_536
ASSIGNMENT, SPLIT = b"x-modelway-assignment", b"split"

TRIAL, ERROR, SLOW, PREDICTED = 1, 2, 4, 8
_MARKS = TRIAL | ERROR | SLOW | PREDICTED
_HEADER = struct.Struct("=QQ")
"""Subjects in the current generation, and its number."""
_HEADER_BYTES = 64
_ENTRY_BYTES = 8


class SubjectMemory:
    """What was counted of which subject, in two generations that take turns: 2 MiB by default.

    The last `capacity` subjects are remembered at least, and a subject that comes back stays; one that was forgotten is
    a new subject, with all its marks. Make it before the workers are forked, and they share it: the kernel spreads the
    gateway's connections over the workers, so that each meets requests of every user. What other pods saw, or this one
    before a restart, is not known here.
    A subject is 60 bits of a keyed hash: among 131,072 a new one is taken for another with a probability of 1e-13.
    """

    def __init__(self, capacity: int = CAPACITY, alone: bool = False) -> None:
        """`capacity`: subjects of one generation, a power of two; `alone`: one thread of one process uses it."""
        self._capacity = capacity
        # Twice as many places as subjects keep the ways to a free one short.
        self._places = 2 * capacity
        size = self._places * _ENTRY_BYTES
        self._shared = SharedMemory("subjects", _HEADER_BYTES + 2 * size)
        self._lock = nullcontext() if alone else self._shared
        whole = memoryview(self._shared.bytes)
        self._tables = [whole[start : start + size].cast("Q") for start in (_HEADER_BYTES, _HEADER_BYTES + size)]
        self._zeros = bytes(size)
        # Subjects cannot be chosen to collide by who does not know this.
        self._salt = os.urandom(16)

    def mark(self, key: bytes, marks: int) -> int:
        """Give the subject all of `marks`, `TRIAL` among them; returns those that it did not have."""
        digest = hashlib.blake2b(key, key=self._salt, digest_size=_ENTRY_BYTES).digest()
        name = int.from_bytes(digest) & ~_MARKS or _MARKS + 1
        with self._lock:
            count, number = _HEADER.unpack_from(self._shared.bytes)
            current, older = self._tables[number % 2], self._tables[1 - number % 2]
            place = self._place(current, name)
            known: int = current[place] & _MARKS
            if not known:
                known = older[self._place(older, name)] & _MARKS
                if count == self._capacity:
                    current, count, number = older, 0, number + 1
                    current.cast("B")[:] = self._zeros
                    place = self._place(current, name)
                _HEADER.pack_into(self._shared.bytes, 0, count + 1, number)
            current[place] = name | known | marks
        return marks & ~known

    def _place(self, table: "memoryview[int]", name: int) -> int:
        """Where the subject is, or else may be put."""
        mask = self._places - 1
        place = (name // (_MARKS + 1)) & mask
        while (entry := table[place]) and entry & ~_MARKS != name:
            place = (place + 1) & mask
        return place


class Subjects:
    """Counts the subjects of one model version. Not thread-safe: it belongs to the event loop."""

    def __init__(
        self,
        settings: Settings,
        memory: SubjectMemory,
        registry: CollectorRegistry,
        labels: tuple[str, str],
        classes: Sequence[ClassLabel] | None,
    ) -> None:
        """`labels`: model and version; `classes`: None for a regression, whose predictions are not counted."""
        self._memory = memory
        self._header = (settings.subject_header or "").lower().encode()
        self._cookie = (settings.subject_cookie or "").encode()
        self._slow_seconds = settings.slow_seconds

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(name, text, ("model", "version", *more), registry=registry)

        trials = counter("modelway_subjects", "Subjects that the split brought.")
        errors = counter("modelway_subject_errors", "Subjects that met an answer 5xx.")
        # In this order, for a scrape between two of them must not see more events than trials.
        self._counters = {TRIAL: trials.labels(*labels), ERROR: errors.labels(*labels)}
        if self._slow_seconds is not None:
            slow = counter("modelway_subject_slow", "Subjects that met an answer slower than this.", "threshold")
            self._counters[SLOW] = slow.labels(*labels, f"{self._slow_seconds:g}")
        self._by_class: dict[Prediction, Counter] = {}
        if classes is not None:
            predictions = counter("modelway_subject_predictions", "Subjects by their first prediction.", "prediction")
            self._by_class = {label: predictions.labels(*labels, str(label)) for label in classes}
        self._new = dict.fromkeys(self._counters, 0)
        self._new_by_class = dict.fromkeys(self._by_class, 0)

    def key(self, head: Mapping[bytes, bytes]) -> bytes | None:
        """What names the user of a request, None without; read as the gateway reads it where it splits."""
        if self._header:
            return head.get(self._header)
        if self._cookie:
            for pair in head.get(b"cookie", b"").split(b";"):
                name, _, value = pair.partition(b"=")
                if name.strip() == self._cookie:
                    return value.strip().strip(b'"') or None
        return None

    def request(self, head: Mapping[bytes, bytes], code: int, seconds: float, prediction: Prediction | None) -> None:
        """Count a finished request by its headers, answer and duration, and its first prediction if it has one."""
        if head.get(ASSIGNMENT) != SPLIT:
            return
        marks = TRIAL
        if code >= 500:
            marks |= ERROR
        if self._slow_seconds is not None and seconds > self._slow_seconds:
            marks |= SLOW
        if prediction in self._by_class:
            marks |= PREDICTED
        key = self.key(head)
        new = marks if key is None else self._memory.mark(key, marks)
        if not new:
            return
        for mark in self._new:
            if new & mark:
                self._new[mark] += 1
        if new & PREDICTED and prediction is not None:
            self._new_by_class[prediction] += 1

    def flush(self) -> None:
        """Hand on what was counted since the last time."""
        for mark, counter in self._counters.items():
            if self._new[mark]:
                counter.inc(self._new[mark])
                self._new[mark] = 0
        for label, count in self._new_by_class.items():
            if count:
                self._by_class[label].inc(count)
                self._new_by_class[label] = 0
