"""Where a request stands in a trace, as its header says: https://www.w3.org/TR/trace-context/#traceparent-header."""

import re

HEADER = b"traceparent"
PARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]([0-9a-f])")
"""Ids of the trace and of the caller's span, of which zeros alone are none, and the last digit of the flags."""


def is_sampled(flags: bytes) -> bool:
    """Whether the caller records its span; `flags` is their last digit."""
    return int(flags, 16) & 1 == 1
