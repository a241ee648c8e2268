"""Factories, what a protocol says of itself, handshakes that fail, tickets and early data."""

from __future__ import annotations

import pytest

from hface_trio import protocols
from hface_trio.errors import ConfigurationError, LocalProtocolError
from hface_trio.events import ConnectionTerminated, HeadersReceived, SettingsReceived
from hface_trio.limits import Limits
from hface_trio.models import ClientTLSConfig, ServerTLSConfig
from hface_trio.protocols import OutputEnd, protocol_registry
from hface_trio.protocols.http3 import (
    H3ClientProtocol,
    H3ServerProtocol,
    HTTP3ClientFactory,
    HTTP3ErrorCode,
    HTTP3ServerFactory,
    HTTP3Settings,
    SessionTicketStore,
)
from hface_trio.protocols.quic import QUICSettings, RandomConnectionIdSource

from ..quic.network import SERVER_ADDRESS, Network, client_tls, server_tls
from ..taken import events_of
from .pair import ask, connected
from .raw_peer import POST, REQUEST, RESPONSE


def meet(client_factory: HTTP3ClientFactory, server_factory: HTTP3ServerFactory, *, server_name: str = "localhost"):
    client = client_factory(remote_address=SERVER_ADDRESS, server_name=server_name)
    return Network(client, server_factory())


def test_what_protocols_say_of_themselves():
    net = connected()
    for protocol in (net.client, net.server):
        assert protocol.http_version == "3"
        assert protocol.multiplexed is True
        assert protocol.error_codes.protocol_error == 0x101
        assert protocol.error_codes.internal_error == 0x102
        assert protocol.error_codes.connect_error == 0x10F
        assert (protocol.stream_codes.no_error, protocol.stream_codes.internal_error) == (0x100, 0x102)
        assert (protocol.stream_codes.refused, protocol.stream_codes.cancelled) == (0x10B, 0x10C)
        assert protocol.handshake_complete
        assert protocol.handshake_failure is None
        assert protocol.output_end is OutputEnd.OPEN
        assert not protocol.is_closed
        assert not protocol.has_expired()
    assert net.client.remote_address == SERVER_ADDRESS
    assert net.client.peer_certificate
    assert net.client.submit_key_update() is None


def test_factories_say_what_they_speak():
    server = HTTP3ServerFactory(server_tls(), connection_id_source=RandomConnectionIdSource(12))
    client = HTTP3ClientFactory(client_tls())
    assert server.alpn_protocols == client.alpn_protocols == ("h3",)
    assert server.connection_id_source.length == 12
    assert client.connection_id_source.length == 8
    assert server.versions == (1, 0x6B3343CF)
    net = meet(client, server)
    net.run(1, until=net.client.is_available)
    assert {len(i) for i in net.server.connection_ids} == {8, 12}


def test_a_server_needs_a_certificate():
    with pytest.raises(ConfigurationError):
        HTTP3ServerFactory(ServerTLSConfig())


@pytest.mark.parametrize(
    "arguments",
    [
        {"abuse_tokens": -1},
        {"drain_ping_seconds": float("nan")},
        {"additional_settings": ((2, 1),)},
        {"additional_settings": ((0x21, 2**62),)},
        {"additional_settings": ((-1, 0),)},
    ],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ConfigurationError):
        HTTP3Settings(**arguments)


def test_limits_become_windows():
    net = connected(limits=Limits(concurrent_streams=7, stream_window_octets=10_000))
    quic = net.server.quic.settings
    assert (quic.bidirectional_streams, quic.stream_window_octets) == (7, 10_000)
    assert quic.connection_window == 7 * 10_000 + 16 * 16 * 1024 + 4 * 1024 * 1024
    assert net.client.quic.streams_left() == 7
    assert net.client.quic.settings.bidirectional_streams == 0


def test_unlimited_limits_are_no_problem():
    infinite = float("inf")
    limits = Limits(concurrent_streams=infinite, stream_window_octets=infinite, header_section_octets=infinite)
    net = connected(limits=limits)
    assert ask(net) == 0


