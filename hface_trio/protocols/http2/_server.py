"""The server's side of an HTTP/2 connection."""

from __future__ import annotations

from typing import Self

from ...errors import LocalProtocolError, RemoteProtocolError
from ...events import DataReceived, HeadersReceived
from ...limits import Limits, Timeouts
from ...models import HeadersType, HeaderType
from .._faults import ConnectionFault
from .._fields import check_request, check_response, facts_unchecked
from .._priority import parse_priority
from ._codes import HTTP2Setting
from ._compat_h2 import may_send, may_send_head, received_all
from ._frames import PREFACE, pack_altsvc
from ._protocol import H2Protocol
from ._server_receiver import ServerReceiver
from ._settings import HTTP2Settings
from ._streams import Stream
from ._upgrade import parse_settings_field

__all__ = ["H2ServerProtocol"]

_PUSHABLE = frozenset({b"GET", b"HEAD"})


class H2ServerProtocol(H2Protocol):
    """An HTTP/2 connection of a server, on ``h2``.

    Args:
        secure: whether the transport is TLS.
        limits: bounds on what the client may use.
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
            client_side=False,
            receiver_class=ServerReceiver,
            preface=PREFACE,
            secure=secure,
            limits=limits or Limits(),
            timeouts=timeouts or Timeouts(),
            settings=settings or HTTP2Settings(),
        )

    @classmethod
    def upgraded_from(
        cls,
        headers: HeadersType,
        settings_field: bytes,
        *,
        body: bytes = b"",
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        settings: HTTP2Settings | None = None,
    ) -> Self:
        """Return the protocol of a connection that a request over HTTP/1.1 upgrades.

        Make it before the 101 response is sent, so that a request that cannot be upgraded can be answered otherwise.
        The request becomes stream 1, and its events are the first. The client's preface is still to come.

        Args:
            headers: the request, in the form of HTTP/2, without connection-specific fields.
            settings_field: value of its one ``HTTP2-Settings`` field.
            body: its whole body.
            limits: bounds on what the client may use.
            timeouts: bounds on what it may stretch.
            settings: options of HTTP/2.

        Raises:
            RemoteProtocolError: ``settings_field`` is malformed.

        Source: RFC 7540 §3.2.
        """
        protocol = cls(secure=False, limits=limits, timeouts=timeouts, settings=settings)
        protocol._begin_upgraded(list(headers), parse_settings_field(settings_field), body)
        return protocol

    def _begin_upgraded(self, headers: list[HeaderType], peer_settings: list[tuple[int, int]], body: bytes) -> None:
        connection = self._connection
        try:
            for identifier, value in peer_settings:
                connection.core.check_peer_setting(identifier, value)
            connection.core.apply_peer_settings(
                dict(peer_settings), encoder_table_octets=self._settings.encoder_table_octets
            )
        except ConnectionFault as exc:
            raise RemoteProtocolError(exc.message, error_code=exc.code) from exc
        known = HTTP2Setting.NO_RFC7540_PRIORITIES
        self._receiver.peer_settings = {identifier: value for identifier, value in peer_settings if identifier <= known}
        stream = connection.begin_stream(1, connection.core.begin_upgraded_stream(), initiated_here=False)
        connection.ledger.receiving_ended(stream.credit)
        facts = facts_unchecked(headers)
        stream.method = facts.method
        if facts.priority is not None:
            stream.priority = parse_priority(facts.priority) or stream.priority
        stream.announced = stream.head_received = True
        connection.events.append(HeadersReceived(1, headers, not body))
        if body:
            connection.events.append(DataReceived(1, body, True))

    def submit_headers(self, stream_id: int, headers: HeadersType, end_stream: bool = False) -> None:
        """Send the head of a final response; a 2xx response to CONNECT turns the stream into a tunnel.

        Raises:
            LocalProtocolError: the section is malformed, or the stream does not take one now.
        """
        stream = self._awaiting_head(stream_id)
        section = self._prepare(headers, check_response)
        if 100 <= section.facts.status < 200:
            raise LocalProtocolError("an interim response is no final one", stream_id=stream_id)
        self._connection.core.send_section(stream.state, section, end_stream=end_stream)
        stream.head_sent = True
        if end_stream:
            self._sending_ended(stream)

    def submit_informational(self, stream_id: int, headers: HeadersType) -> None:
        """Send an interim response.

        Raises:
            LocalProtocolError: the section is malformed, or the stream does not take one now.
        """
        stream = self._awaiting_head(stream_id)
        section = self._prepare(headers, check_response)
        if not 100 <= section.facts.status < 200 or not may_send(stream.state):
            raise LocalProtocolError("not an interim response, or not on this stream", stream_id=stream_id)
        self._connection.core.send_interim_section(stream.state, section)

    def submit_continue(self, stream_id: int) -> None:
        """Send 100 (Continue) if the client holds its body back for it; harmless otherwise."""
        stream = self._streams.live.get(stream_id)
        if stream is None or not stream.awaits_continue:
            return
        stream.awaits_continue = False
        if not stream.head_sent and not stream.received_octets and not received_all(stream.state):
            section = self._prepare([(b":status", b"100")], check_response)
            self._connection.core.send_interim_section(stream.state, section)

    def submit_push_promise(self, stream_id: int, headers: HeadersType) -> int:
        """Promise a response to a request that the client did not make.

        Send the response on the promised stream, by ``submit_headers`` and ``submit_data``.

        Args:
            stream_id: the stream of the client that the promise belongs to; its response is not complete.
            headers: the request, GET or HEAD.

        Returns:
            The promised stream's id.

        Raises:
            LocalProtocolError: the client does not take promises, or not this one.

        Source: RFC 9113 §8.4.
        """
        parent = self._live(stream_id)
        if parent.initiated_here or not may_send(parent.state):
            raise LocalProtocolError(f"stream {stream_id} does not take promises", stream_id=stream_id)
        promised_stream_id = self.get_available_stream_id()
        section = self._prepare(headers, check_request)
        facts = section.facts
        if facts.method not in _PUSHABLE:
            raise LocalProtocolError("only GET and HEAD can be promised", stream_id=stream_id)
        connection = self._connection
        state = connection.core.send_promise(stream_id, promised_stream_id, section.fields)
        stream = connection.begin_stream(promised_stream_id, state, initiated_here=True)
        connection.ledger.receiving_ended(stream.credit)
        stream.method = facts.method
        stream.head_received = True
        return promised_stream_id

    def submit_alternative_service(
        self, field_value: bytes, *, origin: bytes | None = None, stream_id: int | None = None
    ) -> None:
        """Advertise an alternative service (RFC 7838 §4).

        Args:
            field_value: as in an ``Alt-Svc`` field.
            origin: the origin it is for; or else
            stream_id: a stream whose request's origin it is for.

        Raises:
            LocalProtocolError: not exactly one of ``origin`` and ``stream_id`` is given, or it cannot be sent.
        """
        self._check_open()
        if (origin is None) == (stream_id is None) or origin == b"":
            raise LocalProtocolError("an alternative service is for an origin or for a stream")
        if stream_id is not None:
            self._live(stream_id)
        payload_octets = 2 + len(origin or b"") + len(field_value)
        if len(origin or b"") > 0xFFFF or payload_octets > self._connection.core.max_outbound_frame_size:
            raise LocalProtocolError("the alternative service does not fit into a frame")
        self._connection.output.write(pack_altsvc(stream_id or 0, origin or b"", field_value))

    def _own_streams_allowed(self) -> float:
        settings = self._receiver.peer_settings or {}
        if not settings.get(HTTP2Setting.ENABLE_PUSH, 1):
            return 0
        return settings.get(HTTP2Setting.MAX_CONCURRENT_STREAMS, self._connection.limits.concurrent_streams)

    def _awaiting_head(self, stream_id: int) -> Stream:
        stream = self._live(stream_id)
        if stream.head_sent or not may_send_head(stream.state):
            raise LocalProtocolError(f"stream {stream_id} does not take a head now", stream_id=stream_id)
        return stream
