"""The whole of the system's network, through the networking interfaces."""

from __future__ import annotations

import errno
import os
import socket

import pytest
import trio

from hface_trio.errors import ConfigurationError, ConnectError, TLSHandshakeError
from hface_trio.models import ClientTLSConfig, ServerTLSConfig
from hface_trio.networking import ByteStream, ByteStreamListener, SystemNetworking

from ._names import free_port, resolving
from ._pairs import DEADLINE_SECONDS, receive_all


@pytest.fixture
def networking() -> SystemNetworking:
    return SystemNetworking()


async def echo(listener: ByteStreamListener) -> None:
    """Send back, to one client, what it sends, and the attributes of its connection."""
    stream = await listener.accept()
    try:
        await stream.handshake()
        data = await receive_all(stream)
        await stream.send_all(data + b" " + (stream.extra_attributes.server_name or "").encode())
    except (TLSHandshakeError, trio.BrokenResourceError):
        pass
    await stream.aclose()


async def exchange(stream: ByteStream) -> bytes:
    await stream.send_all(b"hello")
    await stream.send_eof()
    answer = await receive_all(stream)
    await stream.aclose()
    return answer


async def close_all(listeners) -> None:
    for listener in listeners:
        await listener.aclose()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
async def test_tcp(host, networking):
    with trio.fail_after(DEADLINE_SECONDS):
        listeners = await networking.listen_tcp((host, 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, listeners[0])
            stream = await networking.connect_tcp(listeners[0].address)
            assert await exchange(stream) == b"hello "
        await close_all(listeners)


async def test_all_interfaces(networking):
    with trio.fail_after(DEADLINE_SECONDS):
        listeners = await networking.listen_tcp(("*", 0))
        for listener, host in zip(listeners, ["::1", "127.0.0.1"], strict=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(echo, listener)
                stream = await networking.connect_tcp((host, listener.address[1]))
                assert await exchange(stream) == b"hello "
        await close_all(listeners)


async def test_a_unix_socket(networking, tmp_path):
    address = (f"unix:{tmp_path}/socket", 0)
    with trio.fail_after(DEADLINE_SECONDS):
        (listener,) = await networking.listen_tcp(address)
        assert listener.address == address
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, listener)
            stream = await networking.connect_tcp(listener.address)
            assert stream.extra_attributes.remote_address == address
            assert stream.extra_attributes.local_address == ("unix:", 0)
            assert await exchange(stream) == b"hello "
        await listener.aclose()
        assert not (tmp_path / "socket").exists()


async def test_the_file_of_another_is_not_removed(networking, tmp_path):
    path = tmp_path / "socket"
    (first,) = await networking.listen_tcp((f"unix:{path}", 0))
    os.unlink(path)
    (second,) = await networking.listen_tcp((f"unix:{path}", 0))
    await first.aclose()
    assert path.exists()
    await second.aclose()
    assert not path.exists()


async def test_a_file_that_has_been_removed_already(networking, tmp_path):
    path = tmp_path / "socket"
    (listener,) = await networking.listen_tcp((f"unix:{path}", 0))
    os.unlink(path)
    await listener.aclose()


async def test_a_port_in_use_is_told_in_one_line(networking):
    listeners = await networking.listen_tcp(("127.0.0.1", 0))
    with pytest.raises(OSError) as info:
        await networking.listen_tcp(listeners[0].address)
    assert (info.value.errno, info.value.strerror) == (errno.EADDRINUSE, "Address already in use")
    await close_all(listeners)


@pytest.mark.parametrize("port", [-1, 65536])
async def test_a_port_that_does_not_exist(port, networking):
    with pytest.raises(ConfigurationError):
        await networking.listen_tcp(("localhost", port))
    with pytest.raises(ConfigurationError):
        await networking.connect_tcp(("localhost", port))


# TLS


@pytest.mark.parametrize("address", [("localhost", 0), ("127.0.0.1", 0), ("::1", 0)])
async def test_tls(address, networking, authority):
    with trio.fail_after(DEADLINE_SECONDS):
        listeners = await networking.listen_tcp_tls(
            address, tls_config=authority.server_config(), alpn_protocols=["http/1.1"]
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, listeners[0])
            stream = await networking.connect_tcp_tls(
                (address[0], listeners[0].address[1]),
                tls_config=authority.client_config(),
                alpn_protocols=["h2", "http/1.1"],
            )
            assert stream.extra_attributes.alpn_protocol == "http/1.1"
            # SNI carries names, and no addresses (RFC 6066 §3).
            assert await exchange(stream) == (b"hello localhost" if address[0] == "localhost" else b"hello ")
        await close_all(listeners)


async def test_another_name_than_the_host(networking, authority):
    with trio.fail_after(DEADLINE_SECONDS):
        (listener,) = await networking.listen_tcp_tls(
            ("127.0.0.1", 0), tls_config=authority.server_config("example.org"), alpn_protocols=[]
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, listener)
            stream = await networking.connect_tcp_tls(
                listener.address, tls_config=authority.client_config(), alpn_protocols=[], server_name="example.org."
            )
            assert await exchange(stream) == b"hello example.org"
        await listener.aclose()


async def test_a_name_beyond_ascii(networking, authority):
    with resolving({"xn--bcher-kva.example": ["127.0.0.1"]}), trio.fail_after(DEADLINE_SECONDS):
        (listener,) = await networking.listen_tcp_tls(
            ("bücher.example", 0),
            tls_config=authority.server_config("xn--bcher-kva.example"),
            alpn_protocols=[],
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, listener)
            stream = await networking.connect_tcp_tls(
                ("bücher.example", listener.address[1]), tls_config=authority.client_config(), alpn_protocols=[]
            )
            assert await exchange(stream) == b"hello xn--bcher-kva.example"
        await listener.aclose()


async def test_an_address_that_the_certificate_does_not_show(networking, authority):
    with trio.fail_after(DEADLINE_SECONDS):
        (listener,) = await networking.listen_tcp_tls(
            ("127.0.0.1", 0), tls_config=authority.server_config("localhost"), alpn_protocols=[]
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, listener)
            with pytest.raises(TLSHandshakeError) as info:
                await networking.connect_tcp_tls(
                    listener.address, tls_config=authority.client_config(), alpn_protocols=[]
                )
        assert str(info.value) == (
            f"127.0.0.1:{listener.address[1]}: TLS handshake failed: certificate verify failed: "
            "IP address mismatch, certificate is not valid for '127.0.0.1'"
        )
        await listener.aclose()


async def test_tls_on_a_unix_socket_needs_a_name(networking, authority, tmp_path):
    address = (f"unix:{tmp_path}/socket", 0)
    with trio.fail_after(DEADLINE_SECONDS):
        (listener,) = await networking.listen_tcp_tls(address, tls_config=authority.server_config(), alpn_protocols=[])
        with pytest.raises(ConfigurationError, match="needs a server_name"):
            await networking.connect_tcp_tls(address, tls_config=authority.client_config(), alpn_protocols=[])
        for config, server_name in ((authority.client_config(), "localhost"), (ClientTLSConfig(insecure=True), None)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(echo, listener)
                stream = await networking.connect_tcp_tls(
                    address, tls_config=config, alpn_protocols=[], server_name=server_name
                )
                assert await exchange(stream) == b"hello " + (server_name or "").encode()
        await listener.aclose()


async def test_a_peer_that_does_not_speak_tls(networking, authority):
    with trio.fail_after(DEADLINE_SECONDS):
        (listener,) = await networking.listen_tcp(("127.0.0.1", 0))

        async def answer_in_plain() -> None:
            stream = await listener.accept()
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await stream.send_eof()
            while await stream.receive_some():
                pass
            await stream.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_in_plain)
            with pytest.raises(TLSHandshakeError, match="the peer does not speak TLS"):
                await networking.connect_tcp_tls(
                    listener.address, tls_config=authority.client_config(), alpn_protocols=[]
                )
        await listener.aclose()


async def test_a_reset_in_the_handshake(networking, authority):
    with trio.fail_after(DEADLINE_SECONDS):
        (listener,) = await networking.listen_tcp(("127.0.0.1", 0))

        async def reset() -> None:
            stream = await listener.accept()
            await stream.receive_some()
            stream.abort()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reset)
            with pytest.raises(TLSHandshakeError, match="TLS handshake failed: the connection broke"):
                await networking.connect_tcp_tls(
                    listener.address, tls_config=authority.client_config(), alpn_protocols=[]
                )
        await listener.aclose()


