"""RFC 9204, and the limits of field sections, each clause with a raw peer."""

from __future__ import annotations

import pytest

from hface_trio.limits import Limits
from hface_trio.protocols.http3 import HTTP3ErrorCode as Code
from hface_trio.protocols.http3._frames import pack_frame

from .raw_peer import POST, REQUEST, RESPONSE, data, headers, server

# RFC 9204: QPACK.


def test_an_encoder_that_sets_a_table_capacity_breaks_the_limit_of_zero():
    pair = server()
    pair.peer.send(6, b"\x3f\xe1\x1f")
    pair.assert_closed(Code.QPACK_ENCODER_STREAM_ERROR)


def test_a_capacity_of_zero_is_no_error():
    pair = server()
    pair.send(6, b"\x20")
    pair.assert_alive()


def test_an_insertion_without_a_table_is_an_error():
    pair = server()
    pair.peer.send(6, b"\x41a\x01b")
    pair.assert_closed(Code.QPACK_ENCODER_STREAM_ERROR)


def test_a_reference_to_the_dynamic_table_fails_decompression():
    pair = server()
    pair.request(pack_frame(1, b"\x02\x00\x80"))
    pair.assert_closed(Code.QPACK_DECOMPRESSION_FAILED)


@pytest.mark.parametrize("block", [b"", b"\x00", b"\x00\x00\xff\xff\xff", b"\x00\x00\x23ab", b"\x00\x00\x10"])
def test_malformed_sections_fail_decompression(block):
    pair = server()
    pair.request(pack_frame(1, block))
    pair.assert_closed(Code.QPACK_DECOMPRESSION_FAILED)


@pytest.mark.parametrize("instruction", [b"\x80", b"\x00", b"\x01"])
def test_acknowledging_what_was_never_inserted_is_a_decoder_stream_error(instruction):
    pair = server()
    pair.peer.send(10, instruction)
    pair.assert_closed(Code.QPACK_DECODER_STREAM_ERROR)


def test_stream_cancellations_are_no_error():
    pair = server()
    pair.send(10, b"\x40\x44")
    pair.assert_alive()


def test_nothing_of_a_dynamic_table_is_ever_used_whatever_the_peer_allows():
    pair = server(peer_settings={1: 4096, 7: 100})
    for _ in range(3):
        stream_id = pair.request(headers())
        pair.protocol.submit_headers(stream_id, [*RESPONSE, (b"x-custom", b"again and again")], end_stream=True)
        pair.run()
    assert pair.peer.received[7] == b"\x02"


# Limits of sections.


def test_a_section_over_the_limit_is_answered_431_and_the_connection_goes_on():
    pair = server(limits=Limits(header_section_octets=2000))
    stream_id = pair.request(headers([*REQUEST, (b"x", b"y" * 2500)]), end=False)
    assert dict(pair.peer.heads(stream_id)[0])[b":status"] == b"431"
    assert pair.peer.stops == {stream_id: Code.NO_ERROR}
    assert pair.events() == []
    pair.assert_alive()


def test_too_many_fields_are_answered_431():
    pair = server(limits=Limits(header_fields=20))
    stream_id = pair.request(headers([*REQUEST, *[(b"x", b"y")] * 17]))
    assert dict(pair.peer.heads(stream_id)[0])[b":status"] == b"431"
    pair.assert_alive()


def test_what_follows_a_section_over_the_limit_in_one_datagram_is_dropped():
    pair = server(limits=Limits(header_section_octets=1000))
    stream_id = pair.request(headers([*POST, (b"x", b"y" * 1000)]), data(b"body"), headers([(b"a", b"b")]))
    assert dict(pair.peer.heads(stream_id)[0])[b":status"] == b"431"
    pair.assert_alive()


@pytest.mark.parametrize("fields", [[(b"x", b"y" * 5000)], [(b"x", b"")] * 300])
def test_a_section_more_than_twice_over_the_limit_ends_the_connection(fields):
    pair = server(limits=Limits(header_section_octets=2000))
    pair.request(headers([*REQUEST, *fields]))
    pair.assert_closed(Code.EXCESSIVE_LOAD)


def test_a_section_larger_than_the_window_can_arrive():
    pair = server(limits=Limits(stream_window_octets=2048))
    stream_id = pair.request(headers([*REQUEST, (b"x", b"y" * 30_000)]))
    assert [e.stream_id for e in pair.events()] == [stream_id]


def test_trailers_over_the_limit_end_their_stream():
    pair = server(limits=Limits(header_section_octets=2000))
    stream_id = pair.request(headers(POST), headers([(b"x", b"y" * 2500)]))
    pair.assert_stream_error(stream_id, Code.EXCESSIVE_LOAD)


def test_a_section_that_the_peer_would_not_take_is_not_sent():
    from hface_trio.errors import LocalProtocolError

    pair = server(peer_settings={6: 100})
    stream_id = pair.request(headers())
    with pytest.raises(LocalProtocolError, match="100 octets"):
        pair.protocol.submit_headers(stream_id, [*RESPONSE, (b"x", b"y" * 100)])
    pair.protocol.submit_headers(stream_id, RESPONSE, end_stream=True)
