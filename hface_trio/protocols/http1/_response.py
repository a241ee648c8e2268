"""Chooses how a server frames a response, and whether the connection is kept behind it.

Source: RFC 9112 §6.3 (body length), §9.3 (persistence); RFC 9110 §8.6 (Content-Length), §10.1.1 (expect).
"""

from __future__ import annotations

from ...errors import LocalProtocolError
from ._exchange import (
    SENDING_BODY,
    Exchange,
)
from ._outbound import OutboundResponse

__all__ = ["frame_response"]


def frame_response(exchange: Exchange, response: OutboundResponse, *, end_stream: bool, closing: bool) -> list[bytes]:
    """Choose the framing of a final response that opens no tunnel, and note it in the exchange.

    Args:
        exchange: the exchange.
        response: what the application wants to send.
        end_stream: no body follows.
        closing: the connection is to end after this exchange.

    Returns:
        The field lines to send.

    Raises:
        LocalProtocolError: there must be a body and is none; nothing was noted.
    """
    status, lines, length, upgrades = response
    head_request = exchange.method == b"HEAD"
    bodiless = head_request or status in {204, 304}
    if not bodiless and end_stream:
        if length:
            raise LocalProtocolError("body shorter than its content-length", stream_id=exchange.stream_id)
        if length is None:
            length = 0
            lines.append(b"content-length: 0\r\n")
    if length is None:
        if exchange.http10:
            if not bodiless:  # the body ends with the connection
                exchange.keep_alive = False
        elif status not in {204, 304}:  # to a HEAD request too: it tells what a GET would have brought
            exchange.chunked = not head_request
            lines.append(b"transfer-encoding: chunked\r\n")
    elif status == 204:
        lines = [line for line in lines if not line.startswith(b"content-length:")]  # RFC 9110 §8.6 forbids it
    # a client that still waits for 100 may send its body now or not: nothing behind it can be trusted
    if closing or exchange.awaits_continue:
        exchange.keep_alive = False
    exchange.awaits_continue = False
    exchange.sending = SENDING_BODY
    exchange.bodiless = bodiless
    exchange.unsent = None if bodiless else length
    if not exchange.keep_alive:
        lines.append(b"connection: upgrade, close\r\n" if upgrades else b"connection: close\r\n")
    elif exchange.http10:
        lines.append(b"connection: upgrade, keep-alive\r\n" if upgrades else b"connection: keep-alive\r\n")
    elif upgrades:
        lines.append(b"connection: upgrade\r\n")
    return lines
