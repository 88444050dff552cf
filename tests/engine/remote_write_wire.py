"""Reads requests of Prometheus remote write 2.0: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/.

Snappy's block format: https://github.com/google/snappy/blob/main/format_description.txt. Of the protocol's messages only what
a receiver needs to tell series apart: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator
from dataclasses import dataclass

GAUGE = 2
"""`METRIC_TYPE_GAUGE`."""
_SYMBOLS, _SERIES = 4, 5
_LABELS, _METADATA = 1, 5


@dataclass(frozen=True)
class Series:
    """One series of a request."""

    labels: dict[str, str]
    type: int


def series_of(body: bytes) -> list[Series]:
    """The series of a compressed request."""
    fields = list(_fields(_uncompressed(body)))
    symbols = [value.decode() for number, value in fields if number == _SYMBOLS and isinstance(value, bytes)]
    return [_series(value, symbols) for number, value in fields if number == _SERIES and isinstance(value, bytes)]


def _series(message: bytes, symbols: list[str]) -> Series:
    found = dict(_fields(message))
    refs = list(_varints(_bytes(found[_LABELS])))
    labels = {symbols[name]: symbols[value] for name, value in zip(refs[::2], refs[1::2], strict=True)}
    kind = dict(_fields(_bytes(found.get(_METADATA, b"")))).get(1, 0)
    assert isinstance(kind, int)
    return Series(labels, kind)


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varints(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        size, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        yield number, message[at : at + size]
        at += size


def _uncompressed(data: bytes) -> bytes:
    size, at = _varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length, extra = (tag >> 2) + 1, (tag >> 2) - 59
            if extra > 0:
                length = int.from_bytes(data[at : at + extra], "little") + 1
                at += extra
            out += data[at : at + length]
            at += length
            continue
        if tag & 3 == 1:
            length, offset = ((tag >> 2) & 7) + 4, ((tag >> 5) << 8) | data[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little")
            at += width
        for _ in range(length):
            out.append(out[-offset])
    assert len(out) == size
    return bytes(out)
