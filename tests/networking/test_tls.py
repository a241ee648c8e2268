"""TLS streams, where they differ from other byte streams."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
import trio
import trio.testing

from hface_trio.errors import TLSHandshakeError
from hface_trio.models import ClientTLSConfig
from hface_trio.networking import TLSByteStream
from hface_trio.networking._tls_context import client_tls_context, server_tls_context
from hface_trio.networking._tls_engine import slices
from hface_trio.testing import Authority, MemoryByteStream, memory_stream_pair

from ._pairs import (
    DEADLINE_SECONDS,
    TLS_KINDS,
    Outcome,
    fill,
    make_tls_pair,
    open_pair,
    receive_all,
    receive_exactly,
)
from ._tls_records import (
    APPLICATION_DATA,
    HANDSHAKE,
    KEY_UPDATE_REQUESTED,
    RENEGOTIATION,
    TLS12RecordWriter,
    TLS13RecordWriter,
    count_records,
    read_server_random,
)

# Without a deadline, a test in virtual time in which everybody waits would wait for ever.
pytestmark = pytest.mark.timeout(20, method="signal")

VERSIONS = ["tls12", "tls13"]


def new_pair(
    authority: Authority,
    *,
    client_config: ClientTLSConfig | None = None,
    client_alpn=("http/1.1",),
    server_alpn=("http/1.1",),
    server_name="localhost",
    verify_clients=False,
    transports: tuple[MemoryByteStream, MemoryByteStream] | None = None,
) -> tuple[TLSByteStream, TLSByteStream]:
    """Put TLS on both ends of a pair in memory, without a handshake."""
    near, far = transports or memory_stream_pair()
    client_context = client_tls_context(client_config or authority.client_config(), client_alpn)
    server_config = authority.server_config("localhost", "127.0.0.1", verify_clients=verify_clients)
    server_context = server_tls_context(server_config, server_alpn)
    return (
        TLSByteStream(near, client_context, server_side=False, server_name=server_name),
        TLSByteStream(far, server_context, server_side=True),
    )


async def shake_hands(client: TLSByteStream, server: TLSByteStream) -> tuple[Outcome, Outcome]:
    outcomes = Outcome(), Outcome()
    with trio.fail_after(DEADLINE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcomes[0].run, client.handshake)
            nursery.start_soon(outcomes[1].run, server.handshake)
    return outcomes


# What is known


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


# Handshakes


@pytest.mark.parametrize("call", ["receive_some", "send_all", "send_eof", "flush", "wait_writable"])
async def test_nothing_goes_before_the_handshake(call, authority, virtual_time):
    client, _ = new_pair(authority)
    with pytest.raises(RuntimeError, match="the TLS handshake has not been made"):
        await getattr(client, call)(*([b"x"] if call == "send_all" else []))


async def test_a_handshake_in_single_octets(authority, virtual_time):
    client, server = new_pair(authority, transports=memory_stream_pair(receive_limit_octets=1))
    outcomes = await shake_hands(client, server)
    assert [outcome.exception for outcome in outcomes] == [None, None]


async def test_a_handshake_through_a_tiny_buffer(authority, virtual_time):
    client, server = new_pair(authority, transports=memory_stream_pair(buffer_octets=10))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.handshake)
        await client.handshake()
        # The session tickets fill the buffer, and the server's handshake ends when they have left.
        nursery.start_soon(client.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        await server.send_all(b"x")


async def test_a_cancelled_handshake_goes_on_when_called_again(authority, virtual_time):
    client, server = new_pair(authority, transports=memory_stream_pair(receive_limit_octets=50))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.handshake)
        cancelled = 0
        for delay in range(1000):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as inner:
                    inner.start_soon(client.handshake)
                    for _ in range(delay % 7):
                        await trio.lowlevel.checkpoint()
                    inner.cancel_scope.cancel()
            cancelled += scope.cancelled_caught
            if client.extra_attributes.tls_version:
                break
    assert client.extra_attributes.tls_version == "TLSv1.3"
    assert delay > 3


async def test_a_handshake_is_made_by_one_task(authority, virtual_time):
    client, _ = new_pair(authority)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.handshake)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await client.handshake()
        nursery.cancel_scope.cancel()


async def test_an_unknown_authority(authority, virtual_time, tmp_path):
    client, server = new_pair(authority, client_config=Authority(tmp_path).client_config())
    at_client, at_server = await shake_hands(client, server)
    assert isinstance(at_client.exception, TLSHandshakeError)
    assert str(at_client.exception).startswith("TLS handshake failed: certificate verify failed: ")
    assert isinstance(at_client.exception.__cause__, ssl.SSLCertVerificationError)
    assert isinstance(at_server.exception, TLSHandshakeError)
    assert str(at_server.exception) == "TLS handshake failed: the peer refused: unknown ca"


async def test_a_certificate_for_another_name(authority, virtual_time):
    client, server = new_pair(authority, server_name="example.org")
    at_client, _ = await shake_hands(client, server)
    assert str(at_client.exception) == (
        "TLS handshake failed: certificate verify failed: Hostname mismatch, certificate is not valid for 'example.org'"
    )


async def test_an_insecure_client_verifies_nothing(authority, virtual_time):
    client, server = new_pair(authority, client_config=ClientTLSConfig(insecure=True), server_name="example.org")
    at_client, _ = await shake_hands(client, server)
    assert at_client.exception is None
    assert server.extra_attributes.server_name == "example.org"


async def test_versions_without_one_in_common(authority, virtual_time):
    client, server = new_pair(authority)
    client_context, server_context = client._engine._object.context, server._engine._object.context
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    server_context.minimum_version = ssl.TLSVersion.TLSv1_3
    near, far = memory_stream_pair()
    at_client, at_server = await shake_hands(
        TLSByteStream(near, client_context, server_side=False, server_name="localhost"),
        TLSByteStream(far, server_context, server_side=True),
    )
    assert str(at_client.exception) == "TLS handshake failed: the peer refused: protocol version"
    assert str(at_server.exception) == "TLS handshake failed: the peer speaks no TLS version that is allowed here"


async def test_a_client_that_sends_no_certificate_where_one_is_due(authority, virtual_time):
    client, server = new_pair(authority, verify_clients=True)
    at_client, at_server = await shake_hands(client, server)
    assert at_client.exception is None  # TLS 1.3: the client is done before the server looks
    assert str(at_server.exception) == "TLS handshake failed: the peer sent no certificate"
    with pytest.raises(trio.BrokenResourceError, match="the peer refused: certificate required"):
        await client.receive_some()


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "the peer speaks plain HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", "the peer does not speak TLS"),
        (b"", "the peer cut the connection off"),
    ],
)
async def test_a_peer_that_does_not_speak_tls(greeting, reason, authority, virtual_time):
    near, far = memory_stream_pair()
    server = TLSByteStream(far, server_tls_context(authority.server_config(), []), server_side=True)
    await near.send_all(greeting)
    await near.send_eof()
    with pytest.raises(TLSHandshakeError) as info:
        await server.handshake()
    assert str(info.value) == f"TLS handshake failed: {reason}"


async def test_after_a_failed_handshake_nothing_goes(authority, virtual_time):
    near, far = memory_stream_pair()
    server = TLSByteStream(far, server_tls_context(authority.server_config(), []), server_side=True)
    await near.aclose()
    with pytest.raises(TLSHandshakeError):
        await server.handshake()
    with pytest.raises(trio.BrokenResourceError, match="the TLS handshake failed"):
        await server.handshake()
    with pytest.raises(trio.BrokenResourceError, match="the TLS handshake failed"):
        await server.receive_some()
    with pytest.raises(trio.BrokenResourceError, match="the TLS handshake failed"):
        server.send_nowait([b"x"])
    await server.aclose()


async def test_a_reset_in_the_handshake(authority, virtual_time):
    client, _ = new_pair(authority)
    async with trio.open_nursery() as nursery:
        outcome = Outcome()
        nursery.start_soon(outcome.run, client.handshake)
        await trio.testing.wait_all_tasks_blocked()
        client._transport._peer.abort()
    assert isinstance(outcome.exception, trio.BrokenResourceError)


# Receiving


@pytest.mark.parametrize("version", VERSIONS)
async def test_several_records_come_in_one_piece(version, authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1 << 20), authority, version=version)
    await client.send_all(bytes(64 * 1024))
    assert len(await server.receive_some()) == 64 * 1024
    await client.send_all(bytes(64 * 1024))
    assert len(await server.receive_some(40_000)) == 40_000
    assert len(await server.receive_some(40_000)) == 64 * 1024 - 40_000


async def test_what_is_decrypted_is_received_without_the_transport(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority)
    await client.send_all(b"abcdef")
    assert await server.receive_some(1) == b"a"
    client._transport.abort()
    assert await server.receive_some(1) == b"b"
    assert await server.receive_some() == b"cdef"
    with pytest.raises(trio.BrokenResourceError):
        await server.receive_some()


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_end_without_close_notify_is_an_error(version, authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority, version=version)
    await client.send_all(b"all of it?")
    await client._transport.send_eof()
    assert await server.receive_some() == b"all of it?"
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError, match="the peer cut the connection off") as info:
            await server.receive_some()
        assert isinstance(info.value.__cause__, ssl.SSLError)


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_end_within_a_record_is_an_error(version, authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority, version=version)
    client._engine.encrypt(b"half of a record")
    record = client._engine.take_output()
    await client._transport.send_all(record[:-3])
    await client._transport.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await server.receive_some()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_record_that_was_tampered_with(version, authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority, version=version)
    client._engine.encrypt(b"genuine")
    await client._transport.send_all(client._engine.take_output())
    client._engine.encrypt(b"forged")
    record = bytearray(client._engine.take_output())
    record[-1] ^= 1
    await client._transport.send_all(record)
    assert await server.receive_some() == b"genuine"
    with pytest.raises(trio.BrokenResourceError, match="bad record mac"):
        await server.receive_some()
    with pytest.raises(trio.BrokenResourceError, match="the peer refused: bad record mac"):
        await client.receive_some()


@pytest.mark.parametrize("version", VERSIONS)
async def test_records_of_a_transport_that_brings_single_octets(version, authority, virtual_time):
    transports = memory_stream_pair(receive_limit_octets=1)
    client, server = await make_tls_pair(*transports, authority, version=version)
    await client.send_all(b"abc")
    assert await server.receive_some() == b"abc"


# Sending


def test_slices_join_what_is_small_and_cut_what_is_large():
    buffers = [b"head", b"", b"x" * 100, bytes(200_000), b"tail", memoryview(b"end")]
    pieces = [bytes(piece) for piece in slices(buffers)]
    assert b"".join(pieces) == b"".join(buffers)
    assert [len(piece) for piece in pieces] == [104, 65536, 65536, 65536, 3392, 7]


def test_slices_of_nothing():
    assert list(slices([b"", b""])) == []


async def test_a_head_and_a_small_body_are_one_record(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority)
    assert client.send_nowait([b"head", b"body"]) == 8
    assert count_records(await server._transport.receive_some()) == 1


async def test_one_call_encrypts_a_bounded_amount(authority, virtual_time):
    client, _ = await make_tls_pair(*memory_stream_pair(buffer_octets=16 << 20), authority)
    assert client.send_nowait([bytes(8 << 20)]) == 256 * 1024


async def test_nothing_is_encrypted_while_ciphertext_waits(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1000), authority)
    assert client.send_nowait([bytes(1 << 20)]) == 64 * 1024
    waiting = client.unsent_octets
    assert client.send_nowait([bytes(1 << 20)]) == 0
    assert client.unsent_octets == waiting
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.wait_writable)
        assert len(await receive_exactly(server, 64 * 1024)) == 64 * 1024
    assert client.unsent_octets == 0


async def test_receiving_goes_on_while_a_send_waits(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1000), authority)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, bytes(1 << 20))
        await trio.testing.wait_all_tasks_blocked()
        await server.send_all(b"hello")
        assert await client.receive_some() == b"hello"
        nursery.cancel_scope.cancel()


async def test_a_send_that_is_cancelled_many_times_over(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=700), authority)
    received = bytearray()

    async def receive() -> None:
        while data := await server.receive_some(333):
            received.extend(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for number in range(100):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as inner:
                    inner.start_soon(client.send_all, bytes([number]) * 3000)
                    for _ in range(number % 13):
                        await trio.lowlevel.checkpoint()
                    scope.cancel()
        await client.send_eof()
    # Each send arrived in whole, in its beginning, or not at all, and all in order.
    assert list(received) == sorted(received)
    assert received


# Ends


@pytest.mark.parametrize("kind", TLS_KINDS)
async def test_a_half_close_keeps_what_was_decrypted_ahead(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await far.send_all(b"abcdef")
        assert await near.receive_some(2) == b"ab"
        await near.send_eof()
        assert await far.receive_some() == b""
        await far.send_all(b"ghi")
        await far.send_eof()
        assert await near.receive_some(3) == b"cde"
        assert await receive_all(near) == b"fghi"


@pytest.mark.parametrize("kind", TLS_KINDS)
async def test_a_half_close_behind_the_peers(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await far.send_all(b"abc")
        await far.send_eof()
        await near.send_all(b"def")
        await near.send_eof()
        assert await receive_all(near) == b"abc"
        assert await receive_all(far) == b"def"


@pytest.mark.parametrize("kind", TLS_KINDS)
async def test_the_end_of_the_transport_follows_close_notify(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await near.send_eof()
        assert await far.receive_some() == b""
        assert await far._transport.receive_some() == b""


async def test_a_cancelled_end_is_finished_when_called_again(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1000), authority)
    await fill(client)
    with trio.move_on_after(1) as scope:
        await client.send_eof()
    assert scope.cancelled_caught
    with pytest.raises(trio.ClosedResourceError):
        client.send_nowait([b"x"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_eof)
        assert len(await receive_all(server)) == 64 * 1024


async def test_an_output_that_was_cut_has_no_clean_end(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1000), authority)
    await fill(client)
    await client.aclose()
    with pytest.raises(trio.BrokenResourceError, match="the peer cut the connection off"):
        await receive_all(server)


async def test_closing_while_another_task_sends_is_no_clean_end(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1000), authority)
    async with trio.open_nursery() as nursery:
        outcome = Outcome()
        nursery.start_soon(outcome.run, client.send_all, bytes(100_000))
        await trio.testing.wait_all_tasks_blocked()
        await client.aclose()
    assert isinstance(outcome.exception, trio.ClosedResourceError)
    with pytest.raises(trio.BrokenResourceError):
        await receive_all(server)


async def test_closing_with_data_decrypted_and_unread_still_ends_cleanly(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority)
    await server.send_all(b"abc")
    assert await client.receive_some(1) == b"a"
    await client.aclose()
    assert await server.receive_some() == b""


async def test_closing_a_stream_whose_transport_broke(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority)
    server.abort()
    await client.aclose()


# What only a peer of its own making sends


class HandmadePeer:
    """A client that can send any record."""

    def __init__(self, authority: Authority, keylog: Path) -> None:
        config = ClientTLSConfig(cafile=authority.cafile, keylog_filename=str(keylog))
        self._keylog = keylog
        self.client, self.server = new_pair(authority, client_config=config)

    async def shake_hands(self, version: str) -> None:
        """Make the handshake by hand, too, to see what the server sends."""
        if version == "tls12":
            context = self.client._engine._object.context
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            self.client = TLSByteStream(self.client._transport, context, server_side=False, server_name="localhost")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.server.handshake)
            assert not self.client._step_handshake()
            await self.client._send_pending()
            flight = await self.client._transport.receive_some()
            self.client._engine.feed(flight)
            await self.client.handshake()
        await self.server.send_all(b"!")
        assert await self.client.receive_some() == b"!"
        keylog = self._keylog.read_text()
        self.writer: TLS12RecordWriter | TLS13RecordWriter
        if version == "tls12":
            self.writer = TLS12RecordWriter(keylog, read_server_random(flight))
        else:
            self.writer = TLS13RecordWriter(keylog)

    async def send(self, content: bytes, content_type: int) -> None:
        await self.client._transport.send_all(self.writer.write(content, content_type))


@pytest.fixture
def peer(authority, tmp_path: Path, virtual_time) -> HandmadePeer:
    return HandmadePeer(authority, tmp_path / "keys")


@pytest.mark.parametrize("version", VERSIONS)
async def test_handmade_records_are_understood(version, peer):
    await peer.shake_hands(version)
    await peer.send(b"by hand", APPLICATION_DATA)
    assert await peer.server.receive_some() == b"by hand"


async def test_a_key_update_is_answered_with_the_next_send(peer):
    await peer.shake_hands("tls13")
    await peer.send(KEY_UPDATE_REQUESTED, HANDSHAKE)
    peer.writer.update_keys()
    await peer.send(b"new key", APPLICATION_DATA)
    assert await peer.server.receive_some() == b"new key"
    await peer.server.send_all(b"answer")
    ciphertext = await peer.client._transport.receive_some()
    assert count_records(ciphertext) == 2
    peer.client._engine.feed(ciphertext)
    assert await peer.client.receive_some() == b"answer"


async def test_renegotiation_is_refused_without_a_send(peer):
    await peer.shake_hands("tls12")
    await peer.send(RENEGOTIATION, HANDSHAKE)
    await peer.send(b"go on", APPLICATION_DATA)
    assert await peer.server.receive_some() == b"go on"
    assert count_records(await peer.client._transport.receive_some()) == 1


async def test_what_a_peer_makes_tls_answer_is_bounded(peer):
    """A flood of what has to be refused, from a peer that does not take the answers."""
    await peer.shake_hands("tls12")

    async def flood() -> None:
        for _ in range(20_000):
            await peer.send(RENEGOTIATION, HANDSHAKE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Outcome().run, flood)
        with pytest.raises(trio.BrokenResourceError, match="does not take the answers"):
            await peer.server.receive_some()
        assert peer.server.unsent_octets < 256 * 1024
        nursery.cancel_scope.cancel()


async def test_sending_waits_for_the_rest_of_a_message_of_tls(peer):
    """OpenSSL writes nothing between two fragments of a handshake message; that must neither fail nor spin."""
    await peer.shake_hands("tls13")
    await peer.send(KEY_UPDATE_REQUESTED[:4], HANDSHAKE)
    async with trio.open_nursery() as nursery:
        received, sent = Outcome(), Outcome()
        nursery.start_soon(received.run, peer.server.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        assert peer.server.send_nowait([b"answer"]) == 0
        nursery.start_soon(sent.run, peer.server.send_all, b"answer")
        await trio.testing.wait_all_tasks_blocked()
        assert not sent.ended.is_set()
        await peer.send(KEY_UPDATE_REQUESTED[4:], HANDSHAKE)
        await sent.ended.wait()
        assert sent.exception is None
        peer.writer.update_keys()
        await peer.send(b"go on", APPLICATION_DATA)
    assert received.exception is None
    assert await peer.client.receive_some() == b"answer"


async def test_closing_wakes_who_waits_for_the_rest_of_a_message(peer):
    await peer.shake_hands("tls13")
    await peer.send(KEY_UPDATE_REQUESTED[:4], HANDSHAKE)
    async with trio.open_nursery() as nursery:
        received, sent = Outcome(), Outcome()
        nursery.start_soon(received.run, peer.server.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(sent.run, peer.server.send_all, b"answer")
        await trio.testing.wait_all_tasks_blocked()
        await peer.server.aclose()
    assert isinstance(received.exception, trio.ClosedResourceError)
    assert isinstance(sent.exception, trio.ClosedResourceError)


class Passes(trio.abc.Instrument):
    """Counts scheduler passes."""

    def __init__(self) -> None:
        self.count = 0

    def after_io_wait(self, timeout: float) -> None:
        self.count += 1


async def test_of_many_handshakes_one_makes_a_step_in_a_pass(authority: Authority, monkeypatch) -> None:
    passes, steps = Passes(), []
    turns = trio.Lock()
    server_context = server_tls_context(authority.server_config("localhost"), ("http/1.1",))
    client_context = client_tls_context(authority.client_config(), ("http/1.1",))
    step = TLSByteStream._step_handshake

    def noting_step(stream: TLSByteStream) -> bool:
        if stream in servers and stream._engine._incoming.pending:
            steps.append(passes.count)
        return step(stream)

    servers: list[TLSByteStream] = []
    clients: list[TLSByteStream] = []
    for _ in range(10):
        near, far = memory_stream_pair()
        clients.append(TLSByteStream(near, client_context, server_side=False, server_name="localhost"))
        servers.append(TLSByteStream(far, server_context, server_side=True, handshake_turns=turns))
    monkeypatch.setattr(TLSByteStream, "_step_handshake", noting_step)
    trio.lowlevel.add_instrument(passes)
    try:
        with trio.fail_after(DEADLINE_SECONDS):
            async with trio.open_nursery() as nursery:
                for stream in [*clients, *servers]:
                    nursery.start_soon(stream.handshake)
    finally:
        trio.lowlevel.remove_instrument(passes)
    assert len(steps) >= 20  # a hello and a finish each
    assert len(set(steps)) == len(steps)
    for stream in [*clients, *servers]:
        stream.abort()


async def test_a_handshake_cancelled_in_its_turn_lets_the_others_have_theirs(authority: Authority) -> None:
    turns = trio.Lock()
    server_context = server_tls_context(authority.server_config("localhost"), ("http/1.1",))
    client_context = client_tls_context(authority.client_config(), ("http/1.1",))
    pairs = []
    for _ in range(3):
        near, far = memory_stream_pair()
        client = TLSByteStream(near, client_context, server_side=False, server_name="localhost")
        pairs.append((client, TLSByteStream(far, server_context, server_side=True, handshake_turns=turns)))
    with trio.fail_after(DEADLINE_SECONDS):
        for n_passes in range(8):
            async with trio.open_nursery() as nursery:
                for client, server in pairs:
                    nursery.start_soon(client.handshake)
                    nursery.start_soon(server.handshake)
                for _ in range(n_passes):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
        assert not turns.locked()
        async with trio.open_nursery() as nursery:
            for client, server in pairs:
                nursery.start_soon(client.handshake)
                nursery.start_soon(server.handshake)
    for pair in pairs:
        for stream in pair:
            assert stream.extra_attributes.tls_version is not None
            stream.abort()
