"""No stream holds up another: not with what nobody reads here, nor with what nobody takes there."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, Timeouts

from .served import body_of_path, count, hello
from .version import Version

Clock = trio.testing.MockClock
PATIENT = Timeouts(write_progress_seconds=1000, body_progress_seconds=1000)


class Neighbours:
    """A handler that reads an upload only once a GET was answered."""

    def __init__(self) -> None:
        self.answered = trio.Event()

    async def __call__(self, stream: HTTPStream) -> None:
        if stream.method == b"GET":
            await hello(stream)
            return
        await self.answered.wait()
        await count(stream)


@pytest.mark.parametrize("octets", [40_000, 40_000_000])
@pytest.mark.parametrize("neighbour", ["the same connection", "another connection"])
async def test_an_unread_upload_holds_up_nobody(
    version: Version, autojump_clock: Clock, octets: int, neighbour: str
) -> None:
    """The neighbour is answered as fast as without the upload."""
    handler = Neighbours()
    async with version.serving(handler) as s:
        other = await s.peer()
        began = trio.current_time()
        await other.response(await other.request())
        alone = trio.current_time() - began
        peer = await s.peer()
        upload = await peer.request(version.POST, end=False)
        await peer.offer(upload, octets)
        await peer.read_for(5)
        one = peer if neighbour == "the same connection" else other
        began = trio.current_time()
        assert await one.response(await one.request()) == (200, b"hello")
        # and what an acknowledgement may be delayed
        assert trio.current_time() - began <= 2 * alone + (0.03 if version.latency_seconds else 0)
        assert s.server.statistics().peak_buffered_octets <= 65_536
        if octets < 1_000_000:
            handler.answered.set()
            assert await peer.response(upload) == (200, b"%d" % octets)
        await peer.close()
        await other.close()


async def test_an_unread_upload_is_read_in_the_end(version: Version, autojump_clock: Clock) -> None:
    handler = Neighbours()
    async with version.serving(handler) as s:
        peer = await s.peer()
        upload = await peer.request(version.POST, end=False)
        await peer.offer(upload, 3_000_000)
        await peer.read_for(5)
        assert await peer.response(await peer.request()) == (200, b"hello")
        handler.answered.set()
        assert await peer.response(upload) == (200, b"3000000")
        assert s.server.statistics().peak_buffered_octets <= 1_100_000  # a window grows with who keeps up
        await peer.close()


UPLOADS = [("2", 99, 20_000_000), ("3", 99, 12_000_000)]


@pytest.mark.parametrize(("version", "streams", "octets"), UPLOADS, ids=["2", "3"], indirect=["version"])
async def test_uploads_nobody_reads_do_not_hold_up_one_that_is_read(
    version: Version, autojump_clock: Clock, streams: int, octets: int
) -> None:
    """Many streams fill their windows; one more sends a large body through."""

    async with version.serving(count, timeouts=PATIENT) as s:
        peer = await s.peer()
        began = trio.current_time()
        for _ in range(streams):
            unread = await peer.request(version.path(b"/sleep", b"POST"), end=False)
            await peer.offer(unread, 80_000, frame_octets=4096)
        read = await peer.request(version.POST, end=False)
        await peer.offer(read, octets)
        assert await peer.response(read) == (200, b"%d" % octets)
        if not version.latency_seconds:
            assert trio.current_time() == began
        await peer.read_for(2)
        # the heads of frames take of the window where it is one of QUIC
        least = streams * (65_536 if version.number == "2" else 60_000)
        assert least <= s.server.statistics().buffered_octets <= streams * 65_536
        await peer.close()


async def test_downloads_nobody_reads_hold_up_nobody(version: Version, autojump_clock: Clock) -> None:
    async with version.serving(body_of_path, timeouts=PATIENT) as s:
        peer, other = await s.peer(window=20_000), await s.peer()
        for _ in range(50):
            await peer.request(version.path(b"/1000000"))
        await peer.read_for(5)
        small = await peer.request(version.path(b"/10000"))
        assert await peer.response(small) == (200, b"x" * 10_000)
        assert await other.response(await other.request(version.path(b"/100000"))) == (200, b"x" * 100_000)
        await peer.close()
        await other.close()


async def test_of_thirty_two_streams_sixteen_never_read(version: Version, autojump_clock: Clock) -> None:
    """On both sides: uploads that their handlers leave, and responses that their callers leave."""

    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        if stream.path == b"/never":
            await trio.sleep_forever()
        octets = 0
        async for chunk in stream.iter_data():
            octets += len(chunk)
            await stream.send_data(chunk)
        assert octets == 100_000
        await stream.send_data(b"", end_stream=True)

    async with version.serving(handler, timeouts=PATIENT) as s, trio.open_nursery() as nursery:
        connection = await s.connect(nursery, timeouts=PATIENT)
        done: list[int] = []

        async def exchange(number: int) -> None:
            fields = version.path(b"/never" if number % 2 else b"/", b"POST")
            async with connection.open_stream(fields) as stream, trio.open_nursery() as uploads:

                async def upload() -> None:
                    for _ in range(10):
                        await stream.send_data(bytes(10_000))
                    await stream.send_data(b"", end_stream=True)

                uploads.start_soon(upload)
                await stream.receive_response()
                if number % 2:
                    await trio.sleep_forever()
                assert len(await stream.read_body()) == 100_000
                done.append(number)

        for number in range(32):
            nursery.start_soon(exchange, number)
        await trio.sleep(30)
        assert sorted(done) == list(range(0, 32, 2))
        assert s.server.statistics().buffered_octets <= 16 * 65_536
        nursery.cancel_scope.cancel()


async def test_two_clients_of_ours_share_a_server_while_one_uploads(version: Version, autojump_clock: Clock) -> None:
    handler = Neighbours()
    async with version.serving(handler) as s, s.client() as one, s.client() as other, trio.open_nursery() as nursery:

        async def upload() -> None:
            response = await one.request("POST", s.url, content=bytes(2_000_000))
            assert response.body == b"2000000"

        nursery.start_soon(upload)
        await trio.sleep(1)
        began = trio.current_time()
        for client in (one, other):
            assert (await client.get(s.url)).body == b"hello"
        assert trio.current_time() - began < 0.2
        handler.answered.set()
