"""The settings of this side: what was sent, what the peer applies, and for how long it may be silent about it.

A setting is in force once it is acknowledged; acknowledgements come in the order of the SETTINGS frames. Source: RFC
9113 §6.5.
"""

from __future__ import annotations

import math
from collections import deque

from .._faults import ConnectionFault
from ._codes import DEFAULT_FRAME_OCTETS, DEFAULT_TABLE_OCTETS, DEFAULT_WINDOW, HTTP2ErrorCode, HTTP2Setting
from ._frames import pack_settings
from ._output import Output

__all__ = ["LocalSettings"]


class LocalSettings:
    """Settings sent and acknowledged.

    Args:
        output: where SETTINGS frames go.
        timeout_seconds: for an acknowledgement.
    """

    __slots__ = ("_output", "_pending", "_timeout_seconds", "_waiting_since", "anything_sent", "in_force")

    def __init__(self, output: Output, timeout_seconds: float) -> None:
        self._output = output
        self._timeout_seconds = timeout_seconds
        self._pending: deque[dict[int, int]] = deque()
        self._waiting_since: float | None = None
        self.anything_sent: bool = False
        self.in_force: dict[int, int] = {
            HTTP2Setting.HEADER_TABLE_SIZE: DEFAULT_TABLE_OCTETS,
            HTTP2Setting.ENABLE_PUSH: 1,
            HTTP2Setting.INITIAL_WINDOW_SIZE: DEFAULT_WINDOW,
            HTTP2Setting.MAX_FRAME_SIZE: DEFAULT_FRAME_OCTETS,
        }

    def send(self, settings: dict[int, int]) -> None:
        """Send a SETTINGS frame."""
        settings = {int(identifier): value for identifier, value in settings.items()}
        self._output.write(pack_settings(settings))
        self._pending.append(settings)
        self.anything_sent = True

    def acknowledged(self) -> dict[int, int] | None:
        """Enter an acknowledgement and return what is now in force, or ``None`` if none was due."""
        if not self._pending:
            return None
        settings = self._pending.popleft()
        self._waiting_since = None
        self.in_force.update(settings)
        return settings

    def sent_or_in_force(self, setting: int) -> list[int]:
        """Return the values of a setting that the peer may be acting on: in force, and sent since."""
        values = [settings[setting] for settings in self._pending if setting in settings]
        if setting in self.in_force:
            values.append(self.in_force[setting])
        return values

    def clock(self, now: float) -> None:
        """Tell the time.

        Raises:
            ConnectionFault: an acknowledgement is overdue.
        """
        if not self._pending:
            return
        if self._waiting_since is None:
            self._waiting_since = now
        elif now >= self._waiting_since + self._timeout_seconds:
            raise ConnectionFault(HTTP2ErrorCode.SETTINGS_TIMEOUT, "settings were not acknowledged in time")

    def deadline(self) -> float:
        """Return when an acknowledgement is overdue; at once, while the time of sending is open."""
        if not self._pending:
            return math.inf
        return -math.inf if self._waiting_since is None else self._waiting_since + self._timeout_seconds
