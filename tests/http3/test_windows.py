"""Windows of every kind, through the connection: nothing hangs, nothing drifts, and no stream holds up another."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, Limits, StreamResetError, Timeouts

from .harness import URL, Outcomes, Served, hello, serving3
from .raw import GET, POST, Code, RawPeer, Window, data

Clock = trio.testing.MockClock
PATIENT = Timeouts(write_progress_seconds=1000, body_progress_seconds=1000)


async def body_of_path(stream: HTTPStream) -> None:
    await stream.send_response(200, body=b"x" * int(stream.path[1:]))


def get(octets: int) -> list[tuple[bytes, bytes]]:
    return [*GET[:3], (b":path", b"/%d" % octets)]


class Neighbours:
    """A handler that reads an upload only once a GET was answered."""

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.uploads: list[int] = []

    async def __call__(self, stream: HTTPStream) -> None:
        if stream.method == b"GET":
            await hello(stream)
            return
        await self.answered.wait()
        octets = 0
        async for chunk in stream.iter_data():
            octets += len(chunk)
        self.uploads.append(octets)
        await stream.send_response(200, body=b"%d" % octets)


@pytest.mark.parametrize("octets", [40_000, 40_000_000])
@pytest.mark.parametrize("neighbour", ["the same connection", "another connection"])
async def test_an_unread_upload_holds_up_nobody(autojump_clock: Clock, octets: int, neighbour: str) -> None:
    """The neighbour is answered as fast as without the upload."""
    handler = Neighbours()
    async with serving3(handler) as s:
        other = await s.peer()
        began = trio.current_time()
        await other.response(await other.request())
        alone = trio.current_time() - began
        peer = await s.peer()
        upload = await peer.request(POST, data(bytes(octets)))
        await peer.read_for(5)
        one = peer if neighbour == "the same connection" else other
        began = trio.current_time()
        assert await one.response(await one.request()) == (200, b"hello")
        assert trio.current_time() - began < 2 * alone + 0.03  # and what an acknowledgement may be delayed
        assert s.server.statistics().peak_buffered_octets <= 65_536
        if octets < 1_000_000:
            handler.answered.set()
            assert await peer.response(upload) == (200, b"%d" % octets)
        await peer.close()
        await other.close()


async def test_an_unread_upload_is_read_in_the_end(autojump_clock: Clock) -> None:
    handler = Neighbours()
    async with serving3(handler) as s:
        peer = await s.peer()
        upload = await peer.request(POST, data(bytes(3_000_000)))
        await peer.read_for(5)
        assert await peer.response(await peer.request()) == (200, b"hello")
        handler.answered.set()
        assert await peer.response(upload) == (200, b"3000000")
        assert s.server.statistics().peak_buffered_octets <= 1_100_000  # a window grows with who keeps up
        await peer.close()


async def test_downloads_nobody_reads_hold_up_nobody(autojump_clock: Clock) -> None:
    async with serving3(body_of_path, timeouts=PATIENT) as s:
        peer, other = await s.peer(window=Window(stream=20_000)), await s.peer()
        for _ in range(50):
            await peer.request(get(1_000_000))
        await peer.read_for(5)
        small = await peer.request(get(10_000))
        assert await peer.response(small) == (200, b"x" * 10_000)
        assert await other.response(await other.request(get(100_000))) == (200, b"x" * 100_000)
        await peer.close()
        await other.close()


async def test_of_thirty_two_streams_sixteen_never_read(autojump_clock: Clock) -> None:
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

    async with serving3(handler, timeouts=PATIENT) as s, trio.open_nursery() as nursery:
        connection = await s.connect(nursery, timeouts=PATIENT)
        done: list[int] = []

        async def exchange(number: int) -> None:
            path = (b":path", b"/never" if number % 2 else b"/")
            async with connection.open_stream([*POST[:3], path]) as stream, trio.open_nursery() as uploads:

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


async def test_a_response_through_a_window_that_opens_an_octet_at_a_time(autojump_clock: Clock) -> None:
    async with serving3(body_of_path, timeouts=PATIENT) as s:
        peer = await s.peer(window=Window(stream=100))
        stream_id = await peer.request(get(500))
        while not peer.ended(stream_id):
            await peer.credit(stream_id, 1)
            await peer.read_for(0.02)
        assert await peer.response(stream_id) == (200, b"x" * 500)
        await peer.close()


async def test_an_upload_in_frames_of_one_octet(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)  # the octets pile up first
        await stream.send_response(200, body=b"%d" % len(await stream.read_body()))

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, data(b"x") * 5000)
        assert await peer.response(stream_id) == (200, b"5000")
        await peer.close()


async def test_a_window_of_zero_for_ever_costs_its_streams_and_nobody_else(autojump_clock: Clock) -> None:
    async with serving3(body_of_path, timeouts=Timeouts(write_progress_seconds=10)) as s:
        peer, neighbour = await s.peer(window=Window(stream=90)), await s.peer()
        ids = [await peer.request(get(octets)) for octets in (1000, 100_000, 1_000_000)]
        assert await neighbour.response(await neighbour.request(get(100_000))) == (200, b"x" * 100_000)
        assert await peer.response(await peer.request(get(0))) == (200, b"")
        await peer.read_for(20)
        assert sorted(peer.resets()) == [(stream_id, Code.REQUEST_CANCELLED) for stream_id in ids]
        s.assert_nothing_left()
        await peer.alive()
        await peer.close()
        await neighbour.close()


async def test_a_connection_window_of_zero_for_ever(autojump_clock: Clock) -> None:
    async with serving3(body_of_path, timeouts=Timeouts(write_progress_seconds=10)) as s:
        peer = await s.peer(window=Window(connection=65_536))
        ids = [await peer.request(get(50_000)) for _ in range(5)]
        await peer.read_for(25)
        assert sum(peer.body_octets(stream_id) for stream_id in ids) <= 65_536
        complete = [stream_id for stream_id in ids if peer.body_octets(stream_id) == 50_000]
        assert len(complete) <= 1  # or none, where all had their turns
        assert {stream_id for stream_id, _ in peer.resets()} == set(ids) - set(complete)
        s.assert_nothing_left()
        await peer.credit_connection(200_000)
        assert await peer.response(await peer.request(get(50_000))) == (200, b"x" * 50_000)
        await peer.close()


async def test_a_window_dripping_an_octet_at_a_time_is_no_progress(autojump_clock: Clock) -> None:
    async with serving3(body_of_path, timeouts=Timeouts(write_progress_seconds=10)) as s:
        peer = await s.peer(window=Window(stream=100))
        stream_id = await peer.request(get(100_000))
        for _ in range(30):
            if peer.resets():
                break
            await peer.credit(stream_id, 1)
            await peer.read_for(1)
        assert peer.resets() == [(stream_id, Code.REQUEST_CANCELLED)]
        s.assert_nothing_left()
        await peer.close()


async def test_more_data_than_the_window_ends_the_connection(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await trio.sleep_forever()

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()
        peer.quic._streams[stream_id].max_stream_data_remote = 10**9
        peer.quic._remote_max_data = 10**9
        await peer.send(stream_id, data(bytes(200_000)))
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.read_to_end()
        assert peer.closed_with == 0x3  # FLOW_CONTROL_ERROR
        await peer.close()


async def test_uploads_nobody_reads_do_not_hold_up_one_that_is_read(autojump_clock: Clock) -> None:
    """29 streams fill their windows; the thirtieth sends 2 MB through."""

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/sleep":
            await trio.sleep_forever()
        octets = 0
        async for chunk in stream.iter_data():
            octets += len(chunk)
        await stream.send_response(200, body=b"%d" % octets)

    async with serving3(handler, timeouts=PATIENT) as s:
        peer = await s.peer()
        for _ in range(29):
            await peer.request([*POST[:3], (b":path", b"/sleep")], data(bytes(80_000)), end=False)
        read = await peer.request(POST, data(bytes(2_000_000)))
        assert await peer.response(read) == (200, b"2000000")
        await peer.read_for(2)
        assert 29 * 60_000 < s.server.statistics().buffered_octets <= 29 * 65_536
        await peer.close()


async def test_the_window_of_a_slow_reader_does_not_grow(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        async for _ in stream:
            await trio.sleep(0.2)

    async with serving3(handler, timeouts=PATIENT) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, *[data(bytes(4000))] * 200, end=False)
        await peer.read_for(10)
        assert credit_of(peer, stream_id) <= 2 * 65_536 + taken_in(10)
        await peer.close()


def credit_of(peer: RawPeer, stream_id: int) -> int:
    """What the peer was allowed to send in all."""
    return peer.quic._streams[stream_id].max_stream_data_remote


def taken_in(seconds: float) -> int:
    return int(seconds / 0.2) * 4100


async def test_the_window_of_a_fast_reader_grows_to_a_megabyte(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        async for _ in stream:
            pass
        await stream.send_response(200)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, data(bytes(4_000_000)), end=False)
        await peer.read_for(20)
        ahead = credit_of(peer, stream_id) - 4_000_000
        assert 400_000 < ahead <= 2**20
        await peer.send(stream_id, end=True)
        await peer.response(stream_id)
        await peer.close()


async def test_no_window_grows_while_memory_is_short(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/sleep":
            await trio.sleep_forever()
        async for _ in stream:
            pass
        await stream.send_response(200)

    async with serving3(handler, limits=Limits(buffered_octets=500_000), timeouts=PATIENT) as s:
        peer = await s.peer()
        read = await peer.request(POST, end=False)
        for _ in range(8):
            await peer.request([*POST[:3], (b":path", b"/sleep")], data(bytes(65_000)), end=False)
        await peer.read_for(1)
        assert s.server.statistics().buffered_octets > 500_000
        await peer.send(read, data(bytes(2_000_000)), end=False)
        await peer.read_for(20)
        assert credit_of(peer, read) - 2_000_000 <= 65_536 + 1000
        assert s.server.statistics().handlers == 9  # nothing was shed: memory was short all the time
        await peer.close()


async def test_the_connections_credit_does_not_drift(autojump_clock: Clock) -> None:
    """Exchanges of all kinds end with all credit given back."""

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/read":
            await stream.read_body()
        elif stream.path == b"/reset":
            await stream.receive()
            stream.reset(4711)
            return
        await hello(stream)

    async with serving3(handler, limits=Limits(concurrent_streams=5)) as s:
        peer = await s.peer()
        for round_number in range(20):
            ids = []
            for path in (b"/read", b"/reset", b"/leave"):
                fields = [*POST[:3], (b":path", path)]
                ids.append(await peer.request(fields, data(bytes(30_000)), end=path == b"/read"))
            if round_number % 2:
                await peer.read_for(0.006)  # a part of it has arrived
                await peer.reset(ids[0])
            await peer.read_for(0.2)
        await settled(peer, s)
        (connection,) = s.server._context.connections
        ledger = connection._protocol.quic.ledger
        assert ledger.held == 0
        assert ledger._consumed == peer.quic._remote_max_data_used > 1_000_000
        assert peer.streams_allowed >= 60
        await peer.close()


async def settled(peer: RawPeer, s: Served) -> None:
    await peer.read_for(2)
    await peer.alive()
    s.assert_nothing_left()


async def test_two_clients_of_ours_share_a_server_while_one_uploads(autojump_clock: Clock) -> None:
    handler = Neighbours()
    async with serving3(handler) as s, s.client() as one, s.client() as other, trio.open_nursery() as nursery:

        async def upload() -> None:
            response = await one.request("POST", URL, content=bytes(2_000_000))
            assert response.body == b"2000000"

        nursery.start_soon(upload)
        await trio.sleep(1)
        began = trio.current_time()
        for client in (one, other):
            assert (await client.get(URL)).body == b"hello"
        assert trio.current_time() - began < 0.2
        handler.answered.set()
