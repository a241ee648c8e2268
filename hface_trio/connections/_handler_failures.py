"""What handlers raise: how it is logged, and what the peer is answered when no response has begun."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import trio

from ..errors import BodyTooLargeError, HfaceError, NoTunnelError, SectionTooLargeError
from ._context import logger
from ._stream import HTTPStream

__all__ = ["log_handler_failure", "status_for"]

_STATUSES: Final = ((BodyTooLargeError, 413), (NoTunnelError, 501))  # RFC 9110 §15.5.14, §15.6.2
_PEERS_DOING: Final = (BodyTooLargeError, NoTunnelError, SectionTooLargeError)
_DEPARTURES: Final = (HfaceError, trio.BrokenResourceError)
"""What calls raise when the peer has left."""


def status_for(failure: BaseException) -> int:
    """Return the status of the answer to a request whose handler raised this."""
    statuses = {_status_for(each) for each in _leaves(failure)}
    return statuses.pop() if len(statuses) == 1 else 500


def log_handler_failure(stream: HTTPStream, exc: BaseException) -> None:
    """Log what a handler raised, once, with its traceback; a peer that left is no failure of the handler's."""
    leaves = list(_leaves(exc))
    if stream.cause is not None and all(isinstance(each, _DEPARTURES) for each in leaves):
        logger.debug("handler of %r ended with its stream: %s", stream, leaves[0])
    elif all(isinstance(each, _PEERS_DOING) for each in leaves):  # no traceback for each request
        logger.warning("handler of %r: %s", stream, leaves[0])
    else:
        logger.error("handler of %r failed", stream, exc_info=exc)


def _status_for(failure: BaseException) -> int:
    return next((status for kind, status in _STATUSES if isinstance(failure, kind)), 500)


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    """Give the exceptions of a group, which are never none, or the one there is."""
    if not isinstance(exc, BaseExceptionGroup):
        yield exc
        return
    for each in cast("BaseExceptionGroup[BaseException]", exc).exceptions:
        yield from _leaves(each)
