"""TLS handshakes: cut, cancelled, failed, and one step at a time where there are many."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from hface_trio.errors import TLSHandshakeError
from hface_trio.models import ClientTLSConfig
from hface_trio.networking import ByteStream, TLSByteStream
from hface_trio.networking._tls_context import client_tls_context, server_tls_context
from hface_trio.testing import Authority, memory_stream_pair

from ._pairs import DEADLINE_SECONDS, Outcome
from ._tls_pairs import new_pair, shake_hands

# Without a deadline, a test in virtual time in which everybody waits would wait for ever.
pytestmark = pytest.mark.timeout(20, method="signal")


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


# Turns


class Passes(trio.abc.Instrument):
    """Counts scheduler passes."""

    def __init__(self) -> None:
        self.count = 0

    def after_io_wait(self, timeout: float) -> None:
        self.count += 1


async def test_of_many_handshakes_one_makes_a_step_in_a_pass(authority: Authority, monkeypatch) -> None:
    passes, steps = Passes(), []
    turns = trio.Semaphore(1)
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
    assert max(steps) - min(steps) <= len(steps) + 5  # and none was left out
    for stream in [*clients, *servers]:
        stream.abort()


async def test_a_handshake_cancelled_in_its_turn_lets_the_others_have_theirs(authority: Authority) -> None:
    turns = trio.Semaphore(1)
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
        assert turns.value == 1
        async with trio.open_nursery() as nursery:
            for client, server in pairs:
                nursery.start_soon(client.handshake)
                nursery.start_soon(server.handshake)
    for pair in pairs:
        for stream in pair:
            assert stream.extra_attributes.tls_version is not None
            stream.abort()


async def test_a_stream_closed_while_it_waits_for_its_turn_makes_no_step(authority: Authority, virtual_time) -> None:
    turns = trio.Semaphore(1)
    near, far = memory_stream_pair()
    server_context = server_tls_context(authority.server_config("localhost"), ("http/1.1",))
    server = TLSByteStream(far, server_context, server_side=True, handshake_turns=turns)
    await near.send_all(b"GET / HTTP/1.1\r\n\r\n")
    await server.wait_handshake_peer()
    outcome = Outcome()
    async with trio.open_nursery() as nursery:
        async with turns:
            nursery.start_soon(outcome.run, server.handshake)
            await trio.testing.wait_all_tasks_blocked()
            server.abort()
    assert type(outcome.exception) is trio.ClosedResourceError
    assert turns.value == 1
    near.abort()


async def test_a_stream_that_knows_no_steps_makes_its_handshake_in_one() -> None:
    made = []

    class Stream:
        async def handshake(self) -> None:
            made.append(True)

    assert await ByteStream.step_handshake(Stream()) is True
    assert made == [True]
