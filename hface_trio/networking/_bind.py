"""Binding: from an address that people write to listening sockets."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Callable
from typing import TypeAlias

import trio

from ._addresses import SocketAddress
from ._listeners import FileIdentity

__all__ = ["BindOne", "bind_each", "bind_tcp", "bind_unix"]

BindOne: TypeAlias = Callable[[socket.AddressFamily, SocketAddress], socket.socket]
"""Binds a new socket at one address."""

BACKLOG = 1024  # the system caps it (net.core.somaxconn)
_PORT_ATTEMPTS = 20
_NOT_HERE = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


async def bind_tcp(host: str, port: int) -> list[socket.socket]:
    """Bind and listen at all addresses of a host.

    Port 0 takes a port that is free at all of them. Where IPv6 is turned off, a host that has IPv4 addresses too is
    bound at these alone.

    Raises:
        OSError: an address cannot be bound, or the host is unknown; nothing stays bound.
    """
    return await bind_each(host, port, _bind)


async def bind_each(host: str, port: int, bind_one: BindOne) -> list[socket.socket]:
    """Bind sockets of any kind at all addresses of a host, with what :func:`bind_tcp` says of ports and families.

    Raises:
        OSError: an address cannot be bound, or the host is unknown; nothing stays bound.
    """
    addresses = await _resolve(host, port)
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        try:
            return _bind_all(addresses, bind_one)
        except OSError as exc:
            # The port that the first address got may be taken at the second.
            if port or exc.errno != errno.EADDRINUSE or attempt == _PORT_ATTEMPTS:
                raise
    raise AssertionError  # not reached: the last attempt returns or raises


async def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, SocketAddress]]:
    if host in {"", "*"}:
        await trio.lowlevel.checkpoint()
        return [(socket.AF_INET6, ("::", port)), (socket.AF_INET, ("0.0.0.0", port))]  # noqa: S104 - asked for
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as exc:
        raise OSError(errno.EINVAL, "not a host name") from exc
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind_all(addresses: list[tuple[socket.AddressFamily, SocketAddress]], bind_one: BindOne) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    port = 0
    try:
        for family, address in addresses:
            if port:
                address = (address[0], port, *address[2:])  # noqa: PLW2901
            try:
                sockets.append(bind_one(family, address))
            except OSError as exc:
                if family != socket.AF_INET6 or exc.errno not in _NOT_HERE:
                    raise
                missing = exc
                continue
            port = sockets[-1].getsockname()[1]
        if not sockets:
            raise missing or OSError(errno.EADDRNOTAVAIL, "the host has no address")
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind(family: socket.AddressFamily, address: SocketAddress) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would let others take the port over
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def bind_unix(path: str) -> tuple[socket.socket, FileIdentity]:
    """Bind and listen at a path, replacing a socket file that nobody listens at any more.

    Returns:
        The socket, and which file it has made.

    Raises:
        OSError: the path cannot be bound: somebody listens there, it is another kind of file, or may not be made.
    """
    if not path or "\0" in path:
        raise OSError(errno.EINVAL, "not a path")
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            sock.bind(path)
        except OSError as exc:
            if exc.errno is None:  # raised by Python itself, with a message alone
                raise OSError(errno.ENAMETOOLONG, str(exc)) from exc
            raise
        sock.listen(BACKLOG)
        status = os.stat(path)
    except BaseException:
        sock.close()
        raise
    return sock, (status.st_dev, status.st_ino)


def _remove_stale(path: str) -> None:
    try:
        status = os.lstat(path)
    except OSError:
        return  # mostly: there is no such file. What else is wrong shows when it is bound
    if not stat.S_ISSOCK(status.st_mode):
        raise OSError(errno.EEXIST, "the file exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            # Another process that starts at the same time may have put its own file here since.
            if os.path.samestat(status, os.lstat(path)):
                os.unlink(path)
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass  # somebody listens, and has no time
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
