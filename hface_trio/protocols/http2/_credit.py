"""The ledger of receive credit: what the peer may still send, and when it is told that it may send more.

For every stream the octets of its window are in one of three places: *available* to the peer, *held* by the application
(received, not acknowledged), or *pending* (acknowledged, or never for the application, but not yet given back). Their
sum is the window. Half a window pending is given back with one WINDOW_UPDATE; if the application kept up and the half
went fast, the window doubles, within the bounds of the stream, the connection and ``may_grow``.

The connection's window is the sum of all streams' initial windows and of what they may grow, so it never holds anybody
up. Source: RFC 9113 §5.2, §6.9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .._faults import ConnectionFault, StreamFault
from ._codes import DEFAULT_WINDOW, HTTP2ErrorCode

__all__ = ["ReceiveLedger", "StreamCredit"]


class StreamCredit:
    """The account of one stream."""

    __slots__ = ("available", "ended", "grown", "held", "pending", "stream_id", "updated_at", "window")

    def __init__(self, stream_id: int, window: int, now: float) -> None:
        self.stream_id: int = stream_id
        self.window: int = window
        self.available: int = window
        self.held: int = 0
        self.pending: int = 0
        self.grown: int = 0
        self.ended: bool = False
        self.updated_at: float = now


class ReceiveLedger:
    """All receive credit of a connection.

    Args:
        connection_window: window of the connection.
        maximum_window: how far a stream's window grows.
        growth_octets: what all windows together may have grown at a time.
        growth_seconds: half a window must have gone within this time for it to grow.
        write_update: writes a WINDOW_UPDATE, given stream id and increment.
    """

    __slots__ = (
        "_growth_left",
        "_growth_seconds",
        "_maximum_window",
        "_pending",
        "_write_update",
        "available",
        "held",
        "initial_window",
        "may_grow",
        "now",
    )

    def __init__(
        self,
        *,
        connection_window: int,
        maximum_window: int,
        growth_octets: int,
        growth_seconds: float,
        write_update: Callable[[int, int], None],
    ) -> None:
        self.available: int = DEFAULT_WINDOW
        self._pending = connection_window - DEFAULT_WINDOW
        self.held: int = 0
        self._maximum_window = maximum_window
        self._growth_left = growth_octets
        self._growth_seconds = growth_seconds
        self._write_update = write_update
        self.initial_window: int = DEFAULT_WINDOW  # until the peer acknowledges other settings (RFC 9113 §6.9.2)
        self.may_grow: Callable[[], bool] | None = None
        self.now: float = 0.0

    def widen_connection(self) -> None:
        """Tell the peer about the connection's window."""
        self._update_connection()

    def open(self, stream_id: int) -> StreamCredit:
        """Open the account of a new stream."""
        return StreamCredit(stream_id, self.initial_window, self.now)

    def received(self, credit: StreamCredit, flow_octets: int, data_octets: int) -> None:
        """Enter a DATA frame.

        Args:
            credit: the stream's account.
            flow_octets: the frame's payload, padding included.
            data_octets: what of it goes to the application.

        Raises:
            StreamFault: more than the stream's window came; the octets are credited to the connection.
        """
        if flow_octets > max(0, credit.available):  # an empty frame needs no window, be it negative
            self.discarded(flow_octets)
            raise StreamFault(credit.stream_id, HTTP2ErrorCode.FLOW_CONTROL_ERROR, "more data than the stream's window")
        credit.available -= flow_octets
        credit.held += data_octets
        self.held += data_octets
        padding = flow_octets - data_octets
        if padding:
            self._give_back(credit, padding)

    def arrived(self, flow_octets: int) -> None:
        """Enter a DATA frame against the connection's window, whatever becomes of it.

        Raises:
            ConnectionFault: more than the connection's window came.
        """
        if flow_octets > self.available:
            raise ConnectionFault(HTTP2ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection's window")
        self.available -= flow_octets
        self._update_connection_if_due()

    def discarded(self, flow_octets: int) -> None:
        """Give back to the connection what no stream takes."""
        self._pending += flow_octets
        self._update_connection_if_due()

    def acknowledge(self, credit: StreamCredit, octets: int) -> None:
        """Give back what the application took; at most what it holds."""
        octets = min(octets, credit.held)
        credit.held -= octets
        self.held -= octets
        self._give_back(credit, octets)

    def receiving_ended(self, credit: StreamCredit) -> None:
        """Note that the peer sends no more on a stream: its window matters no longer."""
        credit.ended = True

    def close(self, credit: StreamCredit) -> None:
        """Close a stream's account; what it holds goes back to the connection, what it had grown to the others."""
        self._growth_left += credit.grown
        self.held -= credit.held
        self.discarded(credit.held)
        credit.grown = credit.held = credit.pending = 0
        credit.ended = True

    def initial_window_changed(self, initial_window: int, credits_open: Iterable[StreamCredit]) -> None:
        """Apply SETTINGS_INITIAL_WINDOW_SIZE once acknowledged; windows may become negative (RFC 9113 §6.9.2)."""
        change = initial_window - self.initial_window
        self.initial_window = initial_window
        for credit in credits_open:
            credit.window += change
            credit.available += change
            self._update_if_due(credit)

    def _give_back(self, credit: StreamCredit, octets: int) -> None:
        self.discarded(octets)
        if credit.ended:
            return
        credit.pending += octets
        self._update_if_due(credit)

    def _update_if_due(self, credit: StreamCredit) -> None:
        if credit.ended or not credit.pending or credit.pending * 2 < credit.window:
            return
        increment = credit.pending + self._growth(credit)
        credit.pending = 0
        credit.available += increment
        credit.updated_at = self.now
        self._write_update(credit.stream_id, increment)

    def _growth(self, credit: StreamCredit) -> int:
        if credit.held * 4 > credit.window or self.now - credit.updated_at > self._growth_seconds:
            return 0
        growth = min(credit.window, self._maximum_window - credit.window, self._growth_left)
        if growth <= 0 or (self.may_grow is not None and not self.may_grow()):
            return 0
        credit.window += growth
        credit.grown += growth
        self._growth_left -= growth
        return growth

    def _update_connection_if_due(self) -> None:
        # Half of what is not held, not half of the window: held by streams nobody reads, the other half may never come.
        if self._pending >= self.available:
            self._update_connection()

    def _update_connection(self) -> None:
        if self._pending > 0:
            self.available += self._pending
            increment, self._pending = self._pending, 0
            self._write_update(0, increment)
