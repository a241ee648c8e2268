"""What only a peer of its own making sends over TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio
import trio.testing

from hface_trio.models import ClientTLSConfig
from hface_trio.networking import TLSByteStream
from hface_trio.testing import Authority

from ._pairs import Outcome
from ._tls_pairs import VERSIONS, new_pair
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
            await self.client._output.flush()
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
