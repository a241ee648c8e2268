"""CONNECT to handlers that make no tunnels, and know nothing of the method (RFC 9110 §9.3.6)."""

from __future__ import annotations

import pytest
import trio

from hface_trio import HTTPStream, NoTunnelError

from .served import Version

Clock = trio.testing.MockClock
HEAD = [(b":method", b"CONNECT"), (b":authority", b"example.org:443")]


async def respond(stream: HTTPStream) -> None:
    await stream.send_response(200, [(b"content-type", b"text/plain")], b"hello")


async def read_and_respond(stream: HTTPStream) -> None:
    await stream.send_response(200, body=await stream.read_body())


async def respond_in_parts(stream: HTTPStream) -> None:
    await stream.send_headers([(b":status", b"200"), (b"content-length", b"5")])
    await stream.send_data(b"hello", end_stream=True)


async def respond_without_content(stream: HTTPStream) -> None:
    await stream.send_response(204)


async def respond_in_a_task(stream: HTTPStream) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(respond, stream)


@pytest.mark.parametrize(
    "handler", [respond, read_and_respond, respond_in_parts, respond_without_content, respond_in_a_task]
)
async def test_a_handler_that_answers_it_like_any_request_makes_no_tunnel(
    version: Version, handler, autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with version.connected(handler) as (connection, _):
        with trio.fail_after(1):
            async with connection.open_stream(HEAD) as stream:
                await stream.receive_response()
                assert stream.status == 501
                assert not stream.tunnel
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "opens a tunnel" in record.getMessage()


async def test_a_handler_may_refuse_it_or_answer_after_a_mistake(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(NoTunnelError):
            await stream.send_response(200, body=b"hello")
        assert await stream.read_body() == b""
        await stream.send_response(405, [(b"allow", b"GET")], b"no tunnels")

    async with version.connected(handler) as (connection, _):
        with trio.fail_after(1):
            async with connection.open_stream(HEAD) as stream:
                await stream.receive_response()
                assert stream.status == 405
                assert await stream.read_body() == b"no tunnels"


async def test_the_body_of_a_tunnel_is_what_comes_through_it(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        assert await stream.read_body() == b""
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(await stream.read_body(), end_stream=True)

    async with version.connected(handler) as (connection, _):
        with trio.fail_after(1):
            async with connection.open_stream(HEAD) as stream:
                await stream.receive_response()
                assert stream.tunnel
                await stream.send_data(b"through", end_stream=True)
                assert await stream.read_body() == b"through"
