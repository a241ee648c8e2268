"""Connecting: racing the addresses of a host (Happy Eyeballs, RFC 8305)."""

from __future__ import annotations

import errno
import itertools
import os
import socket
from typing import TypeAlias

import trio

from ..errors import ConnectError
from ..models import AddressType
from ._addresses import SocketAddress, format_address, unix_path

__all__ = ["connect_socket"]

_Target: TypeAlias = tuple[socket.AddressFamily, SocketAddress]

ATTEMPT_DELAY_SECONDS = 0.25  # RFC 8305 §5
_MOST_TARGETS = 32  # a resolver's answer may be anything
_UNIX_PAUSE_SECONDS = 0.02


async def connect_socket(
    address: AddressType, *, attempt_delay_seconds: float = ATTEMPT_DELAY_SECONDS
) -> socket.socket:
    """Connect to one of a host's addresses, or to a unix socket.

    Families take turns; an attempt starts when the one before it has failed, or has not come to an end in the delay.
    The first connection wins, and the other attempts are cancelled.

    Returns:
        A connected, non-blocking socket.

    Raises:
        ConnectError: none could be reached; the message names each one and says why.

    Cancellation: all attempts are closed.
    """
    if not address[0]:
        raise ConnectError("cannot connect to an empty host name")
    path = unix_path(address)
    race = _Race(address)
    targets = [(socket.AF_UNIX, path)] if path is not None else await _resolve(address)
    return await race.run(targets, attempt_delay_seconds)


async def _resolve(address: AddressType) -> list[_Target]:
    try:
        found = await trio.socket.getaddrinfo(address[0], address[1], type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        why = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        raise ConnectError(f"cannot resolve {address[0]!r}: {why}") from exc
    return _take_turns(list(dict.fromkeys((family, target) for family, _, _, _, target in found)))[:_MOST_TARGETS]


def _take_turns(targets: list[_Target]) -> list[_Target]:
    """Let the families take turns, beginning with that of the first target (RFC 8305 §4)."""
    first = [target for target in targets if target[0] == targets[0][0]]
    others = [target for target in targets if target[0] != targets[0][0]]
    turns = itertools.zip_longest(first, others)
    return [target for turn in turns for target in turn if target is not None]


class _Race:
    """Attempts to connect to several targets, of which one may win."""

    def __init__(self, address: AddressType) -> None:
        self._address = address
        self._winner: socket.socket | None = None
        self._failures: list[tuple[_Target, OSError]] = []

    async def run(self, targets: list[_Target], delay_seconds: float) -> socket.socket:
        try:
            async with trio.open_nursery() as nursery:
                for target in targets:
                    failed = trio.Event()
                    nursery.start_soon(self._attempt, target, failed, nursery.cancel_scope)
                    with trio.move_on_after(delay_seconds):
                        await failed.wait()
        except BaseException:
            if self._winner is not None:
                self._winner.close()
            raise
        if self._winner is None:
            raise self._describe()
        return self._winner

    async def _attempt(self, target: _Target, failed: trio.Event, race: trio.CancelScope) -> None:
        try:
            sock = await _connect(target)
        except OSError as exc:
            self._failures.append((target, exc))
            failed.set()
            return
        if self._winner is not None:
            sock.close()
            return
        self._winner = sock
        race.cancel()

    def _describe(self) -> ConnectError:
        where = format_address(self._address)
        if not self._failures:
            return ConnectError(f"cannot connect to {where}: the host has no address")
        failures = [exc for _, exc in self._failures]
        reasons = {_explain(exc) for exc in failures}
        if len(reasons) == 1:
            why = reasons.pop()
        else:
            why = "; ".join(f"{target[1][0]}: {_explain(exc)}" for target, exc in self._failures)
        error = ConnectError(f"cannot connect to {where}: {why}")
        error.__cause__ = failures[0] if len(failures) == 1 else ExceptionGroup("all addresses failed", failures)
        return error


def _explain(exc: OSError) -> str:
    return exc.strerror or str(exc)


async def _connect(target: _Target) -> socket.socket:
    family, address = target
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        while True:
            try:
                code = sock.connect_ex(address)
            except ValueError as exc:  # a path with a NUL
                raise OSError(errno.EINVAL, str(exc)) from exc
            if code == errno.EINPROGRESS:
                await trio.lowlevel.wait_writable(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            elif code == errno.EAGAIN and family == getattr(socket, "AF_UNIX", None):
                # A full backlog; there is nothing to wait for, unlike with TCP (unix(7)).
                await trio.sleep(_UNIX_PAUSE_SECONDS)
                continue
            else:
                await trio.lowlevel.checkpoint()
            break
    except BaseException:
        trio.lowlevel.notify_closing(sock)
        sock.close()
        raise
    if code:
        trio.lowlevel.notify_closing(sock)
        sock.close()
        raise OSError(code, os.strerror(code))
    return sock
