"""The ports that measured servers listen on."""

from __future__ import annotations

import socket

__all__ = ["HOST", "announce", "listen", "listen_both"]

HOST = "127.0.0.1"
_BACKLOG = 4096
_ATTEMPTS = 20


def listen() -> socket.socket:
    """Listen on a free TCP port."""
    # asyncio turns Nagle's algorithm off only where it sees that this is TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind((HOST, 0))
    listener.listen(_BACKLOG)
    return listener


def listen_both() -> tuple[socket.socket, socket.socket]:
    """Listen on a free TCP port, and bind the UDP port of the same number.

    Raises:
        OSError: no number was free for both.
    """
    for _ in range(_ATTEMPTS):
        listener = listen()
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind(listener.getsockname())
        except OSError:
            listener.close()
            datagrams.close()
        else:
            return listener, datagrams
    raise OSError("no port is free for TCP and UDP")


def announce(port: int) -> None:
    """Tell whoever started this process where it listens."""
    print(port, flush=True)
