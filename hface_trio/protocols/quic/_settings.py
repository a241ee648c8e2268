"""What can be set on a QUIC connection."""

from __future__ import annotations

import dataclasses
import math

from ...errors import ConfigurationError
from ._codes import QUIC_VERSION_1, QUIC_VERSION_2

__all__ = ["QUICSettings"]

_KIB = 1024
_MIB = 1024 * _KIB
_SMALLEST_DATAGRAM = 1200  # RFC 9000 §14


@dataclasses.dataclass(frozen=True)
class QUICSettings:
    """Options of a QUIC connection; the defaults suit a server exposed to the Internet.

    Args:
        bidirectional_streams: bidirectional streams that the peer may have open.
        unidirectional_streams: unidirectional streams that it may have open.
        stream_window_octets: receive window of a bidirectional stream at first.
        unidirectional_window_octets: receive window of a unidirectional stream of the peer.
        connection_window_octets: receive window of the connection; by default that of all the peer's streams, grown as
            far as they may together, so that streams nobody reads never stop the others.
        maximum_window_octets: how far a bidirectional stream's window grows with consumption.
        window_growth_octets: what all streams together may grow beyond their initial windows.
        window_growth_seconds: a window grows when half of it was consumed within this time.
        hole_octets: octets missing in front of what arrived already, all streams together; packets that would make
            more of them are dropped as if the network had.
        stream_ranges: runs of octets that arrived out of order, per stream; likewise.
        crypto_octets: handshake octets that may arrive out of order.
        queued_octets: output held back by congestion, all streams together; one write's worth.
        unacknowledged_octets: output that the peer has not acknowledged, all streams together.
        max_datagram_octets: largest UDP payload sent. The default fits the smallest MTU that IPv6 allows.
        datagram_frames: accept DATAGRAM frames (RFC 9221).
        queued_datagram_frames: DATAGRAM frames that wait to be sent; the oldest are dropped first.
        unacknowledged_seconds: the connection is given up when the peer acknowledges nothing of what it was sent for so long,
            whatever else it sends.
        idle_timeout_seconds: the connection is lost when nothing arrived for so long; the peer may choose less.
        keep_alive_interval_seconds: a ping is sent when nothing arrived for so long; infinite for none.
        congestion_control: ``"cubic"`` or ``"reno"``.
        initial_round_trip_seconds: assumed until it was measured.
        versions: QUIC versions that are spoken, most preferred first.
        early_data: accept 0-RTT data as a server, send it as a client. It can be replayed by anybody (RFC 8446 §8).
        qlog_directory: where to write a trace of each connection, in qlog's format, when the connection is over. Its file
            bears the id that the client first sent to, in hexadecimal digits, and this side's first id. It holds 50,000
            events and frames; of longer connections the first 25,000 and the last, and how many lie between. For those
            who look for faults: it takes up to some tens of megabytes a connection, and makes packets cost more.
    """

    bidirectional_streams: int = 100
    unidirectional_streams: int = 16
    stream_window_octets: int = 64 * _KIB
    unidirectional_window_octets: int = 16 * _KIB
    connection_window_octets: int | None = None
    maximum_window_octets: int = _MIB
    window_growth_octets: int = 4 * _MIB
    window_growth_seconds: float = 0.5
    hole_octets: int = 256 * _KIB
    stream_ranges: int = 256
    crypto_octets: int = 64 * _KIB
    queued_octets: int = 64 * _KIB
    unacknowledged_octets: int = _MIB
    max_datagram_octets: int = 1232
    datagram_frames: bool = False
    queued_datagram_frames: int = 64
    unacknowledged_seconds: float = 30
    idle_timeout_seconds: float = 30
    keep_alive_interval_seconds: float = math.inf
    congestion_control: str = "cubic"
    initial_round_trip_seconds: float = 0.1
    versions: tuple[int, ...] = (QUIC_VERSION_1, QUIC_VERSION_2)
    early_data: bool = False
    qlog_directory: str | None = None

    def __post_init__(self) -> None:
        if self.congestion_control not in {"cubic", "reno"}:
            raise ConfigurationError(
                f"QUICSettings.congestion_control must be 'cubic' or 'reno', got {self.congestion_control!r}"
            )
        if not self.versions or not set(self.versions) <= {QUIC_VERSION_1, QUIC_VERSION_2}:
            raise ConfigurationError("QUICSettings.versions must be of versions 1 and 2")
        if not _SMALLEST_DATAGRAM <= self.max_datagram_octets <= 65_527:
            raise ConfigurationError("QUICSettings.max_datagram_octets must be from 1,200 to 65,527")
        if not 0 < self.idle_timeout_seconds < math.inf:
            raise ConfigurationError("QUICSettings.idle_timeout_seconds must be positive and finite")
        for name in ("stream_window_octets", "unidirectional_window_octets", "queued_octets", "unacknowledged_octets"):
            if not 1024 <= getattr(self, name) < 2**32:
                raise ConfigurationError(f"QUICSettings.{name} must be at least 1,024 and below 2³²")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and not value >= 0:
                raise ConfigurationError(f"QUICSettings.{field.name} must not be negative, got {value!r}")

    @property
    def connection_window(self) -> int:
        """Receive window of the connection."""
        if self.connection_window_octets is not None:
            return self.connection_window_octets
        return (
            self.bidirectional_streams * self.stream_window_octets
            + self.unidirectional_streams * self.unidirectional_window_octets
            + self.window_growth_octets
        )
