"""What handlers raise: how it is logged, and what the peer is answered when no response has begun."""

from __future__ import annotations

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
    if isinstance(failure, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", failure)
        statuses = set(map(status_for, group.exceptions))
        return statuses.pop() if len(statuses) == 1 else 500
    return next((status for kind, status in _STATUSES if isinstance(failure, kind)), 500)


def log_handler_failure(stream: HTTPStream, exc: BaseException) -> None:
    """Log what a handler raised, once, with its traceback; a peer that left is no failure of the handler's."""
    if stream.cause is not None and _all(exc, _DEPARTURES):
        logger.debug("handler of %r ended with its stream: %s", stream, exc)
    elif _all(exc, _PEERS_DOING):  # no traceback for each request
        logger.warning("handler of %r: %s", stream, exc)
    else:
        logger.error("handler of %r failed", stream, exc_info=exc)


def _all(exc: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    """Whether an exception, or all of a group, is one of these."""
    if isinstance(exc, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", exc)
        return all(_all(each, kinds) for each in group.exceptions)
    return isinstance(exc, kinds)
