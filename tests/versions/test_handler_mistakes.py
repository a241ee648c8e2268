"""What handlers hand in wrongly fails where they do it, is answered for them, and touches no other stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import trio

from hface_trio import HfaceError, HTTPStream, LocalProtocolError
from hface_trio.connections import HTTPConnection

from .served import Version

OK = (b":status", b"200")
STRINGS = cast("Any", ("x-name", "value"))
HALF_A_VIEW = memoryview(b"0123456789")[::2]


async def status_of(connection: HTTPConnection, head: list[tuple[bytes, bytes]]) -> int | str:
    """Return the status of the answer, or the name of what came instead."""
    try:
        async with connection.open_stream(head, end_stream=True) as stream:
            await stream.receive_response()
            await stream.read_body()
            return stream.status or 0
    except HfaceError as exc:
        return type(exc).__name__


async def head_with_strings(stream: HTTPStream) -> None:
    await stream.send_headers([OK, STRINGS], end_stream=True)


async def head_with_three(stream: HTTPStream) -> None:
    await stream.send_headers([OK, cast("Any", (b"a", b"b", b"c"))])


async def response_with_strings(stream: HTTPStream) -> None:
    await stream.send_response(200, [STRINGS], b"body")


async def redirection_with_a_string(stream: HTTPStream) -> None:
    await stream.send_response(302, [cast("Any", (b"location", "/elsewhere"))])


async def response_of_half_a_view(stream: HTTPStream) -> None:
    await stream.send_response(200, [], HALF_A_VIEW)


@pytest.mark.parametrize(
    "mistake",
    [head_with_strings, head_with_three, response_with_strings, redirection_with_a_string, response_of_half_a_view],
)
async def test_a_head_that_cannot_be_sent_is_answered_with_500(
    version: Version, mistake: Callable[[HTTPStream], Awaitable[None]], autojump_clock: trio.testing.MockClock
) -> None:
    raised: list[BaseException] = []

    async def handler(stream: HTTPStream) -> None:
        try:
            await mistake(stream)
        except BaseException as exc:
            raised.append(exc)
            raise

    async with version.connected(handler) as (connection, _):
        with trio.fail_after(5):
            assert await status_of(connection, version.request()) == 500
    assert [type(each) for each in raised] in ([LocalProtocolError], [ValueError])


async def data_of_half_a_view(stream: HTTPStream) -> None:
    await stream.send_data(HALF_A_VIEW, end_stream=True)


async def trailers_of_strings(stream: HTTPStream) -> None:
    await stream.send_trailers([STRINGS])


@pytest.mark.parametrize("mistake", [data_of_half_a_view, trailers_of_strings])
async def test_a_response_that_cannot_be_ended_is_cut_off(
    version: Version, mistake: Callable[[HTTPStream], Awaitable[None]], autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([OK])
        await mistake(stream)

    async with version.connected(handler) as (connection, _):
        with trio.fail_after(5):
            assert await status_of(connection, version.request()) in {"StreamResetError", "ConnectionLostError"}


async def test_fields_given_as_lists_are_sent_and_shift_nothing(
    version: Version, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        fields: Any = [(b"x-user", stream.path), [b"x-list", b"y"]]
        if stream.path == b"/wrong":
            fields += [(b"x-new", b"entered first"), STRINGS]
        await stream.send_response(200, fields, b"x")

    async with version.connected(handler) as (connection, _):
        for path in (b"/a", b"/wrong", b"/b", b"/c", b"/b"):
            if path == b"/wrong" and version.number == "1.1":
                continue  # ends the connection
            async with connection.open_stream(version.request(path=path), end_stream=True) as stream:
                head = await stream.receive_response()
                if path == b"/wrong":
                    assert head.headers[0] == (b":status", b"500")
                    continue
                assert (b"x-user", path) in head.headers
                assert (b"x-list", b"y") in head.headers


async def test_a_request_that_cannot_be_sent_leaves_the_connection_as_it_was(
    version: Version, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, [(b"x-path", stream.path)], b"x")

    async with version.connected(handler) as (connection, server):
        assert await status_of(connection, version.request()) == 200
        for _ in range(3):
            with pytest.raises(LocalProtocolError):
                async with connection.open_stream([*version.request(), (b"x-new", b"1"), STRINGS], end_stream=True):
                    pass
        assert await status_of(connection, version.request()) == 200
        assert server.statistics().handlers == 0
        assert connection.statistics().streams == 2


async def test_a_body_of_another_length_than_declared_is_told_before_the_head_leaves(
    version: Version, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(LocalProtocolError):
            await stream.send_response(200, [(b"content-length", b"3")], b"hello")
        await stream.send_response(503, [(b"content-length", b"5")], b"sorry")

    async with version.connected(handler) as (connection, _):
        assert await status_of(connection, version.request()) == 503


async def test_a_handler_that_leaves_a_sender_behind(
    version: Version, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What is sent whole is sent; where it is cut off, the log says so."""
    results: list[str] = []
    body = b"x" * 8_000_000

    async with trio.open_nursery() as nursery:

        async def send(stream: HTTPStream) -> None:
            try:
                await stream.send_data(body, end_stream=True)
            except Exception as exc:
                results.append(type(exc).__name__)
            else:
                results.append("sent")

        async def handler(stream: HTTPStream) -> None:
            await stream.send_headers([OK, (b"content-length", b"%d" % len(body))])
            nursery.start_soon(send, stream)
            await trio.sleep(0.001)

        async with version.connected(handler) as (connection, _):
            with trio.fail_after(60):
                try:
                    async with connection.open_stream(version.request(), end_stream=True) as stream:
                        await stream.receive_response()
                        n_octets = len(await stream.read_body(len(body)))
                except HfaceError:
                    n_octets = -1
    whole = n_octets == len(body)
    assert results == (["sent"] if whole else ["StreamResetError"])
    assert len(caplog.records) == (0 if whole else 1)
