"""What is known of a TLS stream, when, and on which side."""

from __future__ import annotations

import contextlib
import ssl

import pytest
import trio
import trio.testing

from hface_trio.errors import TLSHandshakeError
from hface_trio.networking import TLSByteStream
from hface_trio.networking._tls_context import client_tls_context, server_tls_context
from hface_trio.testing import memory_stream_pair

from ._pairs import make_tls_pair
from ._tls_pairs import new_pair, shake_hands

# Without a deadline, a test in virtual time in which everybody waits would wait for ever.
pytestmark = pytest.mark.timeout(20, method="signal")


@pytest.mark.parametrize(("version", "shown"), [("tls12", "TLSv1.2"), ("tls13", "TLSv1.3")])
async def test_attributes_after_the_handshake(version, shown, authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority, version=version)
    for stream in (client, server):
        attributes = stream.extra_attributes
        assert attributes.tls_version == shown
        assert attributes.alpn_protocol == "http/1.1"
        assert attributes.server_name == "localhost"
        assert attributes.cipher
        assert attributes.local_address[0] == "memory"
        assert stream.extra_attributes is attributes
    assert ssl.DER_cert_to_PEM_cert(client.extra_attributes.peer_certificate)
    assert server.extra_attributes.peer_certificate is None


async def test_before_the_handshake_only_the_addresses_are_known(authority, virtual_time):
    client, _ = new_pair(authority)
    assert client.extra_attributes.local_address == ("memory", 1)
    assert client.extra_attributes.tls_version is None


async def test_the_certificate_of_a_client(authority, virtual_time):
    _, server = await make_tls_pair(*memory_stream_pair(), authority, client_certificate=("user@example.org",))
    certificate = ssl.DER_cert_to_PEM_cert(server.extra_attributes.peer_certificate)
    assert certificate.startswith("-----BEGIN CERTIFICATE-----")


async def test_no_protocol_in_common_is_no_failure(authority, virtual_time):
    client, server = new_pair(authority, client_alpn=["h2"], server_alpn=["http/1.1"])
    outcomes = await shake_hands(client, server)
    assert [outcome.exception for outcome in outcomes] == [None, None]
    assert client.extra_attributes.alpn_protocol is None
    assert server.extra_attributes.alpn_protocol is None


async def test_an_address_is_verified_and_not_sent_as_a_name(authority, virtual_time):
    client, server = new_pair(authority, server_name="127.0.0.1")
    outcomes = await shake_hands(client, server)
    assert [outcome.exception for outcome in outcomes] == [None, None]
    assert server.extra_attributes.server_name is None


async def test_names_of_connections_are_not_mixed_up(authority, virtual_time):
    context = server_tls_context(authority.server_config("a.example", "b.example"), [])
    client_context = client_tls_context(authority.client_config(), [])
    servers = []
    for name in ("a.example", "b.example"):
        near, far = memory_stream_pair()
        server = TLSByteStream(far, context, server_side=True)
        await shake_hands(TLSByteStream(near, client_context, server_side=False, server_name=name), server)
        servers.append(server)
    assert [server.extra_attributes.server_name for server in servers] == ["a.example", "b.example"]


@pytest.mark.parametrize("limit", [None, 1, 7])
async def test_the_name_that_a_client_asks_for_whatever_the_chunking(limit, authority, virtual_time):
    client, server = new_pair(authority, transports=memory_stream_pair(receive_limit_octets=limit))
    await shake_hands(client, server)
    assert server.extra_attributes.server_name == "localhost"


@pytest.mark.parametrize("name", [b"local\xffost", b"\x00ocalhost", b"-_.......", b"xn--\xff\xffz"])
async def test_a_name_that_is_none_prints_nothing(name, authority, virtual_time, capfd):
    client, server = new_pair(authority)
    client._step_handshake()
    hello = client._engine.take_output()
    assert hello.count(b"localhost") == 1
    await client._transport.send_all(hello.replace(b"localhost", name))
    with trio.move_on_after(1), contextlib.suppress(TLSHandshakeError):
        await server.handshake()
    assert capfd.readouterr() == ("", "")
