"""Peers that waste: each flood and bomb against a server, with memory bounded and a neighbour served meanwhile."""

from __future__ import annotations

import contextlib
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
import trio
import trio.testing
from hpack import Encoder
from hyperframe.frame import ContinuationFrame, HeadersFrame, PingFrame, SettingsFrame, WindowUpdateFrame

from hface_trio import HTTPStream, Limits, Timeouts

from ..http2.harness import Served, serving2
from ..http2.raw import CANCEL, ENHANCE_YOUR_CALM, GET, INITIAL_WINDOW_SIZE, NO_ERROR, POST, RawPeer

Clock = trio.testing.MockClock
MIB = 1024 * 1024
CAP = 100


class Handlers:
    """Counts handlers that run; ``/wait`` waits for its peer, everything else is answered at once."""

    def __init__(self, *, shielded: bool = False) -> None:
        self.running = self.peak = self.started = 0
        self._shielded = shielded

    async def __call__(self, stream: HTTPStream) -> None:
        self.started += 1
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if stream.path == b"/wait":
                with trio.CancelScope(shield=self._shielded):
                    await trio.sleep(1)
            await stream.send_response(200, body=b"hello")
        finally:
            self.running -= 1


WAIT = [*GET[:3], (b":path", b"/wait")]
WAIT_POST = [*POST[:3], (b":path", b"/wait")]


class Neighbour:
    """A client that asks again and again on a connection of its own."""

    def __init__(self) -> None:
        self.answers = 0
        self.slowest = 0.0

    async def run(self, s: Served, *, task_status=trio.TASK_STATUS_IGNORED) -> None:
        peer = await s.peer()
        task_status.started()
        while True:
            began = trio.current_time()
            assert await peer.response(await peer.request()) == (200, b"hello")
            self.slowest = max(self.slowest, trio.current_time() - began)
            self.answers += 1
            await trio.sleep(0.1)


@contextlib.asynccontextmanager
async def neighbour_of(s: Served):
    neighbour = Neighbour()
    async with trio.open_nursery() as nursery:
        await nursery.start(neighbour.run, s)
        yield neighbour
        before = neighbour.answers
        await trio.sleep(1)
        assert neighbour.answers > before
        assert neighbour.slowest < 0.1
        nursery.cancel_scope.cancel()


@contextlib.contextmanager
def bounded_memory(octets: int) -> Iterator[None]:
    """Fail if the block ever needs more than so many octets beyond what there was."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak <= octets, f"{peak:,} octets"


async def pour(peer: RawPeer, make: Callable[[], bytes], times: int, *, reads: bool) -> None:
    """Send something again and again, until the server has had enough."""
    for i in range(times):
        try:
            with trio.move_on_after(5) as scope:
                await peer.stream.send_all(make())
        except trio.BrokenResourceError:
            return
        if scope.cancelled_caught:
            return
        if reads and i % 8 == 7:
            with trio.move_on_after(0.001):
                while not peer.at_end:
                    await peer._take_some()
                    peer.log.clear()
            if peer.at_end:
                return
        elif i % 8 == 7:
            await trio.sleep(0.001)


def raw(frame_type: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return struct.pack(">HBBBL", len(payload) >> 8, len(payload) & 0xFF, frame_type, flags, stream_id) + payload


@pytest.mark.parametrize("shielded", [False, True], ids=["", "handlers that do not stop"])
@pytest.mark.parametrize("pairs", [1, 50], ids=["a pair a read", "many pairs a read"])
async def test_rapid_reset(autojump_clock: Clock, pairs: int, shielded: bool) -> None:
    handlers = Handlers(shielded=shielded)
    async with serving2(handlers) as s, neighbour_of(s):
        peer = await s.peer()

        def pair() -> bytes:
            stream_id = peer.next_id()
            return peer.headers(stream_id, WAIT).serialize() + peer.reset(stream_id).serialize()

        with bounded_memory(4 * MIB):
            for _ in range(10_000 // pairs):
                try:
                    await peer.stream.send_all(b"".join(pair() for _ in range(pairs)))
                except trio.BrokenResourceError:
                    break
                await trio.testing.wait_all_tasks_blocked()
        assert handlers.peak <= CAP + 1  # and the neighbour's
        await peer.read_to_end()
        assert [code for _, code in peer.goaways()] == [ENHANCE_YOUR_CALM]
        await peer.close()


async def test_rapid_reset_at_a_pace_that_the_budget_allows_starts_no_more_than_the_cap(autojump_clock: Clock) -> None:
    handlers = Handlers(shielded=True)
    async with serving2(handlers) as s:
        peer = await s.peer()
        for _ in range(3000):
            stream_id = await peer.request(WAIT)
            await trio.sleep(0.006)
            await peer.send(peer.reset(stream_id))
            await trio.sleep(0.006)
        assert handlers.peak <= CAP
        assert peer.goaways() == []
        await peer.alive()
        await peer.close()


async def test_resets_that_the_server_is_made_to_send(autojump_clock: Clock) -> None:
    """The other way round: every request is followed by a frame that ends it with the server's own reset."""
    handlers = Handlers(shielded=True)
    async with serving2(handlers) as s, neighbour_of(s):
        peer = await s.peer()

        def made() -> bytes:
            stream_id = peer.next_id()
            head = peer.headers(stream_id, WAIT, end=False).serialize()
            return head + WindowUpdateFrame(stream_id, window_increment=2**31 - 1).serialize()

        with bounded_memory(4 * MIB):
            await pour(peer, made, 10_000, reads=True)
        assert handlers.peak <= CAP + 1
        await peer.read_to_end()
        assert [code for _, code in peer.goaways()] in ([ENHANCE_YOUR_CALM], [])  # read and cleared on the way
        await peer.close()


