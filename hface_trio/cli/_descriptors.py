"""Reading and writing of file descriptors in threads: standard streams and files may block, and the network must not wait.

No Python file object stands between, so nothing is held back in a buffer, and a thread that is left behind in a system
call holds no lock that the interpreter would wait for at its end.
"""

from __future__ import annotations

import os
import select

import trio

__all__ = ["STANDARD_INPUT", "STANDARD_OUTPUT", "read_some", "write_all"]

STANDARD_INPUT = 0
STANDARD_OUTPUT = 1


async def read_some(descriptor: int, max_octets: int) -> bytes:
    """Read what there is; empty at the end.

    Raises:
        OSError: it cannot be read.

    Cancellation: what a thread reads afterwards is lost.
    """
    return await trio.to_thread.run_sync(_read, descriptor, max_octets, abandon_on_cancel=True)


async def write_all(descriptor: int, octets: bytes) -> None:
    """Write everything.

    Raises:
        OSError: it cannot be written.

    Cancellation: a part may have been written, or be written yet.
    """
    await trio.to_thread.run_sync(_write, descriptor, octets, abandon_on_cancel=True)


def _read(descriptor: int, max_octets: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, max_octets)
        except BlockingIOError:  # another process that shares it made it non-blocking
            select.select([descriptor], [], [])


def _write(descriptor: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
