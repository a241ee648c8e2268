"""Other people's servers, as they are measured: in one process, with their defaults but for what is said here.

Nobody logs requests, nor does this package. Idle connections are kept for as long as their memory is measured, and take any
number of requests; lists of connections that wait are long enough for all that are opened. Uvicorn runs on asyncio's own
loop, which is written in Python like trio's, and asks its application for no lifespan.
"""

from __future__ import annotations

import functools
import signal
import sys
from typing import Any, Literal

from _application import make_application
from _ports import HOST, announce, listen, listen_both
from _programs import Certificate

__all__ = ["serve_hypercorn", "serve_uvicorn_h11", "serve_uvicorn_httptools"]

_IDLE_SECONDS = 120
"""Longer than it takes to open the idle connections whose memory is measured."""


def serve_hypercorn(certificate: Certificate | None) -> None:
    """Serve with hypercorn's trio worker, in this process; HTTP/3 too, over TLS. A SIGTERM ends it in order."""
    import hypercorn.config  # noqa: PLC0415  # each server imports its own
    import hypercorn.trio  # noqa: PLC0415
    import trio  # noqa: PLC0415

    config = hypercorn.config.Config()
    if certificate:
        listener, datagrams = listen_both()
        config.certfile, config.keyfile = certificate
        config.quic_bind = [f"fd://{datagrams.detach()}"]
    else:
        listener = listen()
    port: int = listener.getsockname()[1]
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = None
    config.backlog = 4096
    config.keep_alive_timeout = _IDLE_SECONDS
    config.keep_alive_max_requests = sys.maxsize  # else long runs would measure reconnections, too
    untyped: Any = hypercorn.trio  # it wants its own type of applications

    async def main() -> None:
        with trio.open_signal_receiver(signal.SIGTERM) as signals:

            async def wait_for_signal() -> None:
                async for _ in signals:
                    return

            async with trio.open_nursery() as nursery:
                serve = functools.partial(untyped.serve, shutdown_trigger=wait_for_signal)
                await nursery.start(serve, make_application(trio.sleep), config)
                announce(port)

    trio.run(main)


def serve_uvicorn_h11(certificate: Certificate | None) -> None:
    """Serve with uvicorn, which has no trio, on asyncio with h11."""
    _serve_uvicorn("h11", certificate)


def serve_uvicorn_httptools(certificate: Certificate | None) -> None:
    """Serve with uvicorn on asyncio with httptools."""
    _serve_uvicorn("httptools", certificate)


def _serve_uvicorn(http: Literal["h11", "httptools"], certificate: Certificate | None) -> None:
    import asyncio  # noqa: PLC0415

    import uvicorn  # noqa: PLC0415

    certfile, keyfile = certificate or (None, None)
    with listen() as listener:
        config = uvicorn.Config(
            make_application(asyncio.sleep),
            host=HOST,
            http=http,
            loop="asyncio",
            lifespan="off",
            log_level="error",
            access_log=False,
            timeout_keep_alive=_IDLE_SECONDS,
            ssl_certfile=certfile,
            ssl_keyfile=keyfile,
        )
        announce(listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])
