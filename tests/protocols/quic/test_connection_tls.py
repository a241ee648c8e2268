"""What handshakes verify and resume, what they write, and which TLS configurations cannot be used."""

from __future__ import annotations

import json

import pytest

from hface_trio.errors import ConfigurationError
from hface_trio.events import DataReceived
from hface_trio.models import ClientTLSConfig, ServerTLSConfig
from hface_trio.protocols.quic import HandshakeCompleted, QUICErrorCode, QUICSettings
from hface_trio.protocols.quic._tickets import SessionTicketStore

from ..taken import events_of
from .network import (
    SERVER_ADDRESS,
    Network,
    authority,
    client_connection,
    client_tls,
    data_of,
    server_connection,
    server_tls,
    shake_hands,
)


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


def test_a_trace_directory_has_to_be_one():
    with pytest.raises(ConfigurationError, match="qlog_directory"):
        server_connection(QUICSettings(qlog_directory="/nonexistent"))
