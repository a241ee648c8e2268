"""One HTTP exchange: what a handler serves and what a client's request is.

A stream is a receive channel of events with a sending side. Its rules hold on every version and on both sides:

- What arrived before a reset is delivered first; then ``receive`` raises. After the peer's END_STREAM it raises
  ``trio.EndOfChannel``.
- Credit returns to the peer when an event is received, so a stream nobody reads holds up its own peer, nothing else.
- One task may receive while another one sends. A second one gets ``trio.BusyResourceError``.
- Every ``send_…`` is a checkpoint first. ``Cancelled`` from it means that nothing was taken; only ``send_data`` may be cut
  off part-way, and then the sending side is broken: ``trio.BrokenResourceError`` from there on, and no clean end on the wire.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import TYPE_CHECKING

import trio

from ..errors import BodyTooLargeError, LocalProtocolError, NoTunnelError, StreamResetError
from ..events import (
    DatagramReceived,
    DataReceived,
    HeadersReceived,
    InformationalReceived,
    StreamEvent,
    TrailersReceived,
)
from ..models import HeadersType, HeaderType
from ._date import date_field
from ._exchange import Exchange
from ._rules import content_length_of, describe_response, has_field, received_status_of, status_of
from ._stream_parts import DataIterator

if TYPE_CHECKING:
    from ..networking import Buffer

__all__ = ["HTTPStream"]

_WHOLE_OCTETS = 16 * 1024
_AUTOMATIC_FIELDS = frozenset({b"alt-svc", b"content-length", b"date"})
"""What is added to responses that have it not."""

DEFAULT_BODY_OCTETS = 1024 * 1024
"""What ``read_body`` takes unless told otherwise: room for forms and documents, not for uploads."""


_NOT_FOR_ALTERNATIVES = frozenset({101, 421})
"""Statuses of what has left HTTP, and of what an alternative was tried for in vain (RFC 7838 §6)."""


class HTTPStream(Exchange, trio.abc.ReceiveChannel[StreamEvent]):
    """One exchange of a request and a response.

    A handler gets it with the request's head read; a client gets it with the request's head sent. As an asynchronous
    iterator it yields the events that follow; :meth:`iter_data` yields only the body.

    Header names and values, and the attributes made of them, are bytes as they came. ``scheme`` is what the client says: on
    cleartext connections a gateway that ends TLS says ``https``, and so may anybody. What proves TLS is
    ``extra_attributes.tls_version`` (RFC 9110 §7.4).
    """

    __slots__ = ()
    body_octets_sent: int
    response_headers: HeadersType | None
    """Of the final response, once a client has received them."""
    status: int | None
    """Of the final response, once it was sent, or received."""
    trailers: HeadersType | None
    """Of the peer, once they were received."""
    tunnel: bool
    """Whether what follows are octets of a tunnel, both ways."""

    # Receiving

    async def receive(self) -> StreamEvent:
        """Receive the next event and return its credit to the peer.

        Returns:
            On a client first ``InformationalReceived`` and ``HeadersReceived``; on both sides ``DataReceived`` and
            ``TrailersReceived``.

        Raises:
            trio.EndOfChannel: the peer's message is complete and taken.
            StreamResetError: the stream was reset.
            ConnectionLostError: its connection ended (client).
            trio.BusyResourceError: another task receives.

        Cancellation: nothing is taken.
        """
        if not self.input_ended:
            self._driver.before_receive(self)
        event = await self._queue().get()
        self._took(event)
        return event

    def _took(self, event: StreamEvent) -> None:
        """Act on an event that the application has now."""
        if isinstance(event, DataReceived):
            self._driver.acknowledge(self, len(event.data))
        elif isinstance(event, HeadersReceived):
            self._take_head(event)
        elif isinstance(event, TrailersReceived):
            self.trailers = event.headers
        elif isinstance(event, InformationalReceived):
            self.informational.append(event.headers)
        elif isinstance(event, DatagramReceived):
            self._driver.datagram_taken(self, len(event.data))

    async def receive_response(self) -> HeadersReceived:
        """Receive up to the head of the final response; interim ones collect in ``informational`` (client).

        Raises:
            LocalProtocolError: called on a server, or a second time.
            HfaceError: as for :meth:`receive`.
        """
        if not self.client_side or self.response_headers is not None:
            raise LocalProtocolError("the head of a response is received once, by a client", stream_id=self.stream_id)
        while True:
            event = await self.receive()
            if isinstance(event, HeadersReceived):
                return event

    def iter_data(self) -> DataIterator:
        """Iterate over the octets of the body as they arrive; trailers are found in ``trailers`` behind it.

        Raises:
            HfaceError: as for :meth:`receive`.
        """
        return DataIterator(self)

    async def read_body(self, max_size: int = DEFAULT_BODY_OCTETS) -> bytes:
        """Read the whole body.

        A CONNECT request has none before its tunnel is open (RFC 9110 §9.3.6).

        Args:
            max_size: octets; the bound of what is held in memory.

        Raises:
            BodyTooLargeError: the body is longer. A handler that lets it pass answers 413.
            HfaceError: as for :meth:`receive`.
        """
        if self.method == b"CONNECT" and not (self.client_side or self.tunnel):
            await trio.lowlevel.checkpoint()
            return b""
        chunks: list[bytes] = []
        n_octets = 0
        queue = self._queue()
        while True:
            if queue.ready:  # what has come is taken together; the end is a checkpoint
                event = queue.get_nowait()
                self._took(event)
            else:
                try:
                    event = await self.receive()
                except trio.EndOfChannel:
                    break
            if isinstance(event, DataReceived) and event.data:
                n_octets += len(event.data)
                if n_octets > max_size:
                    raise BodyTooLargeError(f"the body is longer than {max_size} octets", stream_id=self.stream_id)
                chunks.append(event.data)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    # Sending

    async def send_headers(self, headers: HeadersType, end_stream: bool = False) -> None:
        """Send the head of the final response (server).

        Args:
            headers: ``(b":status", b"…")`` first, then fields with lower-case names. ``date`` is added unless given. A
                101 (HTTP/1.1), or a 2xx answer to CONNECT, makes the stream a tunnel.
            end_stream: the response has no body.

        Raises:
            NoTunnelError: a 2xx answer to CONNECT declares content. A handler that lets it pass answers 501.
            LocalProtocolError: HTTP does not allow it; nothing was sent.
            StreamResetError: the peer is gone.

        Cancellation: nothing was sent.
        """
        self._check_server("send_headers")
        await self._begin_sending()
        try:
            self._submit_response(headers, end_stream)
            self._driver.transmit(self)
        finally:
            self._sending = False

    async def send_informational(self, headers: HeadersType) -> None:
        """Send an interim response, such as 103 (server).

        Raises, Cancellation: as for :meth:`send_headers`.
        """
        self._check_server("send_informational")
        await self._begin_sending()
        try:
            self.rules.informational(status_of(headers))
            self._driver.submit_informational(self, headers)
            self._driver.transmit(self)
        finally:
            self._sending = False

    async def send_data(self, data: Buffer, end_stream: bool = False) -> None:
        """Send octets of the body, or of the tunnel.

        Args:
            data: any length. It is not copied: do not change it before the call returns and :meth:`flush` has.
            end_stream: nothing follows. In a tunnel this half-closes.

        Raises:
            LocalProtocolError: HTTP does not allow it; nothing was sent.
            SendingStoppedError: the peer reads no more.
            StreamResetError: the peer is gone.
            trio.BrokenResourceError: an earlier send was cut off.

        Backpressure: returns when at most 64 KiB of the stream is unsent.
        Cancellation: may have sent a part; the sending side is broken then.
        """
        await self._begin_sending()
        try:
            await self._send_data(data, end_stream)
        finally:
            self._sending = False

    async def send_trailers(self, headers: HeadersType) -> None:
        """Send trailers and end the message.

        They are dropped where HTTP has no place for them: in the answer to a HEAD request, and on HTTP/1.1 behind a body
        that is not chunked, because its length was declared or the peer speaks HTTP/1.0.

        Raises, Cancellation: as for :meth:`send_headers`.
        """
        await self._begin_sending()
        try:
            await self._driver.before_trailers(self)
            self.raise_if_unsendable()
            if not self.rules.trailers(headers):
                await self._driver.send_data(self, b"", end_stream=True)
                return
            try:
                self._driver.submit_trailers(self, headers)
            except BaseException:  # not sent, whatever it was
                self.rules.ended = False
                raise
            self._driver.transmit(self)
        finally:
            self._sending = False

    async def send_response(self, status: int, headers: HeadersType = (), body: Buffer = b"") -> None:
        """Send a whole response (server); ``content-length`` is added.

        Args:
            status: from 200 to 599.
            headers: fields with lower-case names, without ``:status``.
            body: the whole body. The answer to a HEAD request keeps its length and drops it.

        Raises:
            NoTunnelError: it is a 2xx answer to CONNECT. A handler that lets it pass answers 501.

        Raises further, Cancellation: as for :meth:`send_data`.
        """
        self._check_server("send_response")
        await self._begin_sending()
        try:
            if self.method == b"CONNECT" and 200 <= status < 300:
                raise NoTunnelError(f"a {status} response to CONNECT opens a tunnel; send its head alone")
            if isinstance(body, bytes) and self._send_whole(status, headers, body):
                return
            n_octets = _count_octets(body)
            section: list[HeaderType] = [(b":status", b"%d" % status), *headers]
            if status in {204, 304}:
                if n_octets:
                    raise LocalProtocolError(f"a {status} ({HTTPStatus(status).phrase}) response has no body")
            elif not has_field(headers, b"content-length"):
                section.append((b"content-length", b"%d" % n_octets))
            elif content_length_of(headers) != n_octets and self.method != b"HEAD":
                raise LocalProtocolError(f"the body has {n_octets} octets, and not as many as content-length says")
            if not n_octets or self.method == b"HEAD":
                self._submit_response(section, end_stream=True)
                self._driver.transmit(self)
            else:
                self._submit_response(section, end_stream=False)
                self.rules.data(n_octets, end_stream=True)
                self.body_octets_sent += n_octets
                await self._driver.send_data(self, body, end_stream=True)
        finally:
            self._sending = False

    def push(self, headers: HeadersType) -> AbstractAsyncContextManager[HTTPStream]:
        """Promise a response to a request that the client did not make (server, HTTP/2), and give the stream to send it on.

        Leaving the block without a complete response resets the promised stream.

        Args:
            headers: of the request, GET or HEAD: ``:method``, ``:scheme``, ``:authority``, ``:path``, then fields.

        Raises:
            LocalProtocolError: the version has no push, the client does not take it, or the request is not one to push.

        Source: RFC 9113 §8.4.
        """
        return self._driver.push(self, headers)

    async def flush(self) -> None:
        """Wait until everything sent so far has been handed to the kernel.

        Raises:
            HfaceError: the peer is gone.
        """
        await trio.lowlevel.checkpoint()
        await self._driver.flush(self)

    def reset(self, error_code: int = 0) -> None:
        """End the exchange at once.

        Args:
            error_code: code of the HTTP version. On HTTP/1.1 a status from 400 to 599 is answered, if no response has
                begun; in any case the connection ends.
        """
        if not self.over:
            self.fail(StreamResetError("the stream was reset here", error_code=error_code, stream_id=self.stream_id))
            self._driver.reset(self, error_code)

    # Datagrams

    @property
    def max_datagram_octets(self) -> int:
        """How long a datagram may be now; negative where there are none: on HTTP/1.1 and HTTP/2, or because of the peer."""
        return self._driver.max_datagram_octets(self)

    def submit_datagram(self, data: bytes) -> None:
        """Send an HTTP datagram (RFC 9297). It may be lost. Never waits: of too many that wait the oldest are dropped.

        Datagrams of the peer come as :class:`~hface_trio.events.DatagramReceived` events; 64 events may wait, then the
        oldest datagrams make room, and ``statistics`` counts them.

        Raises:
            LocalProtocolError: it is longer than ``max_datagram_octets``, or the stream takes none.
        """
        self._driver.submit_datagram(self, data)

    def cancel(self) -> None:
        """Cancel the handler of this stream (server). What this looks like on the wire stands in the design."""
        self._driver.cancel(self)

    async def aclose(self) -> None:
        """Be done with the stream: reset it, unless both messages are complete."""
        if not (self.rules.ended and self.input_ended):
            self.reset()
        await trio.lowlevel.checkpoint()

    # For the connection

    def shed(self) -> None:
        """Give up what is buffered: the ledger's last resort."""
        self.discard_input()
        self.reset(self._shed_code)
        self._driver.cancel(self)

    # Inside

    def _take_head(self, event: HeadersReceived) -> None:
        self.response_headers = event.headers
        self.status = received_status_of(event.headers)
        if self.status == 101 or (self.method == b"CONNECT" and self.status < 300):
            self.tunnel = self.rules.tunnel = True
            if self.status == 101:
                self.rules.ended = False  # the request has ended, what is sent now is the tunnel's

    def _check_server(self, what: str) -> None:
        if self.client_side:
            raise LocalProtocolError(f"{what} is for servers", stream_id=self.stream_id)

    async def _begin_sending(self) -> None:
        """Take the sending side of the stream for this task, after the checkpoint that every send begins with."""
        if self._sending:
            raise trio.BusyResourceError("another task sends on this stream")
        self._sending = True
        try:
            self.raise_if_unsendable()  # at once: there may never be room again
            await self._driver.wait_sendable(self)
            self.raise_if_unsendable()
        except BaseException:
            self._sending = False
            raise

    def _send_whole(self, status: int, headers: HeadersType, body: bytes) -> bool:
        """Send an ordinary response in one go, if it is one; return whether it was."""
        rules = self.rules
        if rules.head_sent or not 0 < len(body) <= _WHOLE_OCTETS or not 200 <= status <= 599:
            return False
        if status in {204, 205, 304} or self.method in {b"HEAD", b"CONNECT"}:
            return False
        for name, _ in headers:
            if name in _AUTOMATIC_FIELDS:
                return False
        services = None if status in _NOT_FOR_ALTERNATIVES else self._driver.alternative_services
        fields = [*headers, date_field()] if services is None else [*headers, date_field(), (b"alt-svc", services)]
        if not self._driver.submit_response(self, status, fields, body):
            return False
        rules.head_sent = rules.ended = True
        self.status = status
        self.body_octets_sent += len(body)
        return True

    def _submit_response(self, headers: HeadersType, end_stream: bool) -> None:
        status, length, dated, advertised = describe_response(headers)
        rules = self.rules
        rules.response_head(status, length, end_stream, connect=self.method == b"CONNECT")
        if not dated:
            headers = [*headers, date_field()]
        services = self._driver.alternative_services
        if services is not None and not advertised and status not in _NOT_FOR_ALTERNATIVES:
            headers = [*headers, (b"alt-svc", services)]
        try:
            self._driver.submit_headers(self, headers, end_stream)
        except BaseException:  # not sent, whatever it was
            rules.head_sent = rules.ended = rules.tunnel = False
            raise
        if rules.tunnel and self.input_ended and self._driver.tunnel_follows_request:
            self.input_ended = False
            self._queue().reopen()
        self.status = status
        self.tunnel = rules.tunnel

    async def _send_data(self, data: Buffer, end_stream: bool) -> None:
        n_octets = _count_octets(data)
        if self.rules.data(n_octets, end_stream):
            self.body_octets_sent += n_octets
            await self._driver.send_data(self, data, end_stream)
        elif end_stream:
            await self._driver.send_data(self, b"", end_stream=True)


def _count_octets(data: Buffer) -> int:
    if isinstance(data, bytes):
        return len(data)
    view = memoryview(data)
    if not view.c_contiguous:
        raise LocalProtocolError("what is sent has to lie in one piece of memory")
    return view.nbytes
