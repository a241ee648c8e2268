"""Upgrades from HTTP/1.1."""

from __future__ import annotations

import pytest
from hyperframe.frame import SettingsFrame

from hface_trio.errors import RemoteProtocolError
from hface_trio.events import DataReceived, HeadersReceived
from hface_trio.limits import Limits
from hface_trio.protocols.http2 import PREFACE, H2ClientProtocol, H2ServerProtocol, Priority

from ..taken import events_of
from .raw_peer import POST, REQUEST, RESPONSE, RawPeer


def test_upgrade_with_both_sides_of_ours():
    limits = Limits(stream_window_octets=1000)
    field = H2ClientProtocol.settings_field(limits)
    assert b"=" not in field
    ours = H2ServerProtocol.upgraded_from(REQUEST, field)
    peer = H2ClientProtocol.upgraded_from(REQUEST, limits=limits)
    assert ours.next_event() == HeadersReceived(1, REQUEST, True)
    assert ours.send_window(1) == 1000
    assert ours.explicit_priority(1) is None
    ours.submit_headers(1, RESPONSE)
    ours.submit_data(1, b"upgraded", True)
    peer.bytes_received(ours.bytes_to_send())
    ours.bytes_received(peer.bytes_to_send())
    assert events_of(peer)[-2:] == [HeadersReceived(1, RESPONSE, False), DataReceived(1, b"upgraded", True)]
    assert peer.open_streams == ours.open_streams == 0
    assert peer.get_available_stream_id() == 3
    peer.submit_headers(3, REQUEST, True)
    ours.bytes_received(peer.bytes_to_send())
    assert ours.open_streams == 1


def test_upgraded_request_with_a_body():
    ours = H2ServerProtocol.upgraded_from(POST, b"", body=b"question")
    assert ours.next_event() == HeadersReceived(1, POST, False)
    assert ours.next_event() == DataReceived(1, b"question", True)
    ours.acknowledge(1, 8)
    assert ours.unacknowledged_octets == 0


def test_priority_of_an_upgraded_request():
    ours = H2ServerProtocol.upgraded_from([*REQUEST, (b"priority", b"u=1")], b"")
    assert ours.priority(1) == Priority(1, False)


def test_settings_of_the_field_are_not_acknowledged_but_the_first_frame_is():
    peer = RawPeer(H2ServerProtocol.upgraded_from(REQUEST, b"AAMAAABkAAQAAP__"), PREFACE)
    frames = peer.start()
    assert ["ACK" in f.flags for f in frames if isinstance(f, SettingsFrame)] == [False, True]
    assert peer.protocol.peer_settings[3] == 100


@pytest.mark.parametrize("field", [b"!", b"AAMAAABk=x", b"AAMAAA", b"A", b"AAUAAAAB", b"AAQ\xff"])
def test_malformed_settings_field_is_refused(field):
    with pytest.raises(RemoteProtocolError):
        H2ServerProtocol.upgraded_from(REQUEST, field)


def test_upgraded_server_still_wants_the_preface():
    peer = RawPeer(H2ServerProtocol.upgraded_from(REQUEST, b""), PREFACE)
    peer.events()
    peer.send(b"GET / HTTP/1.1\r\n\r\n")
    assert peer.events()[-1].error_code == 1
