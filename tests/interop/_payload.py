"""A body of any length that both ends can make, octet for octet, without storing it."""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Iterator

__all__ = ["CHUNK_OCTETS", "MIB", "chunks", "digest"]

MIB = 1024 * 1024
CHUNK_OCTETS = 64 * 1024
_COUNTER_OCTETS = 8


@functools.cache
def _block() -> bytes:
    return random.Random(0).randbytes(CHUNK_OCTETS - _COUNTER_OCTETS)


def chunks(n_octets: int) -> Iterator[bytes]:
    """Make ``n_octets`` octets. Every chunk begins with its number, so that none can be lost or change its place."""
    block = _block()
    for number in range(-(-n_octets // CHUNK_OCTETS)):
        chunk = number.to_bytes(_COUNTER_OCTETS) + block
        yield chunk[: n_octets - number * CHUNK_OCTETS]


@functools.cache
def digest(n_octets: int) -> str:
    """Return the SHA-256 of ``chunks(n_octets)``."""
    sha = hashlib.sha256()
    for chunk in chunks(n_octets):
        sha.update(chunk)
    return sha.hexdigest()
