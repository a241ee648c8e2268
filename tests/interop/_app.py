"""The server process: ``python -m tests.interop._app CONTROL_FD CERTFILE KEYFILE SOCKET_PATH``.

It serves :class:`~tests.interop._handlers.Handlers` on three endpoints, cleartext, TLS and a unix socket, and answers its parent over a
socket: a line of JSON each way. It ends when the parent closes the socket, or dies.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
import logging
import resource
import socket
import sys
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import trio

import hface_trio

from ._handlers import Handlers
from ._journal import Journal

_POLL_SECONDS = 0.01


class _ErrorLog(logging.Handler):
    """Keeps what was logged as an error: a test may ask that there is nothing."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


class _Control:
    """Answers the parent's commands; the name of a command is the name of its method."""

    def __init__(self, server: hface_trio.Server, journal: Journal, errors: _ErrorLog) -> None:
        self._server = server
        self._journal = journal
        self._errors = errors

    async def serve(self, stream: trio.SocketStream) -> None:
        await self._reply(stream, [str(endpoint) for endpoint in self._server.endpoints])
        async for line in _lines(stream):
            command: dict[str, Any] = json.loads(line)
            answer = await getattr(self, command.pop("do"))(**command)
            await self._reply(stream, answer)

    async def _reply(self, stream: trio.SocketStream, answer: object) -> None:
        await stream.send_all(json.dumps(answer).encode() + b"\n")

    async def statistics(self) -> dict[str, int]:
        return dataclasses.asdict(self._server.statistics())

    async def idle(self, seconds: float) -> dict[str, int]:
        """Wait until no connection, handler or buffered octet is left; return the counts at the end of the waiting."""
        with trio.move_on_after(seconds):
            while True:
                statistics = self._server.statistics()
                if not (statistics.connections or statistics.handlers or statistics.buffered_octets):
                    break
                await trio.sleep(_POLL_SECONDS)
        return await self.statistics()

    async def wait(self, key: str, event: str, seconds: float) -> dict[str, Any] | None:
        return await self._journal.wait(key, event, seconds)

    async def stalled(self, key: str, seconds: float, still_seconds: float) -> int | None:
        """Wait until the request's octets have been at a standstill; return their count, or ``None`` if they never were."""
        with trio.move_on_after(seconds):
            while True:
                before = (self._journal.octets(key), self._server.statistics().buffered_octets)
                await trio.sleep(still_seconds)
                if before == (self._journal.octets(key), self._server.statistics().buffered_octets):
                    return before[0]
        return None

    async def entries(self, key: str) -> list[dict[str, Any]]:
        return self._journal.entries(key)

    async def release(self, key: str) -> None:
        self._journal.gate(key).set()

    async def errors(self) -> list[str]:
        """Return what was logged as an error since the last call."""
        messages, self._errors.messages = self._errors.messages, []
        return messages

    async def collect(self) -> int:
        """Collect garbage; return how many objects the collector tracks."""
        gc.collect()
        return len(gc.get_objects())

    async def trace(self) -> None:
        """Trace allocations from now on."""
        gc.collect()
        tracemalloc.start()

    async def traced_peak(self) -> int:
        """Return the most octets that were allocated at once since tracing began, and end it."""
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak


async def _lines(stream: trio.SocketStream) -> AsyncIterator[bytes]:
    buffer = bytearray()
    async for data in stream:
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            yield line


async def _main(control_fd: int, certfile: str, keyfile: str, socket_path: str) -> None:
    errors, journal = _ErrorLog(), Journal()
    logging.getLogger().addHandler(errors)
    control = trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=control_fd)))
    async with trio.open_nursery() as nursery:
        serve = functools.partial(
            hface_trio.serve, tls_config=hface_trio.ServerTLSConfig(certfile=certfile, keyfile=keyfile)
        )
        server: hface_trio.Server = await nursery.start(
            serve, Handlers(journal), ["http://127.0.0.1:0", "https://127.0.0.1:0", f"http://unix:{socket_path}"]
        )
        await _Control(server, journal, errors).serve(control)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    _soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (_hard, _hard)
    )  # a thousand connections are more than some systems' default
    _fd, _certfile, _keyfile, _socket_path = sys.argv[1:]
    trio.run(_main, int(_fd), _certfile, _keyfile, _socket_path)
