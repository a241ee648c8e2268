"""A client that leaves in the middle is noticed at once, whatever server and handler are doing; and never by mistake.

The times of the server's journal are compared with this process's: it is the same clock.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable

import pytest

from ._payload import CHUNK_OCTETS, MIB
from ._process import ServerProcess

NOTICED_SECONDS = 0.5
SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def leave_with_fin(sock: socket.socket) -> None:
    sock.close()


def leave_with_reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def half_close(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)  # of the TCP connection, also below TLS


LEAVING = pytest.mark.parametrize("leave", [leave_with_fin, leave_with_reset, half_close])


def assert_noticed(
    server: ServerProcess, key: str, sock: socket.socket, leave: Callable[[socket.socket], None]
) -> None:
    assert "gone" not in server.events(key)
    left_at = time.monotonic()
    leave(sock)
    assert server.wait(key, "gone") - left_at < NOTICED_SECONDS


@LEAVING
@SCHEMES
def test_while_the_handler_sleeps(server: ServerProcess, scheme: str, leave: Callable[[socket.socket], None]) -> None:
    key = server.new_key()
    with contextlib.closing(server.connect(scheme)) as sock:
        sock.sendall(get(f"/sleep?seconds=30&id={key}"))
        server.wait(key, "begin")
        assert_noticed(server, key, sock, leave)


@LEAVING
@SCHEMES
def test_while_the_handler_waits_to_send(
    server: ServerProcess, scheme: str, leave: Callable[[socket.socket], None]
) -> None:
    key = server.new_key()
    with contextlib.closing(server.connect(scheme)) as sock:
        sock.sendall(get(f"/bytes?n={1024 * MIB}&id={key}"))
        server.wait_stalled(key)
        assert_noticed(server, key, sock, leave)


@LEAVING
@SCHEMES
def test_while_the_reader_is_paused_behind_a_body_that_nobody_reads(
    server: ServerProcess, scheme: str, leave: Callable[[socket.socket], None]
) -> None:
    """What was sent fits into the window and the kernel's buffer, so the FIN reaches the server's kernel behind it."""
    key = server.new_key()
    with contextlib.closing(server.connect(scheme)) as sock:
        head = f"POST /hold?id={key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MIB}\r\n\r\n"
        sock.sendall(head.encode() + b"x" * (CHUNK_OCTETS + CHUNK_OCTETS // 2))
        server.wait(key, "begin")
        server.wait_stalled(key)
        assert 0 < server.statistics()["buffered_octets"] <= CHUNK_OCTETS
        assert_noticed(server, key, sock, leave)


@LEAVING
@SCHEMES
def test_while_a_pipelined_request_lies_in_the_buffer(
    server: ServerProcess, scheme: str, leave: Callable[[socket.socket], None]
) -> None:
    key, second = server.new_key(), server.new_key()
    with contextlib.closing(server.connect(scheme)) as sock:
        sock.sendall(get(f"/sleep?seconds=30&id={key}") + get(f"/hello?id={second}"))
        server.wait(key, "begin")
        assert_noticed(server, key, sock, leave)
    server.wait_idle()
    assert server.events(second) == []  # nobody is there to be answered


@LEAVING
def test_while_more_pipelined_requests_lie_in_the_buffer_than_are_read_ahead(
    server: ServerProcess, leave: Callable[[socket.socket], None]
) -> None:
    key = server.new_key()
    with contextlib.closing(server.connect()) as sock:
        sock.sendall(get(f"/sleep?seconds=30&id={key}") + get("/hello") * 4000)  # 150 kB
        server.wait(key, "begin")
        assert_noticed(server, key, sock, leave)


@LEAVING
@SCHEMES
def test_while_the_handler_waits_for_the_body(
    server: ServerProcess, scheme: str, leave: Callable[[socket.socket], None]
) -> None:
    key = server.new_key()
    with contextlib.closing(server.connect(scheme)) as sock:
        sock.sendall(f"POST /digest?id={key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello".encode())
        server.wait(key, "flowing")
        assert_noticed(server, key, sock, leave)


@LEAVING
@SCHEMES
def test_not_in_the_handlers_tail_behind_the_answer(
    server: ServerProcess, scheme: str, leave: Callable[[socket.socket], None]
) -> None:
    key = server.new_key()
    with contextlib.closing(server.connect(scheme)) as sock:
        sock.sendall(get(f"/tail?id={key}"))
        server.wait(key, "answered")
        received = b""
        while not received.endswith(b"hello\n"):
            received += sock.recv(4096)
        leave(sock)
        with pytest.raises(AssertionError, match="no 'gone'"):
            server.wait(key, "gone", seconds=0.3)
        server.release(key)
        server.wait(key, "end")


@SCHEMES
def test_not_while_the_client_only_waits(server: ServerProcess, scheme: str) -> None:
    key = server.new_key()
    with contextlib.closing(server.connect(scheme)) as sock:
        sock.sendall(get(f"/sleep?seconds=0.7&id={key}"))
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
    server.wait(key, "end")
