"""What can be asked of an HTTP/3 connection, by those who use it and by those who route its datagrams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aioquic.tls import AlertDescription

from ...models import AddressType, HTTPErrorCodes
from .._interfaces import HTTPOverQUICProtocol, OutputEnd, StreamCodes
from .._priority import DEFAULT_PRIORITY, Priority
from ..quic import QUICConnection, QUICErrorCode
from ._codes import ERROR_CODES, STREAM_CODES
from ._connection import Connection
from ._drain import Drain, DrainPhase
from ._streams import StreamTable

__all__ = ["H3Inspection"]


class H3Inspection(HTTPOverQUICProtocol):
    """The parts of a connection, and what they know."""

    _connection: Connection
    _streams: StreamTable
    _drain: Drain
    _quic: QUICConnection

    @property
    def http_version(self) -> str:
        """``"3"``."""
        return "3"

    @property
    def multiplexed(self) -> bool:
        """``True``."""
        return True

    @property
    def error_codes(self) -> HTTPErrorCodes:
        """Codes of RFC 9114."""
        return ERROR_CODES

    @property
    def stream_codes(self) -> StreamCodes:
        """Codes to reset streams with."""
        return STREAM_CODES

    @property
    def connection_ids(self) -> Sequence[bytes]:
        """QUIC connection ids that route datagrams to this connection."""
        return self._quic.connection_ids

    def take_connection_id_changes(self) -> tuple[list[bytes], list[bytes]]:
        """Return the ids issued and the ids retired since the last call."""
        return self._quic.take_connection_id_changes()

    @property
    def quic(self) -> QUICConnection:
        """The QUIC connection below, to look at."""
        return self._quic

    @property
    def handshake_complete(self) -> bool:
        """Whether the TLS handshake has completed."""
        return self._quic.handshake is not None

    @property
    def handshake_failure(self) -> str | None:
        """Why there was no connection, in words for a person."""
        reason = self._quic.close_reason
        if reason is None or self._quic.handshake is not None:
            return None
        alert = reason.code - QUICErrorCode.CRYPTO_ERROR
        if not reason.application and 0 <= alert <= 0xFF:
            known = alert in AlertDescription._value2member_map_
            name = AlertDescription(alert).name.replace("_", " ") if known else f"alert {alert}"
            who = "" if reason.local else "the peer refused: "
            return f"{who}{name}" + (f" ({reason.message})" if reason.message and reason.local else "")
        return reason.message or f"QUIC error {reason.code:#x}"

    @property
    def tls_failed(self) -> bool:
        """Whether it was TLS that the handshake failed for, on either side."""
        reason = self._quic.close_reason
        if reason is None or self._quic.handshake is not None:
            return False
        return not reason.application and 0 <= reason.code - QUICErrorCode.CRYPTO_ERROR <= 0xFF

    @property
    def output_end(self) -> OutputEnd:
        """What there is still to send."""
        if self._quic.close_reason is None:
            return OutputEnd.OPEN
        return OutputEnd.ABORTED if self._quic.is_closed else OutputEnd.CLOSED

    @property
    def is_closed(self) -> bool:
        """Whether the connection is over for good, its closing period too."""
        return self._quic.is_closed

    @property
    def remote_address(self) -> AddressType | None:
        """Where datagrams go at present."""
        return self._quic.remote_address

    @property
    def peer_certificate(self) -> bytes | None:
        """The certificate that the peer showed, DER."""
        return self._quic.peer_certificate

    @property
    def open_streams(self) -> int:
        """How many streams are in the table."""
        return len(self._streams.live)

    @property
    def draining(self) -> bool:
        """Whether this side has begun a graceful end."""
        return self._drain.phase is not DrainPhase.OPEN

    @property
    def peer_settings(self) -> Mapping[int, int]:
        """Settings that the peer has sent."""
        return dict(self._connection.peer_settings or {})

    @property
    def unacknowledged_octets(self) -> int:
        """Octets of all streams that were received and are not acknowledged."""
        return self._quic.ledger.held

    @property
    def held_octets(self) -> int:
        """Octets that wait for others, in front of them or behind them in a section; and those the peer has to acknowledge.

        Of the latter what goes beyond one write's worth, as over TCP the kernel has them.
        """
        quic = self._quic
        unacknowledged = max(0, quic.sender.unacknowledged - quic.settings.queued_octets)
        return quic.held_octets + self._streams.held_octets + unacknowledged

    def has_expired(self) -> bool:
        """Return whether no further stream can ever be opened."""
        return self._connection.terminated or self._connection.goaway_received or self.draining

    def priority(self, stream_id: int) -> Priority:
        """Return the latest priority of a stream (RFC 9218); the default where nothing is known of any."""
        stream = self._streams.live.get(stream_id)
        return DEFAULT_PRIORITY if stream is None or stream.priority is None else stream.priority

    def explicit_priority(self, stream_id: int) -> Priority | None:
        """Return the latest priority of a stream, if the client said anything about it."""
        stream = self._streams.live.get(stream_id)
        return None if stream is None else stream.priority

    def can_send(self, stream_id: int) -> bool:
        """Return whether data may be submitted for a stream, if there is capacity."""
        stream = self._streams.live.get(stream_id)
        return stream is not None and stream.head_sent and not stream.sending_ended
