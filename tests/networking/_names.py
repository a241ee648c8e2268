"""Names that only the tests know, and ports that nobody listens on."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator

import trio


class Resolver(trio.abc.HostnameResolver):
    """Knows the names of the tests."""

    def __init__(self, addresses: dict[str, list[str]]) -> None:
        self._addresses = addresses

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):  # noqa: A002
        if isinstance(host, bytes):
            host = host.decode()
        if host not in self._addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = []
        for address in self._addresses[host]:
            if ":" in address:
                found.append((socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)))
            else:
                found.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)))
        return found

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


@contextlib.contextmanager
def resolving(addresses: dict[str, list[str]]) -> Generator[None]:
    """Let trio know these names, and no others, for the length of the block."""
    trio.socket.set_custom_hostname_resolver(Resolver(addresses))
    try:
        yield
    finally:
        trio.socket.set_custom_hostname_resolver(None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]
