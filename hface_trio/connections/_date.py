"""The value of ``date`` fields (RFC 9110 §6.6.1), made once a second."""

from __future__ import annotations

import email.utils
import time

__all__ = ["http_date"]


class _DateCache:
    """The value of a ``date`` field, made once a second."""

    second = -1
    value = b""


def http_date() -> bytes:
    """Return the wall-clock time as a ``Date`` value (RFC 9110 §6.6.1)."""
    second = int(time.time())
    if second != _DateCache.second:
        _DateCache.second = second
        _DateCache.value = email.utils.formatdate(second, usegmt=True).encode()
    return _DateCache.value
