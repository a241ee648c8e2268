"""The name in a ClientHello; whatever the octets, there is a name or none."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hface_trio.networking._client_hello import read_server_name_untrusted


def client_hello(name: str | None) -> bytes:
    """Have OpenSSL write one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


EXAMPLE = client_hello("www.example.org")


def split(flight: bytes, size: int) -> bytes:
    """Spread the message over records of another size."""
    body = flight[5:]
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(flight[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


def test_the_name_is_read():
    assert read_server_name_untrusted(EXAMPLE) == "www.example.org"


@pytest.mark.parametrize("name", [None, "127.0.0.1"])
def test_a_client_may_ask_for_no_name(name):
    assert read_server_name_untrusted(client_hello(name)) is None


@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_message_may_be_spread_over_several_records(size):
    assert read_server_name_untrusted(split(EXAMPLE, size)) == "www.example.org"


def test_what_follows_the_message_does_not_matter():
    assert read_server_name_untrusted(EXAMPLE + b"\x14\x03\x03\x00\x01\x01") == "www.example.org"


def test_a_name_beyond_ascii_is_none():
    assert read_server_name_untrusted(EXAMPLE.replace(b"www.example.org", b"www.ex\xe4mple.org")) is None


@pytest.mark.parametrize(
    "flight", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x00\x04\x02\0\0\0"]
)
def test_something_else_has_no_name(flight):
    assert read_server_name_untrusted(flight) is None


def test_a_beginning_has_no_name():
    assert {read_server_name_untrusted(EXAMPLE[:length]) for length in range(len(EXAMPLE))} == {None}


@given(st.data())
def test_damage_does_no_harm(data):
    damaged = bytearray(EXAMPLE)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    name = read_server_name_untrusted(bytes(damaged))
    assert name is None or isinstance(name, str)
