"""The face that raw peers of both versions have: what each frame is called is theirs, what it says is the same."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from ..http2.raw import RawPeer as RawPeer2
from ..http3.raw import RawPeer as RawPeer3

__all__ = ["ALL", "Codes", "Fields", "Peer"]

_Raw = TypeVar("_Raw", RawPeer2, RawPeer3)
Fields = list[tuple[bytes, bytes]]
ALL = -1
"""In a GOAWAY: no request is excluded."""


class Codes(NamedTuple):
    """Error codes by what they say."""

    no_error: int
    internal_error: int
    cancelled: int
    refused: int
    excessive_load: int
    malformed: int


class Peer(abc.ABC, Generic[_Raw]):
    """One end of a connection: sends what it is told to, keeps all that comes.

    Attributes:
        raw: the peer behind the face; what it calls as the other version's does is the same.
        codes: of its version.
        halves: whether the directions of a stream end each for itself, so that a reset of one is answered by one of the
            other.
        GET, POST: requests for ``/``.
    """

    codes: Codes
    halves: bool
    GET: Fields
    POST: Fields

    def __init__(self, raw: _Raw) -> None:
        self.raw: _Raw = raw

    # Sending

    @abc.abstractmethod
    async def request(
        self, fields: Iterable[tuple[bytes, bytes]] | None = None, body: bytes = b"", *, end: bool = True
    ) -> int:
        """Open a stream, with GET unless told otherwise; return its id. The body has to fit the windows."""

    @abc.abstractmethod
    async def headers(self, stream_id: int, fields: Iterable[tuple[bytes, bytes]], *, end: bool = False) -> None:
        """Send a section: a response, or trailers."""

    @abc.abstractmethod
    async def data(self, stream_id: int, data: bytes = b"", *, end: bool = False) -> None:
        """Send a part of a body."""

    @abc.abstractmethod
    async def offer(self, stream_id: int, octets: int, *, frame_octets: int = 16_000, end: bool = True) -> None:
        """Send a body of so many octets as the windows let it through: what fits now, the rest while this side receives."""

    async def answer(self, stream_id: int, body: bytes = b"hello") -> None:
        """Answer a request with 200, once it has come."""
        await self.request_of(stream_id)
        await self.headers(stream_id, [(b":status", b"200")])
        await self.data(stream_id, body, end=True)

    @abc.abstractmethod
    async def answer_early(self, stream_id: int, body: bytes = b"hello") -> None:
        """Answer a request of which no more need come, and say so."""

    @abc.abstractmethod
    async def reset(self, stream_id: int, code: int | None = None) -> None:
        """Give up an exchange, with ``cancelled`` unless told otherwise: by a reset, or where there is nothing left to reset, by
        asking for no more."""

    @abc.abstractmethod
    async def refuse(self, stream_id: int) -> None:
        """Say that a request was not looked at."""

    @abc.abstractmethod
    async def goaway(self, requests: int, code: int | None = None) -> None:
        """Say how many requests are or will be served.

        Args:
            requests: of a server, the first so many, or ``ALL``; of a client, 0.
            code: where the version has one.
        """

    @abc.abstractmethod
    async def breach(self) -> None:
        """Break the protocol on the connection."""

    @abc.abstractmethod
    async def credit(self, stream_id: int, octets: int) -> None:
        """Widen the window of a stream."""

    @abc.abstractmethod
    async def credit_connection(self, octets: int) -> None:
        """Widen the window of the connection."""

    @abc.abstractmethod
    async def allow_streams(self, count: int) -> None:
        """Allow so many streams at a time from now on, more than before."""

    @abc.abstractmethod
    async def update_priority(self, stream_id: int, value: bytes) -> None:
        """PRIORITY_UPDATE."""

    # Receiving

    @property
    def at_end(self) -> bool:
        """Whether the connection is over."""
        return self.raw.at_end

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds; the end of the connection before it is a failure."""
        await self.raw.until(condition)

    async def read_for(self, seconds: float) -> None:
        """Take what comes within a time."""
        await self.raw.read_for(seconds)

    async def read_to_end(self) -> None:
        """Take all that comes until the connection is over."""
        await self.raw.read_to_end()

    async def response(self, stream_id: int) -> tuple[int, bytes]:
        """Wait for a whole response; return its status and body."""
        return await self.raw.response(stream_id)

    async def alive(self) -> None:
        """Find the connection alive: a ping is acknowledged."""
        await self.raw.alive()

    async def request_of(self, stream_id: int) -> Fields:
        """Wait for the head of a request; return it."""
        await self.until(lambda: self.sections(stream_id))
        return self.sections(stream_id)[0]

    # What came

    @abc.abstractmethod
    def sections(self, stream_id: int) -> list[Fields]:
        """Heads and trailers, in order."""

    def body(self, stream_id: int) -> bytes:
        """What has come of a body."""
        return self.raw.body(stream_id)

    def body_octets(self, stream_id: int) -> int:
        """How much has come of a body."""
        return self.raw.body_octets(stream_id)

    def ended(self, stream_id: int) -> bool:
        """Whether the other side ended a stream in order."""
        return self.raw.ended(stream_id)

    @abc.abstractmethod
    def requests(self) -> list[int]:
        """Streams whose requests have come, in order."""

    @abc.abstractmethod
    def resets(self) -> list[tuple[int, int]]:
        """Streams that the other side broke off while it was sending, and codes."""

    @abc.abstractmethod
    def stops(self) -> list[tuple[int, int]]:
        """Streams of which the other side took no more while this side was sending, and codes."""

    @abc.abstractmethod
    def goaways(self) -> list[int]:
        """How many requests each GOAWAY leaves; ``ALL`` where it excludes none."""

    @property
    @abc.abstractmethod
    def closed_with(self) -> int:
        """The code that the other side ended the connection with."""

    @abc.abstractmethod
    def allowed(self, stream_id: int | None = None) -> int:
        """What the window of a stream, or of the connection, has let through in all, and would let through."""

    @property
    @abc.abstractmethod
    def local_address(self) -> object:
        """Its own address."""

    # The end

    @abc.abstractmethod
    async def close(self, code: int | None = None) -> None:
        """End the connection, with a word on the reason if there is one."""

    @abc.abstractmethod
    async def vanish(self) -> None:
        """Be gone without a word."""
