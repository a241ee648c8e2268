"""QUIC connections, two of this package against each other in virtual time."""

from __future__ import annotations

import json

import pytest

from hface_trio.errors import ConfigurationError, LocalProtocolError, SendCapacityError
from hface_trio.events import (
    ConnectionTerminated,
    DataReceived,
    PingAcknowledged,
    SendCapacityIncreased,
    StopSendingReceived,
    StreamResetReceived,
)
from hface_trio.models import ClientTLSConfig, ServerTLSConfig
from hface_trio.protocols.quic import (
    ConnectionIdSource,
    HandshakeCompleted,
    IssuedConnectionId,
    QUICErrorCode,
    QUICSettings,
    RandomConnectionIdSource,
    StreamsAllowed,
    TransportDatagramReceived,
    is_client_initiated,
    is_unidirectional,
)
from hface_trio.protocols.quic._tickets import SessionTicketStore

from .network import (
    CLIENT_ADDRESS,
    SERVER_ADDRESS,
    Network,
    authority,
    client_connection,
    client_tls,
    connected,
    events_of,
    server_connection,
    server_tls,
)

BOTH_WAYS = QUICSettings(bidirectional_streams=4, unidirectional_streams=4)


def data_of(endpoint, stream_id: int) -> bytes:
    return b"".join(e.data for e in events_of(endpoint) if isinstance(e, DataReceived) and e.stream_id == stream_id)


def shake_hands(client, server, **arguments) -> Network:
    network = Network(client, server, **arguments)
    client.connect(SERVER_ADDRESS)
    network.run(5.0, until=lambda: client.handshake is not None and server.handshake is not None)
    network.run(0.1)
    return network


# Streams of four kinds.


def test_ids_tell_the_kind():
    assert [is_client_initiated(i) for i in range(4)] == [True, False, True, False]
    assert [is_unidirectional(i) for i in range(4)] == [False, False, True, True]


@pytest.mark.parametrize("unidirectional", [False, True])
@pytest.mark.parametrize("opener", ["client", "server"])
def test_either_side_opens_streams_of_either_kind(opener, unidirectional):
    net = connected(BOTH_WAYS, BOTH_WAYS)
    near, far = (net.client, net.server) if opener == "client" else (net.server, net.client)
    stream_id = near.next_stream_id(unidirectional=unidirectional)
    assert stream_id == (opener == "server") + 2 * unidirectional
    near.submit_data(stream_id, b"hello", end_stream=True)
    net.run()
    assert events_of(far) == [DataReceived(stream_id, b"hello", True)]
    if unidirectional:
        with pytest.raises(LocalProtocolError):
            far.submit_data(stream_id, b"x")
    else:
        far.submit_data(stream_id, b"back", end_stream=True)
        net.run()
        assert data_of(near, stream_id) == b"back"
    net.run(1)
    assert net.client.open_streams == net.server.open_streams == 0


def test_the_limit_on_streams_is_kept_and_moves_as_they_end():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    ids = []
    for _ in range(4):
        stream_id = net.client.next_stream_id()
        net.client.submit_data(stream_id, b"x", end_stream=True)
        ids.append(stream_id)
    assert net.client.streams_left() == 0
    with pytest.raises(LocalProtocolError):
        net.client.next_stream_id()
    net.run()
    for stream_id in ids:
        net.server.submit_data(stream_id, b"", end_stream=True)
    net.run(1)
    assert StreamsAllowed() in events_of(net.client)
    assert net.client.streams_left() == 4


def test_streams_of_the_peer_cannot_be_opened_here():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    for stream_id in (1, 3, 8):
        with pytest.raises(LocalProtocolError):
            net.client.submit_data(stream_id, b"x")


def test_a_reset_and_a_stop():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x" * 100)
    net.run()
    events_of(net.server)
    net.client.submit_stream_reset(stream_id, 7)
    net.client.submit_stop_sending(stream_id, 8)
    net.run()
    events = events_of(net.server)
    assert StreamResetReceived(stream_id, 7) in events
    assert StopSendingReceived(stream_id, 8) in events
    assert len(events) == 2
    net.run(1)
    assert net.client.open_streams == net.server.open_streams == 0