def test_a_certificate_that_is_not_trusted_is_named_as_the_failure():
    net = meet(HTTP3ClientFactory(ClientTLSConfig()), HTTP3ServerFactory(server_tls()))
    net.run(1)
    assert net.client.handshake_failure == "bad certificate (unable to get local issuer certificate)"
    assert net.server.handshake_failure == "the peer refused: bad certificate"
    assert isinstance(events_of(net.client)[-1], ConnectionTerminated)


def test_a_certificate_of_another_name_is_named_as_the_failure():
    net = meet(HTTP3ClientFactory(client_tls()), HTTP3ServerFactory(server_tls()), server_name="other.test")
    net.run(1)
    assert "other.test" in net.client.handshake_failure


def test_silence_is_named_as_the_failure():
    settings = HTTP3Settings(quic=QUICSettings(idle_timeout_seconds=3))
    net = meet(HTTP3ClientFactory(client_tls(), settings=settings), HTTP3ServerFactory(server_tls()))
    net.cut = True
    net.run(10)
    assert net.client.handshake_failure == "the peer was silent for too long"
    assert net.client.is_closed


def test_no_stream_can_be_opened_before_the_handshake():
    client = HTTP3ClientFactory(client_tls())(remote_address=SERVER_ADDRESS, server_name="localhost")
    client.clock(0.0)
    assert not client.is_available()
    with pytest.raises(LocalProtocolError):
        client.get_available_stream_id()
    assert client.datagrams_to_send()


def test_requests_need_not_wait_for_settings():
    net = meet(HTTP3ClientFactory(client_tls()), HTTP3ServerFactory(server_tls()))
    net.run(1, until=net.client.is_available)
    net.client.submit_headers(0, REQUEST, True)
    net.run(0.1)
    events = events_of(net.server)
    assert any(isinstance(e, SettingsReceived) for e in events)
    assert any(isinstance(e, HeadersReceived) for e in events)


def with_tickets(*, early_data: bool):
    settings = HTTP3Settings(quic=QUICSettings(early_data=early_data))
    client = HTTP3ClientFactory(client_tls(), settings=settings, session_tickets=SessionTicketStore())
    server = HTTP3ServerFactory(server_tls(), settings=settings, session_tickets=SessionTicketStore())
    net = meet(client, server)
    net.run(1)
    return client, server


def test_sessions_are_resumed_without_early_data_by_default():
    net = meet(*with_tickets(early_data=False))
    net.client.clock(0.0)
    assert not net.client.is_available()
    net.run(1)
    assert net.client.quic.handshake.session_resumed
    assert not net.client.quic.handshake.early_data_accepted
    net.client.submit_headers(0, POST, True)
    net.run()
    assert not net.server.is_early(0)


def test_early_requests_are_marked_and_unsafe_ones_answered_425():
    net = meet(*with_tickets(early_data=True))
    assert net.client.is_available()
    safe, unsafe = 0, 4
    net.client.submit_headers(safe, REQUEST, True)
    net.client.submit_headers(unsafe, POST, True)
    net.step()
    assert not net.server.handshake_complete
    assert [e.stream_id for e in events_of(net.server) if isinstance(e, HeadersReceived)] == [safe]
    assert net.server.is_early(safe)
    net.run(0.5)
    net.server.submit_headers(safe, RESPONSE, end_stream=True)
    net.run(0.5)
    heads = {e.stream_id: e.headers[0] for e in events_of(net.client) if isinstance(e, HeadersReceived)}
    assert heads == {safe: (b":status", b"200"), unsafe: (b":status", b"425")}
    assert HTTP3ErrorCode.NO_ERROR == 0x100


def test_the_factories_are_exported_beside_those_of_other_versions():
    assert protocols.HTTP3ServerFactory is HTTP3ServerFactory
    assert protocols.HTTP3ClientFactory is HTTP3ClientFactory
    assert not hasattr(protocols, "HTTP3Factory")


def test_the_engines_are_known_by_name():
    assert protocol_registry.http3_servers.load("aioquic") is H3ServerProtocol
    assert protocol_registry.http3_clients.load("aioquic") is H3ClientProtocol


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigurationError, match="no engine 'other'"):
        HTTP3ServerFactory(server_tls(), engine="other")
    with pytest.raises(ConfigurationError, match="no engine 'other'"):
        HTTP3ClientFactory(client_tls(), engine="other")
