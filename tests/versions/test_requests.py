"""What a handler is told of a request, and what it does for a client by reading, is the same on every version."""

from __future__ import annotations

import pytest
import trio

from hface_trio import HTTPStream, LocalProtocolError
from hface_trio.events import InformationalReceived

from .served import Version


async def test_a_client_that_waits_for_100_gets_it_when_the_handler_reads(
    version: Version, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        await stream.send_response(200, body=await stream.read_body())

    async with version.connected(handler) as (connection, _):
        head = [*version.request(b"POST"), (b"expect", b"100-continue"), (b"content-length", b"5")]
        async with connection.open_stream(head) as stream:
            began = trio.current_time()
            with trio.fail_after(5):
                event = await stream.receive()
            assert isinstance(event, InformationalReceived)
            assert event.headers == [(b":status", b"100")]
            assert 1 <= trio.current_time() - began < 1.5
            await stream.send_data(b"hello", end_stream=True)
            await stream.receive_response()
            assert await stream.read_body() == b"hello"
            assert len(stream.informational) == 1


async def test_a_client_that_does_not_wait_gets_no_100(
    version: Version, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        await stream.send_response(200, body=await stream.read_body())

    async with version.connected(handler) as (connection, _):
        for expectations in ([], [(b"expect", b"100-continue")]):
            async with connection.open_stream([*version.request(b"POST"), *expectations]) as stream:
                await stream.send_data(b"hello", end_stream=True)
                await stream.receive_response()
                assert await stream.read_body() == b"hello"
                assert stream.informational == []


async def test_the_host_field_alone_is_the_authority(version: Version, autojump_clock: trio.testing.MockClock) -> None:
    authorities: list[bytes] = []

    async def handler(stream: HTTPStream) -> None:
        authorities.append(stream.authority)
        await stream.send_response(200)

    async with version.connected(handler) as (connection, _):
        head = [field for field in version.request() if field[0] != b":authority"]
        async with connection.open_stream([*head, (b"host", b"gateway.example")], end_stream=True) as stream:
            await stream.receive_response()
    assert authorities == [b"gateway.example"]


async def test_a_client_does_not_announce_content_and_send_none(
    version: Version, autojump_clock: trio.testing.MockClock
) -> None:
    """Servers wait for it, or answer 417 (RFC 9110 §10.1.1)."""

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=await stream.read_body())

    async with version.connected(handler) as (connection, _):
        with pytest.raises(LocalProtocolError, match="100-continue"):
            async with connection.open_stream([*version.request(), (b"expect", b"100-Continue")], end_stream=True):
                pass
        async with connection.open_stream([*version.request(), (b"expect", b"other")], end_stream=True) as stream:
            await stream.receive_response()
            assert stream.status == 200


async def test_a_client_sends_no_content_with_trace(version: Version, autojump_clock: trio.testing.MockClock) -> None:
    """RFC 9110 §9.3.8."""

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=stream.method)

    async with version.connected(handler) as (connection, _):
        with pytest.raises(LocalProtocolError, match="TRACE"):
            async with connection.open_stream(version.request(b"TRACE")):
                pass
        async with connection.open_stream(version.request(b"TRACE"), end_stream=True) as stream:
            await stream.receive_response()
            assert await stream.read_body() == b"TRACE"