def test_stopped_streams_deliver_nothing_and_cost_nothing():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x")
    net.run()
    events_of(net.server)
    net.server.submit_stop_sending(stream_id, 9)
    net.client.submit_data(stream_id, b"y" * 5000)
    net.run()
    assert events_of(net.server) == []
    assert events_of(net.client) == [StopSendingReceived(stream_id, 9)]
    ledger = net.server.ledger
    assert ledger.held == 1  # what came before and nobody has acknowledged
    assert ledger._consumed + ledger.held == net.server._machine._local_max_data.used


# Credit and capacity.


def test_nothing_arrives_beyond_the_window_until_it_is_consumed():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    sent = 0

    def pump() -> None:
        nonlocal sent
        while capacity := net.client.send_capacity(stream_id):
            net.client.submit_data(stream_id, b"x" * capacity)
            sent += capacity

    net.on_step = pump
    pump()
    net.run(2)
    received = len(data_of(net.server, stream_id))
    assert received == sent == 64 * 1024
    net.server.acknowledge(stream_id, received)
    net.run(2)
    assert len(data_of(net.server, stream_id)) == 64 * 1024  # no more: it was slow


def test_windows_grow_where_the_application_keeps_up():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x" * net.client.send_capacity(stream_id))
    net.run(0.2)
    net.server.acknowledge(stream_id, len(data_of(net.server, stream_id)))
    assert net.server.streams.live[stream_id].credit.window == 128 * 1024


def test_capacity_is_refused_and_announced():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    capacity = net.client.send_capacity(stream_id)
    with pytest.raises(SendCapacityError):
        net.client.submit_data(stream_id, b"x" * (capacity + 1))
    net.client.submit_data(stream_id, b"x" * capacity)
    assert net.client.send_capacity(stream_id) == 0
    net.run()
    net.server.acknowledge(stream_id, capacity)
    net.run()
    assert SendCapacityIncreased(stream_id) in events_of(net.client)


def test_the_connection_window_bounds_all_streams_together():
    settings = QUICSettings(bidirectional_streams=8, connection_window_octets=100_000)
    net = connected(BOTH_WAYS, settings)
    for _ in range(4):
        stream_id = net.client.next_stream_id()
        net.client.submit_data(stream_id, b"x" * min(50_000, net.client.send_capacity(stream_id)))
        net.run()
    events = events_of(net.server)
    received = {e.stream_id: 0 for e in events}
    for event in events:
        received[event.stream_id] += len(event.data)
    assert sum(received.values()) == 100_000
    for stream_id, octets in received.items():
        net.server.acknowledge(stream_id, octets)
    net.run()
    assert events_of(net.client)


# Datagrams, pings, keys.


def test_datagram_frames_with_size_check():
    settings = QUICSettings(datagram_frames=True)
    net = connected(settings, settings)
    longest = net.client.max_datagram_frame_octets
    net.client.submit_datagram_frame(b"d" * longest)
    with pytest.raises(LocalProtocolError):
        net.client.submit_datagram_frame(b"d" * (longest + 1))
    net.client.submit_datagram_frame(b"after")
    net.run()
    assert events_of(net.server) == [TransportDatagramReceived(b"d" * longest), TransportDatagramReceived(b"after")]


def test_no_datagram_frames_to_a_peer_that_takes_none():
    net = connected(QUICSettings(datagram_frames=True), QUICSettings())
    assert net.client.max_datagram_frame_octets == -1
    with pytest.raises(LocalProtocolError):
        net.client.submit_datagram_frame(b"")


def test_pings_measure_the_round_trip():
    net = connected()
    number = net.client.submit_ping()
    net.run()
    (event,) = events_of(net.client)
    assert event == PingAcknowledged(number.to_bytes(8, "big"), event.round_trip_seconds)
    assert event.round_trip_seconds >= 0.02


def test_lost_pings_are_sent_again():
    net = connected()
    net.client.submit_ping()
    net.cut = True
    net.run(0.01)
    net.cut = False
    net.run(1)
    assert [type(e) for e in events_of(net.client)] == [PingAcknowledged]


