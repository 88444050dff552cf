"""Remembers which feedback was counted, in constant memory that the workers of one pod share."""

import hashlib
import math
import os
import struct
import time
from collections.abc import Callable

from modelway_server.shared import SharedMemory

CAPACITY = 2**20
BITS_PER_ID = 32
HASHES = 10

_HEADER = struct.Struct("=dQQ")
"""Start of the current generation in seconds since 1970, ids in it, and its number."""
_HEADER_BYTES = 64


class SeenIds:
    """Two Bloom filters that take turns; make it before the workers are forked, and they share it.

    An id is remembered for `expiry_seconds` at least, unless `capacity` other ids follow it sooner: then the older
    filter is emptied early, so memory and false refusals stay bounded however much feedback comes.
    An id that was never seen is refused with a probability of at most 2 × (1 − e^(−10/32))^10 ≈ 4e-6: two full filters
    of 32 bits per id, 10 hashes (Bloom 1970; Kirsch and Mitzenmacher 2006 for deriving 10 from two).
    The default capacity takes 2 × 4 MiB, and what is never written is never resident.
    What other pods saw, or this one before a restart, is not known here.
    """

    def __init__(self, expiry_seconds: float, capacity: int = CAPACITY, clock: Callable[[], float] = time.time) -> None:
        self._expiry_seconds = expiry_seconds
        self._capacity = capacity
        self._clock = clock
        # A power of two, so that a hash is cut to a position by a mask.
        self._bits: int = 2 ** math.ceil(math.log2(capacity * BITS_PER_ID))
        self._bytes: int = max(self._bits // 8, 1)
        self._shared = SharedMemory("seen-ids", _HEADER_BYTES + 2 * self._bytes)
        self._memory = self._shared.bytes
        # Ids cannot be chosen to collide by who does not know this.
        self._salt = os.urandom(16)
        _HEADER.pack_into(self._memory, 0, clock(), 0, 0)

    def add(self, *identities: bytes) -> bool:
        """Remember all of `identities` if none was seen before; otherwise remember none and return False."""
        positions = [self._positions(identity) for identity in identities]
        with self._shared:
            current = self._turn()
            if any(self._has(0, bits) or self._has(1, bits) for bits in positions):
                return False
            for bits in positions:
                self._set(current, bits)
            started, count, number = self._header()
            _HEADER.pack_into(self._memory, 0, started, count + len(positions), number)
            return True

    def _turn(self) -> int:
        """Which filter takes new ids; empties the older one when the newer one is full or old enough."""
        started, count, number = self._header()
        now = self._clock()
        if count >= self._capacity or now - started >= self._expiry_seconds:
            number += 1
            start = self._offset(number % 2)
            self._memory[start : start + self._bytes] = bytes(self._bytes)
            _HEADER.pack_into(self._memory, 0, now, 0, number)
        return number % 2

    def _header(self) -> tuple[float, int, int]:
        started, count, number = _HEADER.unpack_from(self._memory, 0)
        return float(started), int(count), int(number)

    def _positions(self, identity: bytes) -> list[int]:
        digest = hashlib.blake2b(identity, key=self._salt, digest_size=16).digest()
        first, second = struct.unpack("=QQ", digest)
        # An odd step visits different bits.
        step = second | 1
        return [(first + index * step) & (self._bits - 1) for index in range(HASHES)]

    def _offset(self, which: int) -> int:
        return _HEADER_BYTES + which * self._bytes

    def _has(self, which: int, bits: list[int]) -> bool:
        start = self._offset(which)
        return all(self._memory[start + (bit >> 3)] & (1 << (bit & 7)) for bit in bits)

    def _set(self, which: int, bits: list[int]) -> None:
        start = self._offset(which)
        for bit in bits:
            self._memory[start + (bit >> 3)] |= 1 << (bit & 7)
