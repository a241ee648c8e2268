"""Exchanges of every kind, and drains in between, over a network that does what networks do. In virtual time."""

from __future__ import annotations

import hashlib
import random
from collections import Counter

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import ConnectionLostError, HfaceError, HTTPStream, RequestNotProcessedError, StreamResetError, Timeouts
from hface_trio.testing import DatagramConditions, MemoryNetworking

from .harness import Served, serving3
from .raw import GET, POST

Clock = trio.testing.MockClock
EXCHANGES = 200
AT_ONCE = 8
KINDS = ("upload", "download", "echo", "reset", "cancel", "refuse")
PATTERN = random.Random(0).randbytes(100_000)

LOSSY = DatagramConditions(drop=0.1, delay_seconds=0.02)
TURBULENT = DatagramConditions(
    drop=0.1, duplicate=0.05, reorder=0.1, reorder_seconds=0.05, corrupt=0.02, delay_seconds=0.02, jitter_seconds=0.02
)


async def handler(stream: HTTPStream) -> None:
    _, kind, size = stream.path.split(b"/")
    octets = int(size)
    if kind == b"drain":
        stream.connection.drain()
        await stream.send_response(200)
    elif kind == b"upload":
        digest = hashlib.sha256()
        async for chunk in stream.iter_data():
            digest.update(chunk)
        await stream.send_response(200, body=digest.digest())
    elif kind == b"echo":
        await stream.send_headers([(b":status", b"200")])
        async for chunk in stream.iter_data():
            await stream.send_data(chunk)
        await stream.send_trailers([(b"x-end", b"1")])
    elif kind == b"reset":
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(PATTERN[:octets])
        stream.reset(4711)
    elif kind == b"cancel":
        await stream.send_headers([(b":status", b"200")])
        while True:
            await stream.send_data(PATTERN[:10_000])
    else:
        await stream.send_response(200, body=PATTERN[:octets])


class Exchanges:
    """A client's: some at once, each with its own outcome, on one connection after the other."""

    def __init__(self, s: Served, nursery: trio.Nursery, seed: int) -> None:
        self.s = s
        self.nursery = nursery
        self.random = random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.connections: list[hface_trio.HTTPConnection] = []
        self._connecting = trio.Lock()

    async def connection(self) -> hface_trio.HTTPConnection:
        async with self._connecting:
            if not self.connections or self.connections[-1].has_expired():
                timeouts = Timeouts(handshake_seconds=60)
                self.connections.append(await self.s.connect(self.nursery, timeouts=timeouts))
            return self.connections[-1]

    async def run(self, count: int) -> None:
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                kind = "drain" if number % 40 == 39 else KINDS[number % len(KINDS)]
                await self.exchange(kind, self.random.choice([0, 10, 3000, 20_000, 50_000]))

        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(work)

    async def exchange(self, kind: str, octets: int) -> None:
        """Make one, again and again as long as that is known to be safe."""
        while True:
            connection = await self.connection()
            try:
                await self.attempt(connection, kind, octets)
            except (RequestNotProcessedError, ConnectionLostError) as exc:
                self.outcomes["repeated" if exc.retryable else "lost"] += 1
                if not exc.retryable:
                    return
            else:
                self.outcomes[kind] += 1
                return

    async def attempt(self, connection: hface_trio.HTTPConnection, kind: str, octets: int) -> None:
        path = (b":path", b"/%s/%d" % (kind.encode(), octets))
        body = PATTERN[:octets]
        if kind in {"drain", "download", "reset", "cancel"}:
            async with connection.open_stream([*GET[:3], path], end_stream=True) as stream:
                if kind == "cancel":
                    with trio.move_on_after(self.random.choice([0, 0.01, 0.2])):
                        async for _ in stream:
                            pass
                    return
                if kind == "reset":
                    with pytest.raises(StreamResetError) as caught:
                        await receive_all(stream)
                    assert caught.value.error_code == 4711
                    return
                assert await receive_all(stream) == (b"" if kind == "drain" else body)
            return
        failure: HfaceError | None = None
        received = b""
        async with connection.open_stream([*POST[:3], path]) as stream:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_all, stream, body)
                try:
                    received = await receive_all(stream)
                except HfaceError as exc:
                    failure = exc
            if failure is not None:
                raise failure
        if kind == "upload":
            assert received == hashlib.sha256(body).digest()
        else:
            assert received == body
        assert stream.trailers == ([(b"x-end", b"1")] if kind == "echo" else None)


async def send_all(stream: HTTPStream, body: bytes) -> None:
    try:
        for start in range(0, len(body), 20_000):
            await stream.send_data(body[start : start + 20_000])
        await stream.send_data(b"", end_stream=True)
    except HfaceError as exc:
        if not (stream.path.startswith(b"/refuse") or exc.retryable):
            raise
    except trio.ClosedResourceError:
        pass  # the response came before


async def receive_all(stream: HTTPStream) -> bytes:
    await stream.receive_response()
    return await stream.read_body()


@pytest.mark.parametrize(
    ("conditions", "seed"), [(LOSSY, 1), (LOSSY, 2), (TURBULENT, 3)], ids=["lossy", "lossy again", "turbulent"]
)
async def test_exchanges_complete(autojump_clock: Clock, conditions: DatagramConditions, seed: int) -> None:
    network = MemoryNetworking(to_servers=conditions, to_clients=conditions, seed=seed)
    async with serving3(handler, network=network) as s, trio.open_nursery() as nursery:
        exchanges = Exchanges(s, nursery, seed)
        await exchanges.run(EXCHANGES)
        expected = Counter("drain" if n % 40 == 39 else KINDS[n % len(KINDS)] for n in range(EXCHANGES))
        repeated = exchanges.outcomes.pop("repeated", 0)
        assert exchanges.outcomes == expected
        assert len(exchanges.connections) >= 5  # four drains at least were between others
        assert repeated < 100
        assert network.datagrams_lost() > 100
        for connection in exchanges.connections:
            await connection.aclose()
            assert connection.statistics().buffered_octets == 0
        await trio.sleep(60)
        s.assert_nothing_left()
        assert s.server.statistics().connections == 0
        assert trio.current_time() < 600
