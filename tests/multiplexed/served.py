"""A running server and what connects to it, whichever version it is reached by."""

from __future__ import annotations

from typing import Any, ClassVar

import trio

import hface_trio
from hface_trio.connections import HTTPConnection
from hface_trio.testing import MemoryNetworking

from ..connections.harness import Outcomes

__all__ = ["Outcomes", "Served", "hello", "started"]


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
        arguments = {"networking": self.network, **self.options, **options}
        return await hface_trio.connect(nursery, self.url, **arguments)

    def client(self, **options: Any) -> hface_trio.Client:
        """Make a client of ours."""
        arguments = {"networking": self.network, **self.options, **options}
        return hface_trio.open_client(**arguments)

    def assert_nothing_left(self) -> None:
        """No handler runs, nothing is buffered."""
        statistics = self.server.statistics()
        assert statistics.handlers == 0
        assert statistics.buffered_octets == 0


async def hello(stream: hface_trio.HTTPStream) -> None:
    await stream.send_response(200, body=b"hello")


async def started(outcomes: Outcomes, count: int = 1) -> None:
    """Wait until handlers noted that they began."""
    for _ in range(count):
        assert await outcomes.next() == "started"
