"""The client's side of an HTTP/2 connection."""

from __future__ import annotations

from typing import Self

from ...errors import LocalProtocolError
from ...limits import Limits, Timeouts
from ...models import HeadersType
from .._fields import SectionFacts, check_request, facts_unchecked
from .._priority import Priority, StreamDependency, format_priority
from ._client_receiver import ClientReceiver
from ._codes import MAXIMUM_STREAM_ID, HTTP2Setting
from ._frames import PREFACE, pack_priority, pack_priority_update
from ._protocol import H2Protocol
from ._settings import HTTP2Settings, first_settings
from ._streams import Stream, origin_of
from ._upgrade import format_settings_field

__all__ = ["H2ClientProtocol"]

_STREAMS_BEFORE_SETTINGS = 100  # RFC 9113 §6.5.2 recommends servers to allow no fewer


class H2ClientProtocol(H2Protocol):
    """An HTTP/2 connection of a client, on ``h2``.

    Args:
        secure: whether the transport is TLS.
        limits: bounds on what the server may use, and on streams that are opened at once.
        timeouts: bounds on what it may stretch.
        settings: options of HTTP/2.

    Raises:
        ConfigurationError: a setting has an impossible value.
    """

    def __init__(
        self,
        *,
        secure: bool,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        settings: HTTP2Settings | None = None,
    ) -> None:
        super().__init__(
            client_side=True,
            receiver_class=ClientReceiver,
            preface=b"",
            secure=secure,
            limits=limits or Limits(),
            timeouts=timeouts or Timeouts(),
            settings=settings or HTTP2Settings(),
        )

    @staticmethod
    def settings_field(limits: Limits | None = None, settings: HTTP2Settings | None = None) -> bytes:
        """Return the ``HTTP2-Settings`` field for a request over HTTP/1.1 that asks for an upgrade.

        Args:
            limits: the same as for ``upgraded_from``.
            settings: the same as for ``upgraded_from``.

        Source: RFC 7540 §3.2.1.
        """
        return format_settings_field(first_settings(limits or Limits(), settings or HTTP2Settings(), client_side=True))

    @classmethod
    def upgraded_from(
        cls,
        headers: HeadersType,
        *,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        settings: HTTP2Settings | None = None,
    ) -> Self:
        """Return the protocol of a connection that was upgraded from HTTP/1.1 by a 101 response.

        Args:
            headers: the request that asked for the upgrade, in the form of HTTP/2; its response comes on stream 1.
            limits: bounds on what the server may use.
            timeouts: bounds on what it may stretch.
            settings: options of HTTP/2.

        Source: RFC 7540 §3.2.
        """
        protocol = cls(secure=False, limits=limits, timeouts=timeouts, settings=settings)
        connection = protocol._connection
        stream = connection.begin_stream(1, connection.core.begin_upgraded_stream(), initiated_here=True)
        _note_request(stream, facts_unchecked(headers))
        return protocol

    def submit_headers(self, stream_id: int, headers: HeadersType, end_stream: bool = False) -> None:
        """Send a request head; ``stream_id`` is that of ``get_available_stream_id``.

        Raises:
            LocalProtocolError: the section is malformed, the id is not the next one, or no stream can be opened now.
        """
        if stream_id != self.get_available_stream_id():
            raise LocalProtocolError(f"stream {stream_id} is not the next to be opened", stream_id=stream_id)
        section = self._prepare(headers, check_request)
        facts = section.facts
        if facts.protocol is not None and not self._peer_takes_extended_connect():
            raise LocalProtocolError("the server does not take extended CONNECT", stream_id=stream_id)
        connection = self._connection
        stream = connection.begin_stream(stream_id, connection.core.begin_own_stream(stream_id), initiated_here=True)
        connection.core.send_section(stream.state, section, end_stream=end_stream)
        _note_request(stream, facts)
        self._schedule.settle()

    def submit_informational(self, stream_id: int, headers: HeadersType) -> None:
        """Refuse: only servers send interim responses.

        Raises:
            LocalProtocolError: always.
        """
        raise LocalProtocolError("a client sends no interim response", stream_id=stream_id)

    def prioritize(self, stream_id: int, *, urgency: int = 3, incremental: bool = False) -> None:
        """Change the priority of a stream that is open, or about to be opened (RFC 9218 §7.1).

        Args:
            stream_id: the stream.
            urgency: 0, most urgent, to 7.
            incremental: whether parts of the response are of use.

        Raises:
            LocalProtocolError: an argument is out of its range, or the connection ended.
        """
        self._check_open()
        if not 0 <= urgency <= 7 or not 0 < stream_id <= MAXIMUM_STREAM_ID:
            raise LocalProtocolError("urgency is 0 to 7, of a stream", stream_id=stream_id)
        priority = Priority(urgency, incremental)
        stream = self._streams.live.get(stream_id)
        if stream is not None:
            stream.priority = priority
        self._connection.output.write(pack_priority_update(stream_id, format_priority(priority)))

    def submit_dependency(self, stream_id: int, dependency: StreamDependency) -> None:
        """Send a priority signal of RFC 7540, for servers that know no other.

        Raises:
            LocalProtocolError: an argument is out of its range, or the connection ended.
        """
        self._check_open()
        if not 1 <= dependency.weight <= 256 or dependency.depends_on == stream_id or stream_id < 1:
            raise LocalProtocolError("weight is 1 to 256, and no stream depends on itself", stream_id=stream_id)
        self._connection.output.write(pack_priority(stream_id, *dependency))

    def _own_streams_allowed(self) -> float:
        settings = self._receiver.peer_settings
        most = self._connection.limits.concurrent_streams
        if settings is None:
            return min(most, _STREAMS_BEFORE_SETTINGS)
        return min(most, settings.get(HTTP2Setting.MAX_CONCURRENT_STREAMS, most))

    def _peer_takes_extended_connect(self) -> bool:
        return bool((self._receiver.peer_settings or {}).get(HTTP2Setting.ENABLE_CONNECT_PROTOCOL))

    def _send_settings(self, settings: dict[int, int]) -> None:
        if not self._local_settings.anything_sent:
            self._connection.output.write(PREFACE)
        super()._send_settings(settings)


def _note_request(stream: Stream, facts: SectionFacts) -> None:
    stream.method = facts.method
    stream.head_sent = True
    stream.origin = origin_of(facts)