def test_keys_can_be_updated_by_either_side():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    for endpoint in (net.client, net.server):
        endpoint.submit_key_update()
        net.client.submit_data(stream_id, b"x")
        net.run()
        assert data_of(net.server, stream_id) == b"x"


@pytest.mark.parametrize("versions", [(1,), (0x6B3343CF,)])
def test_both_versions_are_spoken(versions):
    settings = QUICSettings(versions=versions)
    net = connected(settings, QUICSettings())
    assert net.client.version == net.server.version == versions[0]


@pytest.mark.parametrize("algorithm", ["cubic", "reno"])
def test_both_congestion_controls_carry_data(algorithm):
    settings = QUICSettings(congestion_control=algorithm)
    net = connected(settings, settings, loss=0.02)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x" * 50_000, end_stream=True)
    net.run(20)
    assert len(data_of(net.server, stream_id)) == 50_000


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


# The end.


def test_an_application_close_carries_code_and_message():
    net = connected()
    net.client.submit_close(77, "enough")
    assert events_of(net.client) == [ConnectionTerminated(77, "enough")]
    assert not net.client.is_closed
    net.run()
    assert events_of(net.server) == [ConnectionTerminated(77, "enough")]
    assert net.server.close_reason == (77, "enough", True, False)
    net.run(5)
    assert net.client.is_closed
    assert net.server.is_closed
    assert net.client.get_timer() is None


def test_a_transport_close():
    net = connected()
    net.server.submit_close(QUICErrorCode.INTERNAL_ERROR, application=False)
    net.run()
    assert net.client.close_reason == (QUICErrorCode.INTERNAL_ERROR, "", False, False)


def test_a_long_message_is_cut():
    net = connected()
    net.client.submit_close(1, "ü" * 2000)
    net.run()
    assert net.server.close_reason.message == "ü" * 128


def test_the_last_word_is_repeated_less_and_less_often():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    net.client.submit_close(1)
    assert len(net.client.datagrams_to_send()) == 1
    said = 0
    for _ in range(64):
        net.client.datagram_received((b"\x41" + bytes(60), SERVER_ADDRESS))
        said += len(net.client.datagrams_to_send())
    assert 4 <= said <= 8
    net.run(5)
    net.client.datagram_received((b"\x41" + bytes(60), SERVER_ADDRESS))
    assert net.client.datagrams_to_send() == []


def test_after_the_end_everything_is_refused_or_ignored():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x")
    net.client.submit_close(1)
    net.client.submit_close(2)
    assert net.client.streams_left() == 0
    assert net.client.send_capacity(stream_id) == 0
    with pytest.raises(LocalProtocolError):
        net.client.submit_data(stream_id, b"x")
    net.client.submit_stream_reset(stream_id, 1)
    net.client.submit_stop_sending(stream_id, 1)
    net.client.acknowledge(stream_id, 1)
    net.client.release(stream_id)
    net.client.submit_key_update()
    net.run(5)
    assert net.client.close_reason.code == 1


def test_early_calls_do_nothing():
    server = server_connection()
    server.clock(1.0)
    assert server.get_timer() is None
    assert server.datagrams_to_send() == []
    assert server.peer_certificate is None
    assert server.round_trip_seconds is None
    server.clock(2.0)
    server.submit_close(1)
    assert server.datagrams_to_send() == []
    assert server.is_closed
    client = client_connection()
    client.clock(1.0)
    assert client.get_timer() is None
    assert client.datagrams_to_send() == []


def test_silence_ends_the_connection():
    settings = QUICSettings(idle_timeout_seconds=5)
    net = connected(settings, QUICSettings(bidirectional_streams=0))
    net.run(4)
    assert events_of(net.client) == []
    net.run(2)
    assert events_of(net.client) == [ConnectionTerminated(0, "the peer was silent for too long")]
    assert net.client.is_closed
    net.client.clock(net.now + 100)
    assert net.client.get_timer() is None


def test_keep_alive_pings_keep_it():
    settings = QUICSettings(idle_timeout_seconds=5, keep_alive_interval_seconds=2)
    net = connected(settings)
    net.run(30)
    assert events_of(net.client) == []
    assert net.client.close_reason is None


