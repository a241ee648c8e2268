"""A line for every request, through the observer and the standard library's logging."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from ..connections import Observer, StreamRecord
from ._text import describe_address, printable_bytes

__all__ = ["AccessLog", "configure_logging"]

_LINE = "%(asctime)s %(message)s"


class _OutputHandler(logging.StreamHandler[TextIO]):
    """Writes lines, and drops them when nobody reads them any more: a server serves on without its log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line."""


class AccessLog(Observer):
    """Logs every exchange when it is over, as ``hface_trio.access``.

    A line holds the client's address, the request line, the status (``-`` where there was no response), the octets of
    the response's body, the time taken, and ``aborted`` where the exchange was not completed.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger("hface_trio.access")

    def stream_closed(self, record: StreamRecord) -> None:
        """Log an exchange."""
        closed_at = record.opened_at if record.closed_at is None else record.closed_at
        self._logger.info(
            '%s "%s %s HTTP/%s" %s %d %.1fms%s',
            describe_address(record.connection.remote_address),
            printable_bytes(record.method),
            printable_bytes(record.path).replace('"', "%22"),
            record.connection.http_version,
            record.status or "-",
            record.body_octets_sent,
            (closed_at - record.opened_at) * 1000,
            "" if record.error_code is None else " aborted",
        )


def configure_logging(*, access_log: bool) -> None:
    """Send warnings and errors to standard error, and the access log to standard output.

    An application that has set up logging itself, when it was imported, keeps what it has set up.
    """
    if not logging.root.handlers:
        handler = _OutputHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.root.addHandler(handler)
    logger = logging.getLogger("hface_trio.access")
    if access_log and not logger.handlers:
        handler = _OutputHandler(sys.stdout)
        handler.setFormatter(logging.Formatter(_LINE))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
