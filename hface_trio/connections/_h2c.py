"""The client's side of an upgrade from HTTP/1.1 to HTTP/2 in cleartext (RFC 7540 §3.2; retired by RFC 9113 §3.1).

An ``OPTIONS *`` request asks for the upgrade, so that nothing of the application depends on the answer. A server that does
not take it answers over HTTP/1.1, and so the connection goes on.
"""

from __future__ import annotations

import trio

from ..errors import ConnectError
from ..events import ConnectionTerminated, DataReceived, HeadersReceived, TrailersReceived
from ..limits import Limits, Timeouts
from ..models import HeadersType
from ..networking import ByteStream
from ..protocols import HTTPOverTCPProtocol
from ..protocols.http1 import H11ClientProtocol
from ..protocols.http2 import H2ClientProtocol

__all__ = ["ask_for_h2c"]

_READ_OCTETS = 64 * 1024
_REFUSAL_OCTETS = 64 * 1024  # of a body, which is read so that the connection can be used


async def ask_for_h2c(
    transport: ByteStream, authority: bytes, limits: Limits, timeouts: Timeouts
) -> tuple[HTTPOverTCPProtocol, bytes]:
    """Ask the server to upgrade a new cleartext connection.

    Args:
        transport: the connection; nothing was sent on it.
        authority: of the server.
        limits: bounds for the protocol.
        timeouts: bounds for the protocol.

    Returns:
        The protocol to go on with, and octets that were received for it.

    Raises:
        ConnectError: the connection ended before there was an answer, or cannot be used after it: the server switched to
            another protocol, or refuses at length.
        trio.BrokenResourceError: the connection broke.

    Cancellation: the transport is of no more use.
    """
    plain = H11ClientProtocol(secure=False, limits=limits, timeouts=timeouts)
    plain.clock(trio.current_time())
    request = [(b":method", b"OPTIONS"), (b":scheme", b"http"), (b":authority", authority), (b":path", b"*")]
    asking = [(b"upgrade", b"h2c"), (b"http2-settings", H2ClientProtocol.settings_field(limits))]
    stream_id = plain.get_available_stream_id()
    plain.submit_headers(stream_id, [*request, *asking], end_stream=True)
    await transport.send_all(plain.bytes_to_send())
    switched, trailing, refusal_octets = False, b"", 0
    while not switched:
        data = await transport.receive_some(_READ_OCTETS)
        plain.clock(trio.current_time())
        if data:
            plain.bytes_received(data)
        else:
            plain.eof_received()
        complete = False
        while (event := plain.next_event()) is not None:
            if isinstance(event, ConnectionTerminated):
                raise ConnectError(f"the server ended the connection when asked to upgrade: {event.message}")
            if isinstance(event, HeadersReceived):
                switched = event.headers[0] == (b":status", b"101")
                if switched and not _is_to_h2c(event.headers):
                    raise ConnectError("the server switched to another protocol than asked for")
                complete = event.end_stream
            elif isinstance(event, DataReceived):
                plain.acknowledge(stream_id, len(event.data))
                if switched:
                    trailing += event.data
                else:
                    refusal_octets += len(event.data)
                complete = event.end_stream
            elif isinstance(event, TrailersReceived):
                complete = True
        if refusal_octets > _REFUSAL_OCTETS:
            raise ConnectError("the server refused to upgrade, with a body too long to be read")
        if complete and not switched:
            if not plain.is_available():
                raise ConnectError("the server refused to upgrade and closed the connection")
            return plain, b""
    return H2ClientProtocol.upgraded_from(request, limits=limits, timeouts=timeouts), trailing


def _is_to_h2c(headers: HeadersType) -> bool:
    return [value.strip(b" \t").lower() for name, value in headers if name == b"upgrade"] == [b"h2c"]