async def test_a_client_that_cancels_every_second_of_2000_requests_keeps_its_connection(autojump_clock: Clock) -> None:
    handlers = Handlers()
    async with serving2(handlers) as s:
        peer = await s.peer()
        for i in range(2000):
            if i % 2:
                stream_id = await peer.request(WAIT)
                await trio.sleep(0.001)
                await peer.send(peer.reset(stream_id, CANCEL))
            else:
                assert await peer.response(await peer.request()) == (200, b"hello")
            await trio.sleep(0.002)
        await peer.alive()
        assert peer.goaways() == []
        assert handlers.started >= 1000
        await peer.close()


FLOODS: dict[str, tuple[bytes, ...]] = {
    "PING": (PingFrame(0, b"12345678").serialize(),),
    "acknowledgements of no PING": (PingFrame(0, b"12345678", flags=["ACK"]).serialize(),),
    "SETTINGS": (SettingsFrame(0, {INITIAL_WINDOW_SIZE: 65_535}).serialize(),),
    "empty SETTINGS": (SettingsFrame(0, {}).serialize(),),
    "SETTINGS of many values": (raw(4, 0, 0, struct.pack(">HL", 4, 65_535) * 2000),),
    "acknowledgements of no SETTINGS": (SettingsFrame(0, flags=["ACK"]).serialize(),),
    "PRIORITY of streams that are idle": tuple(raw(2, 0, i, b"\0\0\0\0\x10") for i in range(1, 20_001, 2)),
    "PRIORITY_UPDATE of streams that are idle": tuple(
        raw(0x10, 0, 0, struct.pack(">L", i) + b"u=1") for i in range(101, 20_101, 2)
    ),
    "PRIORITY_UPDATE of one stream": (raw(0x10, 0, 0, struct.pack(">L", 1) + b"u=1"),),
    "useless WINDOW_UPDATE of the connection": (WindowUpdateFrame(0, window_increment=1).serialize(),),
    "useless WINDOW_UPDATE of a stream": (WindowUpdateFrame(1, window_increment=1).serialize(),),
    "empty DATA": (raw(0, 0, 1),),
    "DATA of padding": (raw(0, 8, 1, b"\x63" + bytes(99)),),
    "unknown frames": (raw(0xBB, 0, 0, bytes(100)),),
    "unknown frames of a stream": (raw(0xBB, 0, 1, bytes(100)),),
    "ALTSVC": (raw(0x0A, 0, 0, b"\0\x01a" + bytes(100)),),
    "GOAWAY": (raw(7, 0, 0, struct.pack(">LL", 0, 0) + bytes(100)),),
    "RST_STREAM of a closed stream": (raw(3, 0, 1, bytes(4)), raw(3, 0, 1, bytes(4))),
}


