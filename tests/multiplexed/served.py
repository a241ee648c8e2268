"""A running server and what connects to it, whichever version it is reached by."""

from __future__ import annotations

from typing import Any, ClassVar

import trio

import hface_trio
from hface_trio.connections import HTTPConnection
from hface_trio.testing import MemoryNetworking

from ..connections.harness import Outcomes

__all__ = ["SLOW_BODY", "Outcomes", "Served", "body_of_path", "count", "hello", "slow", "started"]

SLOW_BODY = b"x" * 100_000


class Served:
    """A server on a network in memory.

    Attributes:
        url: where it is.
        options: what clients of ours are made with, beside the network.
    """

    url: ClassVar[str]

    def __init__(self, server: hface_trio.Server, network: MemoryNetworking, **options: Any) -> None:
        self.server = server
        self.network = network
        self.options = options

    async def connect(self, nursery: trio.Nursery, **options: Any) -> HTTPConnection:
        """Connect a client of ours."""
        arguments: dict[str, Any] = {"networking": self.network, **self.options, **options}
        return await hface_trio.connect(nursery, self.url, **arguments)

    def client(self, **options: Any) -> hface_trio.Client:
        """Make a client of ours."""
        arguments: dict[str, Any] = {"networking": self.network, **self.options, **options}
        return hface_trio.open_client(**arguments)

    def assert_nothing_left(self) -> None:
        """No handler runs, nothing is buffered."""
        statistics = self.server.statistics()
        assert statistics.handlers == 0
        assert statistics.buffered_octets == 0


async def hello(stream: hface_trio.HTTPStream) -> None:
    await stream.send_response(200, body=b"hello")


async def body_of_path(stream: hface_trio.HTTPStream) -> None:
    """Send as many octets as the path says."""
    await stream.send_response(200, body=b"x" * int(stream.path[1:]))


async def count(stream: hface_trio.HTTPStream) -> None:
    """Tell how many octets came; for ``/sleep``, let them lie."""
    if stream.path == b"/sleep":
        await trio.sleep_forever()
    octets = 0
    async for chunk in stream.iter_data():
        octets += len(chunk)
    await stream.send_response(200, body=b"%d" % octets)


async def slow(stream: hface_trio.HTTPStream) -> None:
    """Take three seconds for a response."""
    await trio.sleep(1)
    await stream.send_headers([(b":status", b"200"), (b"content-length", b"%d" % len(SLOW_BODY))])
    for start in range(0, len(SLOW_BODY), 10_000):
        await stream.send_data(SLOW_BODY[start : start + 10_000])
        await trio.sleep(0.2)
    await stream.send_data(b"", end_stream=True)


async def started(outcomes: Outcomes, count: int = 1) -> None:
    """Wait until handlers noted that they began."""
    for _ in range(count):
        assert await outcomes.next() == "started"
