"""The ``date`` field of servers' responses (RFC 9110 §6.6.1), made once a second."""

from __future__ import annotations

import email.utils
import time

from ..models import HeaderType

__all__ = ["date_field", "http_date"]


class _Latest:
    """The field that was made last."""

    second = -1
    field: HeaderType = (b"date", b"")


def date_field() -> HeaderType:
    """Return ``date`` with the wall-clock time."""
    second = int(time.time())
    if second != _Latest.second:
        _Latest.second = second
        _Latest.field = (b"date", email.utils.formatdate(second, usegmt=True).encode())
    return _Latest.field


def http_date() -> bytes:
    """Return the wall-clock time as a ``Date`` value."""
    return date_field()[1]