async def test_a_cancelled_handshake_resets_the_connection(networking, authority):
    with trio.fail_after(DEADLINE_SECONDS):
        (listener,) = await networking.listen_tcp(("127.0.0.1", 0))
        with trio.move_on_after(0.05) as scope:
            await networking.connect_tcp_tls(listener.address, tls_config=authority.client_config(), alpn_protocols=[])
        assert scope.cancelled_caught
        stream = await listener.accept()
        with pytest.raises(trio.BrokenResourceError):
            await receive_all(stream)
        await stream.aclose()
        await listener.aclose()


@pytest.mark.parametrize("host", ["", "a..b"])
async def test_a_host_that_cannot_be(host, networking, authority):
    with pytest.raises(ConnectError, match="is not a host name"):
        await networking.connect_tcp_tls((host, 443), tls_config=authority.client_config(), alpn_protocols=[])


async def test_a_server_name_that_cannot_be(networking, authority):
    with pytest.raises(ConfigurationError, match="is not a host name"):
        await networking.connect_tcp_tls(
            ("localhost", 443), tls_config=authority.client_config(), alpn_protocols=[], server_name="a..b"
        )


async def test_tls_that_cannot_be_configured_binds_nothing(networking):
    port = free_port()
    with pytest.raises(ConfigurationError):
        await networking.listen_tcp_tls(("127.0.0.1", port), tls_config=ServerTLSConfig(), alpn_protocols=[])
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_contexts_of_clients_are_kept_within_bounds(networking, authority):
    config = authority.client_config()
    context = networking._client_context(config, ["h2"])
    assert networking._client_context(config.clone(), ["h2"]) is context
    assert networking._client_context(config, ["http/1.1"]) is not context
    for number in range(100):
        networking._client_context(config, [f"protocol-{number}"])
    assert len(networking._client_contexts) == 16