@pytest.mark.parametrize("reads", [True, False], ids=["and reads", "and does not read"])
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_flood_of(autojump_clock: Clock, flood: tuple[bytes, ...], reads: bool) -> None:
    """200 thousand frames or so: the connection ends, or bears it within its bounds."""
    handlers = Handlers()
    async with serving2(handlers) as s, neighbour_of(s):
        peer = await s.peer()
        stream_id = await peer.request(WAIT_POST, end=False)
        assert stream_id == 1
        burst = b"".join(flood)
        burst *= max(1, 20_000 // len(burst))
        with bounded_memory(3 * MIB):
            await pour(peer, lambda: burst, 100, reads=reads)
        assert s.server.statistics().buffered_octets < MIB
        assert handlers.peak <= 2
        await peer.close()


def hpack_bomb(fields: int) -> bytes:
    """One long field in the table, then references to it, an octet each."""
    encoder = Encoder()
    return encoder.encode(GET) + encoder.encode([(b"x-bomb", b"y" * 3000)]) + b"\xbe" * fields


@pytest.mark.parametrize("part", ["request", "trailers"])
@pytest.mark.parametrize("fields", [100, 16_000], ids=["over the limit", "a bomb"])
async def test_a_compression_bomb(autojump_clock: Clock, part: str, fields: int) -> None:
    """Over the limit but decodable costs its stream; a bomb is never unpacked."""
    handlers = Handlers()
    async with serving2(handlers) as s, neighbour_of(s):
        peer = await s.peer()
        block = hpack_bomb(fields)
        if part == "trailers":
            await peer.send(peer.headers(1, WAIT_POST, end=False))
            peer.next_id()
            frames = [HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"])]
        else:
            frames = [HeadersFrame(peer.next_id(), block, flags=["END_HEADERS", "END_STREAM"])]
        with bounded_memory(2 * MIB):
            await peer.send(*frames)
            await peer.read_for(0.5)
        assert handlers.peak <= 2
        await peer.close()


@pytest.mark.parametrize("size", [0, 1, 1000], ids=["empty", "one octet", "large"])
async def test_a_flood_of_continuation(autojump_clock: Clock, size: int) -> None:
    handlers = Handlers()
    async with serving2(handlers) as s, neighbour_of(s):
        peer = await s.peer()
        await peer.send(HeadersFrame(1, Encoder().encode(GET), flags=["END_STREAM"]))
        # a literal field with a long value, without an end
        with bounded_memory(2 * MIB):
            await pour(peer, lambda: ContinuationFrame(1, b"\x00" * size).serialize() * 8, 3000, reads=True)
            await peer.read_to_end()
        assert handlers.peak <= 1
        await peer.close()


async def test_fields_by_the_thousand(autojump_clock: Clock) -> None:
    handlers = Handlers()
    async with serving2(handlers) as s, neighbour_of(s):
        peer = await s.peer()
        encoder = Encoder()
        many = [(b"a", b"")] * 5000
        block = encoder.encode([*GET, *many])
        with bounded_memory(2 * MIB):
            await peer.send(HeadersFrame(peer.next_id(), block[:16_000], flags=["END_HEADERS", "END_STREAM"]))
            await peer.read_for(0.5)
        assert handlers.peak <= 1
        await peer.close()


async def test_a_head_that_never_ends_is_cut_off_in_time(autojump_clock: Clock) -> None:
    handlers = Handlers()
    async with serving2(handlers, timeouts=Timeouts(request_head_seconds=10)) as s, neighbour_of(s):
        peer = await s.peer()
        began = trio.current_time()
        await peer.send(HeadersFrame(1, Encoder().encode(GET), flags=["END_STREAM"]))
        for _ in range(30):
            with contextlib.suppress(trio.BrokenResourceError):
                await peer.send(ContinuationFrame(1, b""))
            await peer.read_for(0.5)
            if peer.at_end:
                break
        assert peer.at_end
        assert trio.current_time() - began <= 11
        await peer.close()


async def test_a_preface_that_drips(autojump_clock: Clock) -> None:
    handlers = Handlers()
    async with serving2(handlers, timeouts=Timeouts(request_head_seconds=10)) as s, neighbour_of(s):
        stream = await s.network.connect_tcp(("localhost", 80))
        began = trio.current_time()
        with contextlib.suppress(trio.BrokenResourceError):
            for octet in b"PRI * HTTP/2.0\r\n\r\nSM\r\n":
                await stream.send_all(bytes([octet]))
                await trio.sleep(1)
        with contextlib.suppress(trio.BrokenResourceError):
            while await stream.receive_some():
                pass
        assert trio.current_time() - began <= 25
        await stream.aclose()
        await trio.sleep(3)
        assert s.server.statistics().connections == 1  # the neighbour's


async def test_requests_whose_answers_nobody_reads(autojump_clock: Clock) -> None:
    """Heads alone, which no window holds back: handlers wait, and the connection ends by the write deadline."""

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/":
            await stream.send_response(200, body=b"hello")
        else:
            await stream.send_response(204, [(b"x-%d" % stream.stream_id, random.randbytes(1000).hex().encode())])

    async with serving2(handler, timeouts=Timeouts(write_progress_seconds=10)) as s, neighbour_of(s):
        peer = await s.peer()

        def requests() -> bytes:
            return b"".join(peer.headers(peer.next_id(), WAIT).serialize() for _ in range(50))

        with bounded_memory(2 * MIB):
            await pour(peer, requests, 100, reads=False)
        await trio.sleep(15)
        assert s.server.statistics().connections == 1  # the neighbour's
        await peer.close()


async def test_requests_whose_resets_nobody_reads(autojump_clock: Clock) -> None:
    """Not even the resets of handlers that give up at once pile up without a bound."""
    started = 0

    async def handler(stream: HTTPStream) -> None:
        nonlocal started
        started += 1
        stream.reset(CANCEL)

    async with serving2(handler, timeouts=Timeouts(write_progress_seconds=10)) as s:
        peer = await s.peer()

        def requests() -> bytes:
            return b"".join(peer.headers(peer.next_id(), WAIT).serialize() for _ in range(50))

        poured = trio.current_time()
        await pour(peer, requests, 1000, reads=False)
        with trio.fail_after(poured + 20 - trio.current_time()):
            while s.server.statistics().connections:
                await trio.sleep(0.1)
        assert started < 5000  # it ended long before all of them
        await peer.close()


@pytest.mark.parametrize("window", [0, 1, 2**31 - 1], ids=["shut windows", "windows of one octet", "open windows"])
async def test_large_responses_nobody_reads(autojump_clock: Clock, window: int) -> None:
    chunk = b"x" * 10_000

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/":
            await stream.send_response(200, body=b"hello")
            return
        await stream.send_headers([(b":status", b"200")])
        for _ in range(100):
            await stream.send_data(bytes(chunk))
        await stream.send_data(b"", end_stream=True)

    async with serving2(handler, limits=Limits(), timeouts=Timeouts(write_progress_seconds=10)) as s, neighbour_of(s):
        peer = await s.peer({INITIAL_WINDOW_SIZE: window})
        peer.credits_connection = peer.credits_streams = False
        for _ in range(100):
            await peer.request(WAIT)
        await trio.sleep(5)
        assert s.server.statistics().buffered_octets <= 100 * (65_536 + 10_000)
        await peer.read_for(30)
        s_left = s.server.statistics()
        assert s_left.buffered_octets == 0
        assert NO_ERROR not in [code for _, code in peer.resets()]
        await peer.close()


async def test_uploads_nobody_asked_for(autojump_clock: Clock) -> None:
    """A request that was answered is uploaded on, far beyond a round trip."""
    handlers = Handlers()
    async with serving2(handlers) as s, neighbour_of(s):
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.response(stream_id)
        frame = peer.data(stream_id, bytes(1000)).serialize()
        with bounded_memory(2 * MIB):
            await pour(peer, lambda: frame * 16, 5000, reads=True)
        assert s.server.statistics().buffered_octets == 0
        await peer.close()
