"""``printf … | nc -N``: a request with its FIN right behind it.

That a client ends its side tells nothing of a client of HTTP/1.0, or of one that promised ``Connection: close``; of others it
usually means that they have gone, but a handler that answers at once has answered by then.
"""

from __future__ import annotations

import re
import socket
import time

import pytest

from ._commands import netcat
from ._process import ServerProcess

FORMS = {
    "HTTP/1.0": b"GET %b HTTP/1.0\r\n\r\n",
    "HTTP/1.1 with close": b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "plain HTTP/1.1": b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
FINAL_FORMS = ["HTTP/1.0", "HTTP/1.1 with close"]
NOTICED_SECONDS = 0.5


@pytest.mark.parametrize("form", FORMS)
def test_a_quick_answer_arrives(server: ServerProcess, form: str) -> None:
    answer = netcat(server.address, FORMS[form] % b"/hello")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nhello\n")


@pytest.mark.parametrize("form", FORMS)
def test_a_quick_answer_arrives_every_time(server: ServerProcess, form: str) -> None:
    """Request and FIN reach the server together, or not quite: a hundred tries for the race."""
    for _ in range(100):
        with server.connect() as sock:
            sock.sendall(FORMS[form] % b"/hello")
            sock.shutdown(socket.SHUT_WR)
            with sock.makefile("rb") as file:
                assert file.read().endswith(b"\r\n\r\nhello\n")


@pytest.mark.parametrize("form", FINAL_FORMS)
def test_a_slow_answer_arrives_within_the_grace(server: ServerProcess, form: str) -> None:
    answer = netcat(server.address, FORMS[form] % b"/sleep?seconds=0.3")
    assert answer.endswith(b"\r\n\r\nslept\n")


def test_a_slow_answer_arrives_behind_a_body_that_nobody_read(server: ServerProcess) -> None:
    body = b"x" * 200_000
    head = b"POST /sleep?seconds=0.3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    answer = netcat(server.address, head % len(body) + body)
    assert answer.endswith(b"\r\n\r\nslept\n")


@pytest.mark.parametrize("form", FINAL_FORMS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_servers_fin_follows_the_last_answer_at_once(server: ServerProcess, scheme: str, form: str) -> None:
    """Clients of HTTP/1.0 wait for it."""
    with server.connect(scheme) as sock:
        sock.sendall(FORMS[form] % b"/bytes?n=10&length=no")
        with sock.makefile("rb") as file:
            while file.readline().strip():
                pass
            file.read(1)
            answered_at = time.monotonic()
            file.read()
            assert time.monotonic() - answered_at < NOTICED_SECONDS


def test_a_posted_body_is_read_to_its_end(server: ServerProcess) -> None:
    head = b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\n"
    answer = netcat(server.address, head + b"hello")
    assert answer.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("form", FINAL_FORMS)
def test_the_grace_comes_to_an_end(server: ServerProcess, form: str) -> None:
    key = server.new_key()
    began_at = time.monotonic()
    netcat(server.address, FORMS[form] % (b"/sleep?seconds=30&id=" + key.encode()))
    assert 0.9 < server.wait(key, "gone") - began_at < 1.0 + NOTICED_SECONDS


def test_a_slow_handler_hears_of_a_client_that_promised_nothing(server: ServerProcess) -> None:
    key = server.new_key()
    began_at = time.monotonic()
    netcat(server.address, FORMS["plain HTTP/1.1"] % (b"/sleep?seconds=30&id=" + key.encode()))
    assert server.wait(key, "gone") - began_at < NOTICED_SECONDS


def test_pipelined_requests_are_answered_in_order(server: ServerProcess) -> None:
    requests = FORMS["plain HTTP/1.1"] % b"/hello" + FORMS["plain HTTP/1.1"] % b"/missing"
    requests += FORMS["HTTP/1.1 with close"] % b"/hello"
    for _ in range(20):
        answer = netcat(server.address, requests)
        assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [b"200", b"404", b"200"]


def test_what_is_no_http_is_answered_400(server: ServerProcess) -> None:
    answer = netcat(server.address, b"hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