def test_what_the_dependency_stumbles_over_ends_this_connection_alone(monkeypatch):
    net = connected(BOTH_WAYS, BOTH_WAYS)

    def stumble(*_arguments):
        raise IndexError("pop from empty list")

    monkeypatch.setattr(net.server._machine, "receive_datagram", stumble)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x")
    net.run()
    assert net.server.close_reason.code == QUICErrorCode.INTERNAL_ERROR
    assert "IndexError" in net.client.close_reason.message


# TLS.


def test_the_handshake_says_what_it_brought():
    client, server = client_connection(), server_connection()
    shake_hands(client, server)
    assert HandshakeCompleted("h3", False, False) in events_of(client)
    assert client.peer_certificate is not None
    assert client.peer_certificate[:1] == b"\x30"
    assert server.peer_certificate is None


def test_a_certificate_of_an_unknown_authority_fails_the_handshake():
    client = client_connection(tls=ClientTLSConfig())
    server = server_connection()
    network = Network(client, server)
    client.connect(SERVER_ADDRESS)
    network.run(1)
    assert client.close_reason.code == QUICErrorCode.CRYPTO_ERROR + 42
    assert client.close_reason.local
    assert server.close_reason.code == QUICErrorCode.CRYPTO_ERROR + 42
    assert not server.close_reason.local


def test_verification_can_be_left_out():
    client = client_connection(tls=ClientTLSConfig(insecure=True))
    shake_hands(client, server_connection())


def test_authorities_may_come_as_pem_or_der():
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    with open(authority().cafile, "rb") as file:
        pem = file.read()
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    for cadata in (pem, der):
        shake_hands(client_connection(tls=ClientTLSConfig(cadata=cadata)), server_connection())


def test_sessions_are_resumed_once_for_each_ticket():
    server_tickets, client_tickets = SessionTicketStore(), SessionTicketStore()
    server_arguments = {"session_ticket_fetcher": server_tickets.take, "session_ticket_handler": server_tickets.put}
    shake_hands(client_connection(session_ticket_handler=client_tickets.put), server_connection(**server_arguments))
    ticket = client_tickets.take_for("localhost")
    assert ticket is not None
    assert ticket.max_early_data_size is None  # 0-RTT is off
    for resumed in (True, False):
        client = client_connection(ticket=ticket)
        shake_hands(client, server_connection(**server_arguments))
        assert client.handshake.session_resumed is resumed
        assert client.handshake.early_data_accepted is False


def test_early_data_where_both_want_it():
    settings = QUICSettings(early_data=True, bidirectional_streams=4)
    server_tickets, client_tickets = SessionTicketStore(), SessionTicketStore()
    server_arguments = {"session_ticket_fetcher": server_tickets.take, "session_ticket_handler": server_tickets.put}
    shake_hands(
        client_connection(settings, session_ticket_handler=client_tickets.put),
        server_connection(settings, **server_arguments),
    )
    client = client_connection(settings, ticket=client_tickets.take_for("localhost"))
    server = server_connection(settings, **server_arguments)
    network = Network(client, server)
    client.connect(SERVER_ADDRESS)
    assert client.can_send_early
    client.submit_data(client.next_stream_id(), b"early")
    network.step()
    assert server.handshake is None
    assert DataReceived(0, b"early", False) in events_of(server)
    network.run(1)
    assert client.handshake.early_data_accepted


def test_the_ticket_store_is_bounded_and_forgets():
    class Ticket:
        server_name = "a"
        is_valid = False

        def __init__(self, label: bytes) -> None:
            self.ticket = label

    store = SessionTicketStore(capacity=2)
    for label in (b"1", b"2", b"3"):
        store.put(Ticket(label))
    assert len(store) == 2
    assert store.take(b"1") is None
    assert store.take_for("b") is None
    assert store.take_for("a") is None  # not valid any more, and gone
    assert len(store) == 1


