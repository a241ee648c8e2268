"""The client: requests over connections that are kept for the next one."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import trio

from ..connections import ConnectionContext, HTTPConnection, Observer, OwnNursery, renew
from ..errors import ConfigurationError, HfaceError
from ..limits import Limits, Timeouts
from ..models import ClientTLSConfig, HeadersType
from ..networking import ClientNetworking
from ._connect import make_opener, open_connection
from ._exchange import Content, Exchange
from ._response import Response
from ._url import RequestURL

__all__ = ["Client", "open_client"]

_MAX_IDLE_PER_ORIGIN = 10
_MAX_SERIAL_ORIGINS = 1024  # of which it is remembered; to forget one costs a wait
_DEFAULT_BODY_OCTETS = 16 * 1024 * 1024
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class _Attempt:
    """The making of the first connection to an origin, and what became of it."""

    def __init__(self) -> None:
        self.over = trio.Event()
        self.failure: HfaceError | None = None


class Client:
    """Sends requests; made by :func:`open_client`.

    An HTTP/1.1 connection whose exchange is complete is kept, up to ten for an origin, and used again; an HTTP/2 or
    HTTP/3 connection is shared by all exchanges with its origin. Redirects are not followed,
    cookies not kept, content not decoded: what came is what is given.
    """

    def __init__(
        self,
        *,
        http_versions: Sequence[str] | None = None,
        tls_config: ClientTLSConfig | None = None,
        networking: ClientNetworking | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        observer: Observer | None = None,
        engines: Mapping[str, str] | None = None,
    ) -> None:
        self._tls_config = tls_config
        self._context = ConnectionContext(limits or Limits(), timeouts or Timeouts(), observer=observer)
        self._opener = make_opener(http_versions, networking, self._context, engines=engines)
        self._own_nursery = OwnNursery()
        self._entered = False
        # Neither holds an origin without connections, nor a connection whose task has ended.
        self._idle: dict[tuple[str, str, int], deque[HTTPConnection]] = {}
        self._shared: dict[tuple[str, str, int], HTTPConnection] = {}
        self._attempts: dict[tuple[str, str, int], _Attempt] = {}
        self._serial_origins: set[tuple[str, str, int]] = set()
        self._may_share = http_versions is None or any(version != "1.1" for version in http_versions)

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ConfigurationError("a client is entered once")
        self._entered = True
        await self._own_nursery.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._idle.clear()
        self._shared.clear()
        await self._own_nursery.close()

    def stream(self, method: str, url: str, *, headers: HeadersType = (), content: Content = b"") -> Exchange:
        """Return a context manager around a request: entering it sends the request and receives the response's head.

        Leaving the block ends the exchange; where it is not complete by then it is cancelled.

        Args:
            method: such as ``"GET"``.
            url: http or https.
            headers: fields with lower-case names.
            content: the body; what is not small is sent while the response is received.

        Raises:
            ConfigurationError: the URL or the method cannot be used.
            ConnectError: (on entering) no connection could be made.
            ConnectionLostError: (on entering) the connection ended before the response began.
            RequestNotProcessedError: (on entering) the server refused the request, and a repetition too.

        Cancellation: the request is cancelled, its connection closed (HTTP/1.1).
        """
        if not method or not _TOKEN.issuperset(method):
            raise ConfigurationError(f"method {method!r} is not a token")
        return Exchange(self, method, RequestURL.parse(url), headers, content)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: HeadersType = (),
        content: Content = b"",
        max_size: int = _DEFAULT_BODY_OCTETS,
    ) -> Response:
        """Send a request and read the whole response.

        Args:
            method: such as ``"GET"``.
            url: http or https.
            headers: fields with lower-case names.
            content: the body.
            max_size: octets of the response's body that are held in memory.

        Raises:
            BodyTooLargeError: the body is longer.
            HfaceError: as for :meth:`stream`.
        """
        async with self.stream(method, url, headers=headers, content=content) as response:
            await response.read(max_size)
            return response

    async def get(self, url: str, *, headers: HeadersType = (), max_size: int = _DEFAULT_BODY_OCTETS) -> Response:
        """Send a GET request and read the whole response; see :meth:`request`."""
        return await self.request("GET", url, headers=headers, max_size=max_size)

    # For exchanges

    async def acquire(self, url: RequestURL, *, fresh: bool = False) -> tuple[HTTPConnection, bool]:
        """Return a connection for one exchange, and whether it was used before.

        Args:
            url: whose origin to connect to.
            fresh: of the connections that cannot be shared take a new one.
        """
        origin = url.origin
        idle = None if fresh else self._idle.get(origin)
        while idle:
            connection = idle.pop()  # the one used last is the likeliest to be alive
            if not idle:
                del self._idle[origin]
            if connection.is_available():
                return connection, True
        while True:
            if (shared := self._shared_with(origin)) is not None:
                return shared, True
            if not self._may_share or origin in self._serial_origins:
                return await self._open(url), False
            attempt = self._attempts.get(origin)
            if attempt is None:
                return await self._connect_first(url), False
            # Whoever comes while the first connection to an origin is being made may be able to share it.
            await attempt.over.wait()
            if attempt.failure is not None:
                raise renew(attempt.failure)

    async def _connect_first(self, url: RequestURL) -> HTTPConnection:
        origin = url.origin
        attempt = self._attempts[origin] = _Attempt()
        try:
            connection = await self._open(url)
        except HfaceError as exc:
            attempt.failure = exc
            raise
        finally:
            del self._attempts[origin]
            attempt.over.set()
        if not connection.multiplexed:
            if len(self._serial_origins) >= _MAX_SERIAL_ORIGINS:
                self._serial_origins.clear()
            self._serial_origins.add(origin)
        return connection

    def _shared_with(self, origin: tuple[str, str, int]) -> HTTPConnection | None:
        connection = self._shared.get(origin)
        if connection is not None and connection.has_expired():
            del self._shared[origin]
            return None
        return connection

    async def _open(self, url: RequestURL) -> HTTPConnection:
        if self._own_nursery.nursery is None:
            raise ConfigurationError("use the client inside 'async with open_client() as client:'")
        connection = await open_connection(
            self._own_nursery.nursery,
            self._opener,
            url,
            self._tls_config,
            when_over=functools.partial(self._forget, url.origin),
        )
        if connection.multiplexed:
            self._serial_origins.discard(url.origin)  # it may have been one until now
            if self._shared_with(url.origin) is None and not connection.has_expired():
                self._shared[url.origin] = connection
        return connection

    def _forget(self, origin: tuple[str, str, int], connection: HTTPConnection) -> None:
        """Keep nothing of a connection that is over."""
        if self._shared.get(origin) is connection:
            del self._shared[origin]
        idle = self._idle.get(origin)
        if idle and connection in idle:
            idle.remove(connection)
            if not idle:
                del self._idle[origin]

    def release(self, url: RequestURL, connection: HTTPConnection) -> None:
        """Take a connection back after an exchange: keep it if it can be used again."""
        if connection.multiplexed:
            if self._shared.get(url.origin) is not connection:
                connection.drain()  # one of several that were made at once, of which one is shared
            return
        if connection.has_expired() or not connection.is_available():
            return
        idle = self._idle.setdefault(url.origin, deque())
        while len(idle) >= _MAX_IDLE_PER_ORIGIN:
            idle.popleft().drain()
        idle.append(connection)


def open_client(
    *,
    http_versions: Sequence[str] | None = None,
    tls_config: ClientTLSConfig | None = None,
    networking: ClientNetworking | None = None,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    observer: Observer | None = None,
    engines: Mapping[str, str] | None = None,
) -> Client:
    """Make a client: a context manager that owns a nursery for its connections.

    Args:
        http_versions: versions to speak, most preferred first; ``["2", "1.1"]`` unless given. HTTP/3 takes https, and is
            spoken where it is named.
        tls_config: whom to trust, for ``https``; the system's authorities unless given.
        networking: the system's unless given.
        limits: bounds on counts and sizes.
        timeouts: bounds on what a peer may stretch.
        observer: is told of openings and closings.
        engines: names of engines by HTTP version, such as ``{"1.1": "httptools"}``; the usual ones unless given.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    return Client(
        http_versions=http_versions,
        tls_config=tls_config,
        networking=networking,
        limits=limits,
        timeouts=timeouts,
        observer=observer,
        engines=engines,
    )
