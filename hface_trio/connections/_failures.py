"""Exceptions that several waiters raise, each one of its own."""

from __future__ import annotations

from typing import TypeVar

from ..errors import HfaceError

__all__ = ["renew"]

_E = TypeVar("_E", bound=HfaceError)


def renew(error: _E) -> _E:
    """Return a new exception like ``error``, with it as cause, so that every waiter raises one of its own."""
    fresh = type(error)(error.message, error_code=error.error_code, stream_id=error.stream_id)
    if fresh.retryable != error.retryable:
        fresh.retryable = error.retryable
    fresh.__cause__ = error
    return fresh
