"""A client that takes only short field sections (RFC 9114 §4.2.2)."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, SectionTooLargeError

from .harness import serving3
from .raw import Code

MAX_FIELD_SECTION_SIZE = 6


async def test_a_response_head_it_does_not_take_is_no_failure_of_the_handler(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[Exception] = []

    async def handler(stream: HTTPStream) -> None:
        try:
            await stream.send_response(200, body=b"hello")
        except Exception as exc:
            raised.append(exc)
            raise

    with caplog.at_level(logging.WARNING, "hface_trio"):
        async with serving3(handler) as s:
            peer = await s.peer({MAX_FIELD_SECTION_SIZE: 20})
            stream_id = await peer.request()
            await peer.until(lambda: bool(peer.resets()))
            assert peer.resets() == [(stream_id, Code.INTERNAL_ERROR)]
            await peer.close()
    assert [type(each) for each in raised] == [SectionTooLargeError]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info is None
