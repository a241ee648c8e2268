"""``HTTP2-Settings`` belongs to the connection: it counts with an upgrade, and where Connection nominates it (RFC 7540 §3.2.1)."""

from __future__ import annotations

import pytest

from hface_trio.events import HeadersReceived

from ..taken import events_of
from .drive import server

FIELD = (b"http2-settings", b"AAMAAABk")


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        (b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", True),
        (b"HTTP2-Settings: AAMAAABk\r\nUpgrade: h2c\r\nConnection: http2-settings\r\nConnection: upgrade\r\n", True),
        (b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", False),
        (b"Connection: HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", False),
        (b"HTTP2-Settings: AAMAAABk\r\n", False),
    ],
)
def test_it_is_passed_on_only_where_it_counts(fields: bytes, kept: bool) -> None:
    protocol = server()
    protocol.bytes_received(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    (event,) = events_of(protocol)
    assert isinstance(event, HeadersReceived)
    assert (FIELD in event.headers) is kept
