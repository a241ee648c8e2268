"""Other projects' servers, each in a process of its own.

As a program, ``python -m tests.interop._peers NAME FD KEEP_ALIVE_SECONDS [CERTFILE KEYFILE]``, this is such a process: it
serves the ASGI application on an inherited listening socket. So the port is known before the server runs, and connections
made meanwhile wait in the socket's queue.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import subprocess
import sys
from collections.abc import Generator

from ._asgi import application
from ._process import ROOT, ended

__all__ = ["NAMES", "running_peer"]

NAMES = ("uvicorn", "hypercorn")


@contextlib.contextmanager
def running_peer(
    name: str, *, certificate: tuple[str, str] | None = None, keep_alive_seconds: int = 60
) -> Generator[str]:
    """Run a server for the length of the block; the value is its URL.

    Args:
        name: one of ``NAMES``.
        certificate: certificate and key files; cleartext without them.
        keep_alive_seconds: how long the server keeps idle connections.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        fd = listener.fileno()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.interop._peers",
                name,
                str(fd),
                str(keep_alive_seconds),
                *(certificate or ()),
            ],
            pass_fds=[fd],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )
    with ended(process):
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        assert process.poll() is None, f"{name} ended by itself"


def _run_uvicorn(fd: int, keep_alive_seconds: int, certfile: str | None, keyfile: str | None) -> None:
    import uvicorn

    config = uvicorn.Config(
        application,
        http="h11",
        lifespan="off",
        log_level="warning",
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=1,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=fd)])


def _run_hypercorn(fd: int, keep_alive_seconds: int, certfile: str | None, keyfile: str | None) -> None:
    import hypercorn.config
    import hypercorn.trio
    import trio

    config = hypercorn.config.Config()
    config.bind = [f"fd://{fd}"]
    config.errorlog = None
    config.keep_alive_timeout = keep_alive_seconds
    config.certfile = certfile
    config.keyfile = keyfile
    trio.run(functools.partial(hypercorn.trio.serve, application, config))  # type: ignore[arg-type]  # its own types


if __name__ == "__main__":
    _name, _fd, _seconds, *_files = sys.argv[1:]
    _run = {"uvicorn": _run_uvicorn, "hypercorn": _run_hypercorn}[_name]
    _run(int(_fd), int(_seconds), *(_files or (None, None)))