# Inherited sockets


async def test_sockets_that_were_bound_elsewhere(networking, authority):
    with trio.fail_after(DEADLINE_SECONDS):
        plain = socket.create_server(("127.0.0.1", 0))
        bound_only = socket.socket()
        bound_only.bind(("127.0.0.1", 0))
        listeners = networking.listen_sockets([plain, bound_only])
        assert [listener.address for listener in listeners] == [plain.getsockname(), bound_only.getsockname()]
        for listener in listeners:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(echo, listener)
                assert await exchange(await networking.connect_tcp(listener.address)) == b"hello "
        await close_all(listeners)


async def test_tls_on_sockets_that_were_bound_elsewhere(networking, authority):
    with trio.fail_after(DEADLINE_SECONDS):
        (listener,) = networking.listen_sockets(
            [socket.create_server(("127.0.0.1", 0))], tls_config=authority.server_config(), alpn_protocols=["http/1.1"]
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, listener)
            stream = await networking.connect_tcp_tls(
                listener.address, tls_config=authority.client_config(), alpn_protocols=["http/1.1"]
            )
            assert stream.extra_attributes.alpn_protocol == "http/1.1"
            await exchange(stream)
        await listener.aclose()


async def test_an_inherited_unix_socket_keeps_its_file(networking, tmp_path):
    path = tmp_path / "socket"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    (listener,) = networking.listen_sockets([sock])
    await listener.aclose()
    assert path.exists()


def test_an_inherited_socket_of_another_kind(networking):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(ConfigurationError):
        networking.listen_sockets([sock])
