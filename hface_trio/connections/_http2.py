"""What HTTP/2 has beyond the model that all versions share: pings, settings, windows, GOAWAY by hand, padding.

``HTTPConnection.http2`` gives it; on connections of other versions that is ``None``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import trio

from ..errors import LocalProtocolError
from ..protocols.http2 import H2ClientProtocol, H2Protocol, H2ServerProtocol, StreamDependency
from ._ring import ping

if TYPE_CHECKING:
    from ..networking import Buffer
    from ._multiplexed import MultiplexedDriver

__all__ = ["HTTP2Features"]


class HTTP2Features:
    """The particulars of one HTTP/2 connection.

    Everything here is told to the peer at once and waits for nothing, :meth:`ping` excepted.
    """

    def __init__(self, driver: MultiplexedDriver, protocol: H2Protocol) -> None:
        self._driver = driver
        self._protocol = protocol

    @property
    def local_settings(self) -> Mapping[int, int]:
        """Settings of this side that the peer has acknowledged."""
        return self._protocol.local_settings

    @property
    def peer_settings(self) -> Mapping[int, int]:
        """Settings that the peer has sent."""
        return self._protocol.peer_settings

    def send_window(self, stream_id: int = 0) -> int:
        """Return what the peer allows to be sent on a stream, or 0 for the connection, in octets; it may be negative."""
        return self._protocol.send_window(stream_id)

    def receive_window(self, stream_id: int = 0) -> int:
        """Return what the peer may send on a stream, or 0 for the connection, in octets; it may be negative."""
        return self._protocol.receive_window(stream_id)

    async def ping(self) -> float:
        """Send a ping and wait for its acknowledgement (by streams; used raw, the event tells).

        Returns:
            The round trip in seconds.

        Raises:
            LocalProtocolError: too many pings are on their way.
            ConnectionLostError: the connection ended before.

        Cancellation: the ping has been sent.
        """
        return await ping(self._driver.subscribers, self.submit_ping)

    def submit_ping(self, data: bytes | None = None) -> bytes:
        """Send a ping; a ``PingAcknowledged`` event tells of its return.

        Args:
            data: eight octets; something unique unless given.

        Returns:
            The eight octets.

        Raises:
            LocalProtocolError: they are not eight, or too many pings are on their way.
        """
        data = self._protocol.submit_ping(data)
        self._protocol.clock(trio.current_time())  # which dates it: its acknowledgement may come before any other call
        self._driver.submitted()
        return data

    def update_settings(self, settings: Mapping[int, int]) -> None:
        """Change settings of this side; a ``SettingsAcknowledged`` event tells when the peer applies them.

        Raises:
            LocalProtocolError: a value is out of its range, or the connection ended.

        Source: RFC 9113 §6.5.
        """
        self._protocol.submit_settings(settings)
        self._driver.submitted()

    def goaway(self, last_stream_id: int | None = None, error_code: int = 0, additional_data: bytes = b"") -> None:
        """Begin a graceful end by hand.

        Args:
            last_stream_id: the last stream of the peer that is served; those above are refused. By default what arrives
                within a round trip is served (server), or nothing new (client).
            error_code: the reason.
            additional_data: for the peer's logs.

        Raises:
            LocalProtocolError: a lower last stream id was named before.

        Source: RFC 9113 §6.8.
        """
        self._protocol.submit_goaway(
            last_stream_id=last_stream_id, error_code=error_code, additional_data=additional_data
        )
        self._driver.draining.set()
        self._driver.submitted()

    def submit_padded_data(self, stream_id: int, data: Buffer, pad_length: int, end_stream: bool = False) -> None:
        """Send data with padding, past the writer's queue: for tests of peers, and against traffic analysis.

        Args:
            stream_id: a stream that has nothing queued.
            data: no more than the stream's send capacity allows, padding included.
            pad_length: octets of padding in each frame, 0 to 255.
            end_stream: nothing follows.

        Raises:
            SendCapacityError: it is too much for now.
            LocalProtocolError: the stream takes no data.
        """
        self._protocol.submit_data(stream_id, data, end_stream, pad_length=pad_length)
        self._driver.submitted()

    def prioritize(self, stream_id: int, *, urgency: int = 3, incremental: bool = False) -> None:
        """Tell the server how urgent the response of a stream is (client; RFC 9218 §7.1).

        Raises:
            LocalProtocolError: this is a server, or the urgency is not from 0 to 7.
        """
        if not isinstance(self._protocol, H2ClientProtocol):
            raise LocalProtocolError("clients prioritize")
        self._protocol.prioritize(stream_id, urgency=urgency, incremental=incremental)
        self._driver.submitted()

    def submit_dependency(self, stream_id: int, dependency: StreamDependency) -> None:
        """Send a priority signal of RFC 7540 §5.3 (client), for servers that know no other.

        Raises:
            LocalProtocolError: this is a server, or the signal is not a valid one.
        """
        if not isinstance(self._protocol, H2ClientProtocol):
            raise LocalProtocolError("clients prioritize")
        self._protocol.submit_dependency(stream_id, dependency)
        self._driver.submitted()

    def advertise(self, field_value: bytes, *, origin: bytes | None = None, stream_id: int | None = None) -> None:
        """Advertise an alternative service in an ALTSVC frame (server; RFC 7838 §4).

        Args:
            field_value: as in an ``Alt-Svc`` field.
            origin: the origin it is for; or else
            stream_id: a stream whose request's origin it is for.

        Raises:
            LocalProtocolError: this is a client, or not exactly one of ``origin`` and ``stream_id`` is given.
        """
        if not isinstance(self._protocol, H2ServerProtocol):
            raise LocalProtocolError("servers advertise alternative services")
        self._protocol.submit_alternative_service(field_value, origin=origin, stream_id=stream_id)
        self._driver.submitted()
