"""Opens the exchange of a request on a server: from a clean head to what is known, what follows, and what to tell.

Source: RFC 9112 §6.3 (body length), RFC 9110 §9.3.6 (CONNECT has no content), §15.5.14 (413).
"""

from __future__ import annotations

import re

from ...events import HeadersReceived
from ...limits import Limits
from ._body import BodyFramer, ChunkedFramer, LengthFramer
from ._codec import Codec
from ._exchange import Exchange
from ._framing import Framing, message_framing
from ._front import trailer_scanner
from ._inbound import RequestFields, request_section
from ._recent import RecentFields
from ._refusal import Refusal

__all__ = ["ends_with_its_head", "open_exchange"]

_CLOSES = re.compile(rb"\nconnection:[^\r]*close", re.IGNORECASE)


def open_exchange(
    head: bytes, stream_id: int, codec: Codec, limits: Limits, recent: RecentFields, *, secure: bool
) -> tuple[Exchange, BodyFramer | None, HeadersReceived]:
    """Take a request head.

    Returns:
        The exchange, how its body is framed (``None``: there is none), and the event.

    Raises:
        Refusal: the request cannot be taken.
    """
    method, target, version = head[: head.index(b"\r")].split(b" ")
    minor_version = version[-1] - 0x30
    framing = message_framing(head, minor_version)
    if not isinstance(framing, Framing) and framing > limits.request_body_octets:
        raise Refusal(413, f"body of more than {limits.request_body_octets} octets")
    received = codec.receive_fields(head, chunked=framing is Framing.CHUNKED)
    fields = RequestFields(received, minor_version)
    headers = request_section(method, target, fields, secure=secure)
    framer: BodyFramer | None = None
    if framing is Framing.CHUNKED:
        trailers = trailer_scanner(limits.header_section_octets, limits.header_fields)
        framer = ChunkedFramer(trailers, limits.request_body_octets, limits.chunk_overhead_octets)
    elif framing is not Framing.UNDECLARED and framing:
        framer = LengthFramer(framing)
    elif framing is Framing.UNDECLARED and minor_version == 1:
        recent.remember(head[len(method) + 1 + len(target) :], received, fields)
    connect = method == b"CONNECT"
    if connect and framer is not None:
        raise Refusal(400, "CONNECT with content")
    exchange = Exchange(stream_id, method, fields.keep_alive)
    exchange.http10 = not minor_version
    exchange.final = exchange.http10 or not fields.keep_alive
    exchange.upgrades = fields.upgrades
    exchange.received = framer is None
    exchange.awaits_continue = fields.expects_continue and framer is not None
    # what follows a CONNECT is not known to be nothing before it is answered
    return exchange, framer, HeadersReceived(stream_id, headers, framer is None and not connect)


def ends_with_its_head(head: bytes) -> bool:
    """Return whether the octets behind a head that is not taken are the next request for certain.

    Raises:
        Refusal: its framing is doubtful.
    """
    minor_version = head[head.index(b"\r") - 1] - 0x30
    framing = message_framing(head, minor_version)
    has_body = framing is Framing.CHUNKED or (framing is not Framing.UNDECLARED and framing)
    return bool(minor_version and not has_body and not _CLOSES.search(head) and not head.startswith(b"CONNECT "))
