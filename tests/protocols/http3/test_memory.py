"""An HTTP/3 connection that is over is gone, whatever its parts know of each other."""

from __future__ import annotations

import weakref

import pytest

from ..taken import events_of
from .pair import answer, ask, connected


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("in_the_middle", [False, True])
def test_a_connection_that_is_over_is_no_garbage(no_collector: None, side: str, in_the_middle: bool):
    net = connected()
    stream_id = ask(net, end_stream=not in_the_middle)
    if not in_the_middle:
        answer(net, stream_id, b"x" * 1000)
    protocol = getattr(net, side)
    protocol.submit_close()
    protocol.datagrams_to_send()
    events_of(protocol)
    protocol.connection_lost()
    over = [weakref.ref(protocol), weakref.ref(protocol.quic), weakref.ref(protocol.quic._machine)]
    del protocol
    delattr(net, side)
    assert [reference() for reference in over] == [None, None, None]


def test_a_connection_that_broke_the_protocol_is_no_garbage(no_collector: None):
    """Its end came while it was being fed."""
    net = connected()
    net.client.quic.write(net.client.quic.next_stream_id(), b"\x01\xc0\x00\x00\x00\x40\x00\x00\x00" + bytes(1000))
    net.run(0.1)
    assert net.server.quic.close_reason is not None
    events_of(net.server)
    net.server.connection_lost()
    over = weakref.ref(net.server)
    del net.server
    assert over() is None
