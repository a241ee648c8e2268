"""A body that waits for somebody takes no memory to speak of, in either direction; then it goes on, complete.

The kernel holds what its socket buffers take; the server process holds one window (or one send buffer), whatever the body's
length. Warm-up is the same transfer without a stall, so that code and pools are in memory when counting begins.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import socket
from collections.abc import Generator
from typing import Any

import pytest

from hface_trio import Limits

from ..interop._payload import CHUNK_OCTETS, MIB, chunks, digest
from ..interop._process import ServerProcess
from ._resident import highest_resident_octets, resident_octets

LARGE = 128 * MIB
ALLOWED_GROWTH_OCTETS = 2 * MIB
STALL_SECONDS = 0.7
SEND_BUFFER_OCTETS = 64 * 1024
SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])


@contextlib.contextmanager
def upload(server: ServerProcess, scheme: str, path: str) -> Generator[concurrent.futures.Future[tuple[int, str]]]:
    """Upload in a thread; the value becomes the length and the digest that the server received."""

    def run(sock: socket.socket) -> tuple[int, str]:
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LARGE}\r\n\r\n".encode())
        for chunk in chunks(LARGE):
            sock.sendall(chunk)
        answer = receive_response(sock, hashlib.sha256())
        shown: dict[str, Any] = json.loads(answer)
        return shown["octets"], shown["sha256"]

    with server.connect(scheme, timeout=60) as sock, concurrent.futures.ThreadPoolExecutor(1) as executor:
        yield executor.submit(run, sock)


def receive_head(sock: socket.socket) -> tuple[int, bytes]:
    """Receive the head of a response; return the content-length and what came of the body."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = sock.recv(CHUNK_OCTETS)
        assert data, f"the server closed after {received!r}"
        received += data
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    return int(fields[b"content-length"]), rest


def receive_response(sock: socket.socket, sha: Any) -> bytes:
    """Receive a response; return the last of its body's pieces, all of which ``sha`` is fed with."""
    length, piece = receive_head(sock)
    return receive_body(sock, length, piece, sha)


def receive_body(sock: socket.socket, length: int, piece: bytes, sha: Any) -> bytes:
    sha.update(piece)
    length -= len(piece)
    while length:
        piece = sock.recv(min(4 * CHUNK_OCTETS, length))
        assert piece, f"the server closed {length} octets before the end"
        sha.update(piece)
        length -= len(piece)
    return piece


@SCHEMES
def test_an_upload_that_waits_for_its_handler(server: ServerProcess, scheme: str) -> None:
    whole = (LARGE, digest(LARGE))
    with upload(server, scheme, "/digest") as answer:
        assert answer.result() == whole
    server.collect()
    before = resident_octets(server.pid)

    key = server.new_key()
    with upload(server, scheme, f"/hold?id={key}") as answer:
        server.wait(key, "begin")
        server.wait_stalled(key)
        growth = highest_resident_octets(server.pid, STALL_SECONDS) - before
        buffered = server.statistics()["buffered_octets"]
        server.release(key)  # first of all: a failed assertion must not leave the thread waiting
        assert answer.result() == whole
    assert growth < ALLOWED_GROWTH_OCTETS
    assert 0 < buffered <= Limits().stream_window_octets
    growth = resident_octets(server.pid) - before
    assert growth < ALLOWED_GROWTH_OCTETS


@SCHEMES
def test_a_download_that_waits_for_its_peer(server: ServerProcess, scheme: str) -> None:
    request = f"GET /bytes?n={LARGE}&id=%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server.connect(scheme, timeout=60) as sock:
        sha = hashlib.sha256()
        sock.sendall((request % server.new_key()).encode())
        receive_response(sock, sha)
        assert sha.hexdigest() == digest(LARGE)
        server.collect()
        before = resident_octets(server.pid)

        key, sha = server.new_key(), hashlib.sha256()
        sock.sendall((request % key).encode())
        length, rest = receive_head(sock)
        sent = server.wait_stalled(key)
        growth = highest_resident_octets(server.pid, STALL_SECONDS) - before
        buffered = server.statistics()["buffered_octets"]
        assert sent < LARGE / 2  # or the kernel held the whole, and nothing was shown
        assert growth < ALLOWED_GROWTH_OCTETS
        # A sender goes on while at most the send buffer is unsent, and then adds one piece of its own.
        assert 0 < buffered <= SEND_BUFFER_OCTETS + CHUNK_OCTETS

        receive_body(sock, length, rest, sha)
        assert sha.hexdigest() == digest(LARGE)
    server.wait(key, "end")
    growth = resident_octets(server.pid) - before
    assert growth < ALLOWED_GROWTH_OCTETS
