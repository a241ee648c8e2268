"""Traces of connections in qlog's format, one file each, written when the connection is over.

A trace belongs to its connection and to nobody else: whoever forgets the connection forgets its trace. It is bounded: beyond
``TRACED`` events and frames the middle of it is left out, which its file says. The file is named by the id that the client
first sent to, which both sides know, and by this side's first id, which nobody else can choose.
"""

from __future__ import annotations

import json
import logging
import os
from collections import deque
from typing import Any

from aioquic.quic.logger import QLOG_VERSION, QuicLogger, QuicLoggerTrace

from ....errors import ConfigurationError

__all__ = ["TRACED", "Trace", "TraceLogger"]

TRACED = 50_000
"""Events, and frames in them, that are kept of one connection: half of them its first, half of them its last."""

_logger = logging.getLogger("hface_trio.protocols.quic")


class Trace(QuicLoggerTrace):
    """What happened on one connection.

    Args:
        is_client: whose side this is.
        odcid: the id that the client first sent to, if it is known yet.
    """

    def __init__(self, *, is_client: bool, odcid: bytes) -> None:
        super().__init__(is_client=is_client, odcid=odcid)
        self.original_id: bytes = odcid
        self.local_id: bytes = b""
        self._latest: dict[str, Any] | None = None  # its frames may still come
        self._first: list[dict[str, Any]] = []
        self._first_left = TRACED // 2
        self._last: deque[tuple[int, dict[str, Any]]] = deque()
        self._last_left = TRACED // 2
        self._left_out = 0

    @property
    def filename(self) -> str:
        """What the file is called."""
        return f"{self.original_id.hex()}-{self.local_id.hex()}.qlog"

    @property
    def empty(self) -> bool:
        """Whether nothing has happened."""
        return self._latest is None

    def log_event(self, *, category: str, event: str, data: dict[str, Any]) -> None:
        """Take an event."""
        stock: Any = super()
        stock.log_event(category=category, event=event, data=data)
        if self._latest is not None:
            self._keep(self._latest)
        self._latest = self._events.popleft()

    def to_dict(self) -> dict[str, Any]:
        """Return the trace in the form in which it is written."""
        events = list(self._first)
        if self._left_out:
            time = self._last[0][1]["time"] if self._last else events[-1]["time"]
            message = f"{self._left_out} events are left out here"
            events.append({"data": {"message": message}, "name": "loglevel:info", "time": time})
        events += [event for _, event in self._last]
        if self._latest is not None:
            events.append(self._latest)
        return {**super().to_dict(), "common_fields": {"ODCID": self.original_id.hex()}, "events": events}

    def _keep(self, event: dict[str, Any]) -> None:
        size = 1 + len(event["data"].get("frames") or ())
        if self._first_left > 0:
            self._first.append(event)
            self._first_left -= size
            return
        self._last.append((size, event))
        self._last_left -= size
        while self._last_left < 0:
            self._last_left += self._last.popleft()[0]
            self._left_out += 1


class TraceLogger(QuicLogger):
    """Makes the traces of connections, and writes them.

    Args:
        directory: where to.

    Raises:
        ConfigurationError: it is none.
    """

    def __init__(self, directory: str) -> None:
        super().__init__()
        if not os.path.isdir(directory):
            raise ConfigurationError(f"qlog_directory {directory!r} is not a directory")
        self._directory = directory

    def start_trace(self, is_client: bool, odcid: bytes) -> Trace:
        """Return the trace of a new connection."""
        return Trace(is_client=is_client, odcid=odcid)

    def end_trace(self, trace: QuicLoggerTrace) -> None:
        """Write a trace, unless nothing has happened. What cannot be written is told, and ends nothing."""
        if not isinstance(trace, Trace) or trace.empty:
            return
        content = json.dumps({"qlog_format": "JSON", "qlog_version": QLOG_VERSION, "traces": [trace.to_dict()]})
        try:
            with open(os.path.join(self._directory, trace.filename), "w", encoding="ascii") as file:
                file.write(content)
        except OSError as exc:
            _logger.warning("a trace is not written to %r: %s", self._directory, exc.strerror)
