"""Chooses how a server frames a response, and whether the connection is kept behind it.

Source: RFC 9112 §6.3 (body length), §9.3 (persistence); RFC 9110 §8.6 (Content-Length), §10.1.1 (expect).
"""

from __future__ import annotations

from ...errors import LocalProtocolError
from ...models import HeaderType
from ._exchange import Exchange, Sending
from ._outbound import OutboundResponse

__all__ = ["frame_response"]


def frame_response(
    exchange: Exchange, response: OutboundResponse, *, end_stream: bool, closing: bool
) -> list[HeaderType]:
    """Choose the framing of a final response that opens no tunnel, and note it in the exchange.

    Args:
        exchange: the exchange.
        response: what the application wants to send.
        end_stream: no body follows.
        closing: the connection is to end after this exchange.

    Returns:
        The fields to send. Transfer-Encoding is not among them: engines add it when ``exchange.chunked``.

    Raises:
        LocalProtocolError: there must be a body and is none; nothing was noted.
    """
    status, fields, length, upgrades = response
    bodiless = exchange.method == b"HEAD" or status in {204, 304}
    if not bodiless and end_stream:
        if length:
            raise LocalProtocolError("body shorter than its content-length", stream_id=exchange.stream_id)
        if length is None:
            length = 0
            fields = [*fields, (b"content-length", b"0")]
    if status == 204 and length is not None:
        fields = [field for field in fields if field[0] != b"content-length"]  # RFC 9110 §8.6 forbids it
    delimited_by_close = exchange.http10 and length is None and not bodiless
    # a client that still waits for 100 may send its body now or not: nothing behind it can be trusted
    if closing or exchange.awaits_continue or delimited_by_close:
        exchange.keep_alive = False
    exchange.awaits_continue = False
    exchange.sending = Sending.BODY
    exchange.bodiless = bodiless
    exchange.unsent = None if bodiless else length
    exchange.chunked = not bodiless and length is None and not exchange.http10
    options = [b"upgrade"] if upgrades else []
    if not exchange.keep_alive:
        options.append(b"close")
    elif exchange.http10:
        options.append(b"keep-alive")
    if options:
        fields = [*fields, (b"connection", b", ".join(options))]
    return fields
