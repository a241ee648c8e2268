"""How a body is cut into pieces on its way must not make it slow."""

from __future__ import annotations

import json

import pytest

from ._payload import CHUNK_OCTETS, MIB, chunks, digest
from ._process import ServerProcess

LENGTH = 2 * MIB


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_small_pieces_at_the_start_do_not_make_small_pieces_of_the_rest(server: ServerProcess, scheme: str) -> None:
    """Credit returned for a small piece must not be spent at once on reading as small a piece: the silly window syndrome."""
    key = server.new_key()
    body = b"".join(chunks(LENGTH))
    with server.connect(scheme) as sock, sock.makefile("rb") as file:
        path = f"/hold?id={key}&pause=0.001"
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LENGTH}\r\n\r\n".encode())
        server.wait(key, "begin")
        for start in range(0, CHUNK_OCTETS, 1024):
            sock.sendall(body[start : start + 1024])
            server.statistics()  # gives the server the time to read this piece alone
        server.wait_stalled(key, still_seconds=0.05)
        server.release(key)
        sock.sendall(body[CHUNK_OCTETS:])
        head = b"".join(iter(file.readline, b"\r\n"))
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        shown = json.loads(file.read(length))
    assert (shown["octets"], shown["sha256"]) == (LENGTH, digest(LENGTH))
    assert shown["pieces"] < 64 + 4 * LENGTH / CHUNK_OCTETS
