"""Reading and writing of file descriptors in threads: standard streams and files may block, and the network must not wait.

No Python file object stands between, so nothing is held back in a buffer, and a thread that is left behind in a system
call holds no lock that the interpreter would wait for at its end.
"""

from __future__ import annotations

import os
import select
import sys

import trio

__all__ = ["STANDARD_INPUT", "STANDARD_OUTPUT", "hold_standard_streams", "read_some", "write_all"]

STANDARD_INPUT = 0
STANDARD_OUTPUT = 1


def hold_standard_streams() -> None:
    """Put something in the place of standard streams that were closed when the process began.

    Otherwise the next socket would become the standard output. What is put there cannot be used, so who tries is told.
    """
    for descriptor, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest descriptor that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process


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
