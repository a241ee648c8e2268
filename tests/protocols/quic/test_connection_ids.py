"""Connection ids, and what is known by them: resets, moved clients, a Retry."""

from __future__ import annotations

import pytest

from hface_trio.errors import ConfigurationError
from hface_trio.events import ConnectionTerminated
from hface_trio.protocols.quic import ConnectionIdSource, IssuedConnectionId, RandomConnectionIdSource

from ..taken import events_of
from .network import (
    BOTH_WAYS,
    CLIENT_ADDRESS,
    SERVER_ADDRESS,
    Network,
    client_connection,
    connected,
    data_of,
    server_connection,
    shake_hands,
)

# Connection ids.


class Counted(ConnectionIdSource):
    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.count = 0

    @property
    def length(self) -> int:
        return 5

    def issue(self) -> IssuedConnectionId:
        self.count += 1
        return IssuedConnectionId(bytes([self.worker]) + self.count.to_bytes(4, "big"), self.count.to_bytes(16, "big"))


def test_connection_ids_come_from_the_source():
    server = server_connection(connection_id_source=Counted(9))
    net = shake_hands(client_connection(), server)
    initial = server._machine.initial_destination_id
    assert [i for i in server.connection_ids if i != initial] == [b"\x09" + n.to_bytes(4, "big") for n in range(1, 9)]
    assert len(initial) == 8
    issued, retired = server.take_connection_id_changes()
    assert issued == [b"\x09" + n.to_bytes(4, "big") for n in range(2, 9)]
    assert retired == []
    assert server.take_connection_id_changes() == ([], [])
    assert net.client._machine._peer_cid.cid == b"\x09\0\0\0\x01"


def test_retired_ids_are_told_and_replaced():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    net.server.take_connection_id_changes()
    before = set(net.server.connection_ids)
    net.client._machine.change_connection_id()
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x")
    net.run()
    issued, retired = net.server.take_connection_id_changes()
    assert len(issued) == len(retired) == 1
    assert set(net.server.connection_ids) == (before - set(retired)) | set(issued)


@pytest.mark.parametrize("length", [3, 21])
def test_ids_of_other_lengths_are_refused(length):
    with pytest.raises(ConfigurationError):
        RandomConnectionIdSource(length)


def test_a_stateless_reset_ends_the_connection_in_silence():
    source = Counted(1)
    server = server_connection(connection_id_source=source)
    net = shake_hands(client_connection(), server)
    events_of(net.client)
    token = (1).to_bytes(16, "big")
    net.client.datagram_received((b"\x41" + bytes(30) + token, SERVER_ADDRESS))
    assert events_of(net.client) == [ConnectionTerminated(0, "the peer forgot the connection")]
    assert net.client.is_closed
    assert net.client.datagrams_to_send() == []


def test_a_token_of_an_id_that_is_not_in_use_is_no_reset():
    server = server_connection(connection_id_source=Counted(1))
    net = shake_hands(client_connection(), server)
    events_of(net.client)
    net.client.datagram_received((b"\x41" + bytes(30) + (5).to_bytes(16, "big"), SERVER_ADDRESS))
    assert events_of(net.client) == []


def test_a_client_may_come_from_another_address():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"moved")
    elsewhere = ("192.0.2.99", 1234)
    for data, _ in net.client.datagrams_to_send():
        net.server.datagram_received((data, elsewhere))
    assert data_of(net.server, stream_id) == b"moved"
    assert net.server.remote_address == elsewhere
    assert {address for _, address in net.server.datagrams_to_send()} == {elsewhere}
    assert elsewhere != CLIENT_ADDRESS


# Retry.


def test_the_ids_of_a_retry_are_taken():
    from aioquic.buffer import Buffer
    from aioquic.quic.packet import encode_quic_retry, pull_quic_header

    client = client_connection()
    client.clock(0.0)
    client.connect(SERVER_ADDRESS)
    ((first, _),) = client.datagrams_to_send()
    header = pull_quic_header(Buffer(data=first), host_cid_length=8)
    retry = encode_quic_retry(
        version=header.version,
        source_cid=b"retried!",
        destination_cid=header.source_cid,
        original_destination_cid=header.destination_cid,
        retry_token=b"token",
    )
    client.datagram_received((retry, SERVER_ADDRESS))
    server = server_connection(
        original_destination_connection_id=header.destination_cid, retry_source_connection_id=b"retried!"
    )
    network = Network(client, server)
    network.run(1, until=lambda: client.handshake is not None)
    assert b"retried!" in server.connection_ids
