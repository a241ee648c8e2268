"""Streams in memory: what they share with TCP beyond the contract of all byte streams."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from hface_trio.testing import memory_stream_pair

pytestmark = pytest.mark.timeout(20, method="signal")


async def test_the_buffer_is_bounded(autojump_clock):
    near, far = memory_stream_pair(buffer_octets=10)
    assert near.send_nowait([b"abcdef", b"ghijkl", b"mno"]) == 10
    assert far.unread_octets == 10
    assert near.send_nowait([b"x"]) == 0
    assert await far.receive_some(4) == b"abcd"
    assert near.send_nowait([b"123456"]) == 4
    assert await far.receive_some() == b"efghij1234"


async def test_a_buffer_holds_at_least_one_octet():
    with pytest.raises(ValueError, match="buffer_octets"):
        memory_stream_pair(buffer_octets=0)


async def test_a_receive_can_be_limited_to_single_octets(autojump_clock):
    near, far = memory_stream_pair(receive_limit_octets=1)
    await near.send_all(b"abc")
    assert [await far.receive_some() for _ in range(3)] == [b"a", b"b", b"c"]
    far.receive_limit_octets = 2
    await near.send_all(b"def")
    assert [await far.receive_some() for _ in range(2)] == [b"de", b"f"]
    far.receive_limit_octets = None
    await near.send_all(b"ghi")
    assert await far.receive_some() == b"ghi"


async def test_the_addresses_of_both_sides():
    near, far = memory_stream_pair(addresses=(("client", 1), ("server", 2)))
    assert near.extra_attributes.local_address == far.extra_attributes.remote_address == ("client", 1)
    assert far.extra_attributes.local_address == near.extra_attributes.remote_address == ("server", 2)


async def test_a_reset_discards_what_was_not_received(autojump_clock):
    near, far = memory_stream_pair()
    await near.send_all(b"lost")
    near.abort()
    assert far.unread_octets == 0
    with pytest.raises(trio.BrokenResourceError):
        await far.receive_some()


async def test_closing_with_unread_data_is_a_reset(autojump_clock):
    near, far = memory_stream_pair()
    await near.send_all(b"unread")
    await far.send_all(b"answer that gets lost")
    await far.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await near.receive_some()


async def test_a_closed_peer_takes_nothing_but_its_last_words_are_received(autojump_clock):
    near, far = memory_stream_pair()
    await far.send_all(b"last words")
    await far.aclose()
    with pytest.raises(trio.BrokenResourceError):
        near.send_nowait([b"x"])
    assert await near.receive_some() == b"last words"
    assert await near.receive_some() == b""


async def test_a_failing_departure_callback_is_logged(autojump_clock, caplog):
    def fail() -> None:
        raise RuntimeError("a bug")

    near, far = memory_stream_pair()
    near.watch_departure(fail)
    await far.send_eof()
    await trio.sleep(1)
    assert [(record.name, record.levelno) for record in caplog.records] == [("hface_trio.testing", logging.ERROR)]


async def test_a_departure_that_is_on_its_way_can_be_unwatched(autojump_clock):
    near, far = memory_stream_pair()
    called = []
    near.watch_departure(lambda: called.append(1))
    far.abort()
    near.unwatch_departure()
    await trio.sleep(1)
    assert not called
