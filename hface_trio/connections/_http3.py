"""What HTTP/3 has beyond the model that all versions share: pings, settings, keys.

``HTTPConnection.http3`` gives it; on connections of other versions that is ``None``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import LocalProtocolError
from ..protocols.http3 import H3ClientProtocol, H3Protocol
from ._ring import ping

if TYPE_CHECKING:
    from ._multiplexed import MultiplexedDriver

__all__ = ["HTTP3Features"]


class HTTP3Features:
    """The particulars of one HTTP/3 connection.

    Everything here is told to the peer at once and waits for nothing, :meth:`ping` excepted. Datagrams belong to streams:
    see :meth:`HTTPStream.submit_datagram <hface_trio.HTTPStream.submit_datagram>`.
    """

    def __init__(self, driver: MultiplexedDriver, protocol: H3Protocol) -> None:
        self._driver = driver
        self._protocol = protocol

    @property
    def peer_settings(self) -> Mapping[int, int]:
        """Settings that the peer has sent."""
        return self._protocol.peer_settings

    @property
    def quic_version(self) -> int | None:
        """The QUIC version: 1, or 0x6b3343cf for version 2 (RFC 9369)."""
        return self._protocol.quic.version

    @property
    def round_trip_seconds(self) -> float | None:
        """The smoothed round-trip time, once it was measured."""
        return self._protocol.quic.round_trip_seconds

    @property
    def resumed(self) -> bool:
        """Whether the handshake resumed an earlier session."""
        handshake = self._protocol.quic.handshake
        return handshake is not None and handshake.session_resumed

    async def ping(self) -> float:
        """Send a ping and wait for its acknowledgement (by streams; used raw, the event tells).

        Returns:
            The round trip in seconds.

        Raises:
            ConnectionLostError: the connection ended before.

        Cancellation: the ping has been sent.
        """
        return await ping(self._driver.subscribers, self.submit_ping)

    def submit_ping(self) -> bytes:
        """Send a ping; a ``PingAcknowledged`` event tells of its return.

        Returns:
            Eight octets by which the acknowledgement is known.

        Raises:
            LocalProtocolError: the connection ended.
        """
        data = self._protocol.submit_ping()
        self._driver.submitted()
        return data

    def update_keys(self) -> None:
        """Change the encryption keys (RFC 9001 §6)."""
        self._protocol.submit_key_update()
        self._driver.submitted()

    def prioritize(self, stream_id: int, *, urgency: int = 3, incremental: bool = False) -> None:
        """Tell the server how urgent the response of a stream is (client; RFC 9218 §7.2).

        Raises:
            LocalProtocolError: this is a server, or the urgency is not from 0 to 7.
        """
        if not isinstance(self._protocol, H3ClientProtocol):
            raise LocalProtocolError("clients prioritize")
        self._protocol.prioritize(stream_id, urgency=urgency, incremental=incremental)
        self._driver.submitted()

    def goaway(self, last_stream_id: int | None = None) -> None:
        """Begin a graceful end by hand.

        Args:
            last_stream_id: the last request that is served; those above it are rejected. By default what arrives within a
                round trip is served (server), or nothing new (client).

        Raises:
            LocalProtocolError: a lower last stream id was named before.

        Source: RFC 9114 §5.2.
        """
        self._protocol.submit_goaway(last_stream_id=last_stream_id)
        self._driver.draining.set()
        self._driver.submitted()
