"""The life of a server in a process: signals end it, the first one in order, the second one at once.

A signal that comes before the server serves ends the process at once, too: there is nothing to finish yet.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import trio

from ..server import Server
from ._border import complain, end_line_of_interrupt, exit_code_of_signal

__all__ = ["ServerRun"]


class ServerRun:
    """Runs a server until SIGINT or SIGTERM.

    Args:
        serve: :func:`hface_trio.serve` with its arguments.
        prepare: called when the server is bound; what it returns is the exit code, and ends the server. With ``None``
            the server serves until it is stopped.
        grace_seconds: how long an orderly end may take.
    """

    def __init__(
        self,
        serve: Callable[..., Awaitable[object]],
        prepare: Callable[[Server], Awaitable[int | None]],
        grace_seconds: float,
    ) -> None:
        self._serve = serve
        self._prepare = prepare
        self._grace_seconds = grace_seconds
        self._exit_code = 0
        self._server: Server | None = None

    async def run(self) -> int:
        """Serve, and return the exit code: 0 after an orderly end, that of the signal after another one."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, signals, nursery)
                server: Server = await nursery.start(self._serve)
                exit_code = await self._prepare(server)
                if exit_code is None:
                    self._server = server  # from now on there is something to finish
                else:
                    self._exit_code = exit_code
                    await self._shut_down(server, nursery)
        return self._exit_code

    async def _watch(self, signals: AsyncIterator[int], nursery: trio.Nursery) -> None:
        async for number in signals:
            if number == signal.SIGINT:
                end_line_of_interrupt()
            server, self._server = self._server, None
            if server is None:
                self._exit_code = exit_code_of_signal(number)
                nursery.cancel_scope.cancel(reason="a signal")
                return
            if server.statistics().handlers:
                complain(f"finishing what is under way, at most {self._grace_seconds:g} s; once more ends it at once")
            nursery.start_soon(self._shut_down, server, nursery)

    async def _shut_down(self, server: Server, nursery: trio.Nursery) -> None:
        await server.shutdown(self._grace_seconds)
        nursery.cancel_scope.cancel(reason="the server is over")