def test_secrets_and_traces_are_written_where_asked(tmp_path):
    keys = tmp_path / "keys.log"
    tls = ClientTLSConfig(cafile=client_tls().cafile, keylog_filename=str(keys))
    settings = QUICSettings(qlog_directory=str(tmp_path), bidirectional_streams=4)
    client, server = client_connection(settings, tls=tls), server_connection()
    net = shake_hands(client, server)
    stream_id = client.next_stream_id()
    server_stream = b"x" * 60_000
    client.submit_data(stream_id, b"x")
    net.run()
    server.submit_data(stream_id, server_stream)
    net.run()
    client.acknowledge(stream_id, len(data_of(client, stream_id)))
    client.submit_close(0)
    net.run(5)
    assert "CLIENT_TRAFFIC_SECRET_0 " in keys.read_text()
    (trace,) = tmp_path.glob("*.qlog")
    assert json.loads(trace.read_text())["traces"]


@pytest.mark.parametrize(
    ("tls", "complaint"),
    [
        (ServerTLSConfig(), "certfile is not set"),
        (ServerTLSConfig(certfile="/nonexistent"), "cannot be read"),
        (ServerTLSConfig(certfile=__file__), "no PEM certificate"),
        (ServerTLSConfig(certfile="CERT", keyfile=__file__.replace(".py", ".none")), "cannot be read"),
        (ServerTLSConfig(certfile="CERT", keyfile="CERT"), "no PEM private key"),
        (ServerTLSConfig(certfile="CERT", keyfile="OTHER"), "is not that of"),
        (ServerTLSConfig(certfile="CERT", keyfile="KEY", client_cafile="CERT"), "client_cafile"),
        (ServerTLSConfig(certfile="CERT", keyfile="KEY", keylog_filename="/nonexistent/x"), "keylog_filename"),
    ],
)
def test_what_a_server_cannot_use_is_named(tls, complaint):
    import dataclasses

    good = server_tls()
    _, other = authority().issue("other.test")
    names = {"CERT": good.certfile, "KEY": good.keyfile, "OTHER": other}
    values = {f.name: getattr(tls, f.name) for f in dataclasses.fields(tls)}
    tls = ServerTLSConfig(**{name: names.get(value, value) for name, value in values.items()})
    with pytest.raises(ConfigurationError, match=complaint):
        server_connection(tls=tls)


@pytest.mark.parametrize(
    ("tls", "complaint"),
    [
        (ClientTLSConfig(cafile="/nonexistent"), "cannot be read"),
        (ClientTLSConfig(cafile=__file__), "no PEM certificate"),
        (ClientTLSConfig(capath="/nonexistent"), "is not a directory"),
        (ClientTLSConfig(cadata=b"nonsense"), "no usable certificate"),
        (ClientTLSConfig(cadata=b"-----BEGIN nonsense"), "no usable certificate"),
        (ClientTLSConfig(keyfile="x"), "no certfile"),
    ],
)
def test_what_a_client_cannot_use_is_named(tls, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        client_connection(tls=tls)


def test_encrypted_keys_need_their_password(tmp_path):
    from cryptography.hazmat.primitives import serialization

    good = server_tls()
    with open(good.keyfile, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), None)
    encrypted = tmp_path / "key.pem"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for password, complaint in ((None, "no password is set"), ("wrong", "password right")):
        with pytest.raises(ConfigurationError, match=complaint):
            server_connection(tls=ServerTLSConfig(good.certfile, str(encrypted), password))
    tls = ServerTLSConfig(good.certfile, str(encrypted), "secret")
    shake_hands(client_connection(), server_connection(tls=tls))


def test_a_client_certificate_is_loaded():
    assert client_connection(tls=authority().client_config("client.test"))._machine.configuration.certificate


@pytest.mark.parametrize(
    "arguments",
    [
        {"congestion_control": "vegas"},
        {"versions": ()},
        {"versions": (5,)},
        {"max_datagram_octets": 1199},
        {"idle_timeout_seconds": 0},
        {"stream_window_octets": 10},
        {"bidirectional_streams": -1},
        {"keep_alive_interval_seconds": float("nan")},
    ],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ConfigurationError):
        QUICSettings(**arguments)


def test_a_trace_directory_has_to_be_one():
    with pytest.raises(ConfigurationError, match="qlog_directory"):
        server_connection(QUICSettings(qlog_directory="/nonexistent"))
