"""Factories, and what can be configured."""

from __future__ import annotations

import pytest

from hface_trio.errors import ConfigurationError
from hface_trio.limits import Limits
from hface_trio.protocols.http2 import (
    H2ClientProtocol,
    H2ServerProtocol,
    HTTP2ClientFactory,
    HTTP2ServerFactory,
    HTTP2Settings,
)

from .raw_peer import client, server


def test_factories_make_protocols():
    assert HTTP2ServerFactory().alpn_protocols == HTTP2ClientFactory().alpn_protocols == ("h2",)
    made = HTTP2ServerFactory()("TLSv1.3", "h2")
    assert isinstance(made, H2ServerProtocol)
    assert made.secure
    made = HTTP2ClientFactory(limits=Limits(stream_window_octets=10))(None, None)
    assert isinstance(made, H2ClientProtocol)
    assert not made.secure


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_frame_octets": 1},
        {"max_frame_octets": 2**24},
        {"maximum_window_octets": 0},
        {"maximum_window_octets": 2**31},
        {"queued_data_octets": 0},
        {"send_frame_octets": 1023},
        {"abuse_tokens": -1},
        {"abuse_tokens": float("nan")},
    ],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ConfigurationError):
        HTTP2Settings(**arguments)


def test_additional_settings_are_checked():
    with pytest.raises(ConfigurationError):
        H2ServerProtocol(secure=True, settings=HTTP2Settings(additional_settings=((4, 2**31),)))


def test_additional_settings_are_sent():
    peer = server(HTTP2Settings(additional_settings=((9, 1), (0x1234, 5))), start=False)
    settings = peer.protocol.bytes_to_send()
    assert b"\x00\x09\x00\x00\x00\x01" in settings
    assert b"\x12\x34\x00\x00\x00\x05" in settings


def test_limits_can_be_turned_off():
    inf = float("inf")
    limits = Limits(
        concurrent_streams=inf,
        header_section_octets=inf,
        header_fields=inf,
        request_body_octets=inf,
        stream_window_octets=inf,
        control_output_octets=inf,
    )
    peer = server(limits=limits, start=False)
    first = peer.start()[0]
    assert 3 not in first.settings
    assert 6 not in first.settings
    assert first.settings[4] == 2**31 - 1
    peer.send(*[peer.request(2 * i + 1) for i in range(500)])
    assert peer.protocol.open_streams == 500


def test_client_and_server_of_ours_understand_each_other():
    ours, peer = server(start=False).protocol, client(start=False).protocol
    for _ in range(3):
        ours.bytes_received(peer.bytes_to_send())
        peer.bytes_received(ours.bytes_to_send())
    assert ours.local_settings[3] == 100
    assert peer.peer_settings[8] == 1
