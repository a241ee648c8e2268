"""What is special to servers: responses, interim ones, promises, alternative services, priorities, upgrades."""

from __future__ import annotations

import pytest
from hyperframe.frame import AltSvcFrame, DataFrame, HeadersFrame, PushPromiseFrame, RstStreamFrame, SettingsFrame

from hface_trio.errors import ConfigurationError, LocalProtocolError, RemoteProtocolError
from hface_trio.events import (
    DataReceived,
    HeadersReceived,
    PriorityUpdateReceived,
    StreamResetReceived,
    StreamResetSent,
)
from hface_trio.limits import Limits
from hface_trio.protocols.http2 import (
    PREFACE,
    H2ClientProtocol,
    H2ServerProtocol,
    HTTP2ClientFactory,
    HTTP2ServerFactory,
    HTTP2Settings,
    Priority,
)

from ..sections import BAD_RESPONSES, BAD_TRAILERS
from ..taken import events_of
from .raw_peer import (
    POST,
    REQUEST,
    RESPONSE,
    RawPeer,
    assert_alive,
    assert_connection_error,
    client,
    raw_frame,
    resets,
    server,
)


def requested(fields=REQUEST, *, end_stream: bool = True, **arguments) -> RawPeer:
    peer = server(**arguments)
    peer.send(peer.request(1, fields, end_stream=end_stream))
    peer.events()
    return peer


def test_what_the_protocol_says_of_itself():
    protocol = server().protocol
    assert (protocol.http_version, protocol.multiplexed, protocol.receive_capacity()) == ("2", True, 65536)
    codes = protocol.error_codes
    assert (codes.protocol_error, codes.internal_error, codes.connect_error) == (1, 2, 10)


# Responses.


def test_interim_response_head_data_and_trailers():
    peer = requested()
    peer.protocol.submit_informational(1, [(b":status", b"103"), (b"link", b"</x>")])
    peer.protocol.submit_headers(1, RESPONSE)
    peer.protocol.submit_data(1, b"body")
    peer.protocol.submit_trailers(1, [(b"t", b"1")])
    frames = peer.frames()
    assert [type(f) for f in frames] == [HeadersFrame, HeadersFrame, DataFrame, HeadersFrame]
    assert ["END_STREAM" in f.flags for f in frames] == [False, False, False, True]
    assert peer.protocol.open_streams == 0


@pytest.mark.parametrize(
    "submit",
    [
        lambda p: p.submit_data(1, b"x"),
        lambda p: p.submit_trailers(1, [(b"a", b"b")]),
        lambda p: p.submit_headers(1, [(b":status", b"103")]),
        lambda p: p.submit_informational(1, RESPONSE),
        lambda p: p.submit_headers(3, RESPONSE),
        lambda p: p.submit_headers(2, RESPONSE),
        lambda p: p.submit_data(3, b"x"),
        lambda p: p.submit_headers(1, REQUEST),
        lambda p: p.submit_push_promise(3, REQUEST),
        lambda p: p.submit_push_promise(1, POST),
        lambda p: p.submit_push_promise(1, RESPONSE),
        lambda p: p.submit_alternative_service(b"clear"),
        lambda p: p.submit_alternative_service(b"clear", origin=b"https://a", stream_id=1),
        lambda p: p.submit_alternative_service(b"clear", stream_id=3),
        lambda p: p.submit_alternative_service(b"x" * 20_000, origin=b"https://a"),
        lambda p: p.submit_settings({5: 1}),
        lambda p: p.submit_ping(b"short"),
        lambda p: p.submit_goaway(last_stream_id=-1),
    ],
)
def test_what_is_not_allowed_is_refused_and_changes_nothing(submit):
    peer = requested(end_stream=False)
    with pytest.raises(LocalProtocolError):
        submit(peer.protocol)
    assert peer.frames() == []
    peer.protocol.submit_headers(1, RESPONSE)
    peer.protocol.submit_data(1, b"x", True)
    peer.send(DataFrame(1, b"", flags=["END_STREAM"]))
    assert peer.protocol.open_streams == 0


@pytest.mark.parametrize("section", BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_malformed_response_is_not_sent(section):
    peer = requested(settings=HTTP2Settings(normalize_outbound_headers=False))
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_headers(1, section)
    peer.protocol.submit_headers(1, RESPONSE, True)
    peer.frames()
    assert peer.sent_headers[1] == RESPONSE


@pytest.mark.parametrize("section", BAD_TRAILERS.values(), ids=BAD_TRAILERS)
def test_malformed_trailers_are_not_sent(section):
    peer = requested(settings=HTTP2Settings(normalize_outbound_headers=False))
    peer.protocol.submit_headers(1, RESPONSE)
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_trailers(1, section)
    peer.protocol.submit_trailers(1, [(b"a", b"b")])
    assert peer.protocol.open_streams == 0


def test_data_can_be_sent_between_head_and_end():
    peer = requested()
    assert not peer.protocol.can_send(1)
    peer.protocol.submit_headers(1, RESPONSE)
    assert peer.protocol.can_send(1)
    peer.protocol.submit_data(1, b"x", True)
    assert not peer.protocol.can_send(1)
    assert not peer.protocol.can_send(99)


def test_head_is_sent_once():
    peer = requested()
    peer.protocol.submit_headers(1, RESPONSE)
    for submit in (peer.protocol.submit_headers, peer.protocol.submit_informational):
        with pytest.raises(LocalProtocolError):
            submit(1, RESPONSE)


def test_reset_by_the_application_is_told_once():
    peer = requested()
    peer.protocol.submit_stream_reset(1, 2)
    peer.protocol.submit_stream_reset(1, 2)
    peer.protocol.submit_stream_reset(99, 2)
    assert peer.events() == [StreamResetSent(1, 2)]
    assert resets(peer.frames()) == [(1, 2)]


def test_refused_stream_can_be_tried_again_by_the_client():
    peer = requested()
    peer.protocol.refuse_stream(1)
    assert resets(peer.frames()) == [(1, 7)]


def test_answer_without_reading_then_no_error():
    peer = requested(POST, end_stream=False)
    peer.protocol.submit_headers(1, RESPONSE, True)
    peer.protocol.submit_stream_reset(1, 0)
    assert resets(peer.frames()) == [(1, 0)]
    peer.send(DataFrame(1, b"x" * 16384), DataFrame(1, b"", flags=["END_STREAM"]))
    assert_alive(peer)


def test_secrets_are_never_indexed_on_the_wire():
    peer = requested()
    peer.protocol.submit_headers(1, [*RESPONSE, (b"set-cookie", b"a=b"), (b"x", b"y")], True)
    peer.frames()
    from hpack import NeverIndexedHeaderTuple

    assert [type(f) is NeverIndexedHeaderTuple for f in peer.sent_headers[1]] == [False, True, False]


# 100 (Continue).


def waiting(**arguments) -> RawPeer:
    return requested([*POST, (b"expect", b"100-continue")], end_stream=False, **arguments)


def test_continue_is_sent_once_to_who_waits_for_it():
    peer = waiting()
    peer.protocol.submit_continue(1)
    peer.protocol.submit_continue(1)
    (frame,) = peer.frames()
    assert peer.sent_headers[1] == [(b":status", b"100")]
    assert "END_STREAM" not in frame.flags


@pytest.mark.parametrize("case", ["no expectation", "data came", "answered", "no such stream"])
def test_continue_is_harmless_otherwise(case):
    peer = requested(POST, end_stream=False) if case == "no expectation" else waiting()
    if case == "data came":
        peer.send(DataFrame(1, b"x"))
    elif case == "answered":
        peer.protocol.submit_headers(1, RESPONSE)
    peer.frames()
    peer.protocol.submit_continue(9 if case == "no such stream" else 1)
    assert peer.frames() == []


# Promises.


def test_promise_and_its_response():
    peer = requested()
    promised = peer.protocol.submit_push_promise(1, REQUEST)
    assert promised == 2
    peer.protocol.submit_headers(2, RESPONSE)
    peer.protocol.submit_data(2, b"pushed", True)
    frames = peer.frames()
    assert [type(f) for f in frames] == [PushPromiseFrame, HeadersFrame, DataFrame]
    assert (frames[0].stream_id, frames[0].promised_stream_id) == (1, 2)
    assert peer.protocol.open_streams == 1


def test_promise_to_a_client_of_ours():
    peer = H2ClientProtocol(secure=True, settings=HTTP2Settings(accept_push=True))
    ours = H2ServerProtocol(secure=True)
    peer.submit_headers(1, REQUEST, True)
    ours.bytes_received(peer.bytes_to_send())
    ours.submit_headers(ours.submit_push_promise(1, REQUEST), RESPONSE, True)
    peer.bytes_received(ours.bytes_to_send())
    assert peer.open_streams == 1


@pytest.mark.parametrize("case", ["push off", "none allowed", "goaway", "answered", "drained"])
def test_promise_is_refused_if_nobody_wants_it(case):
    settings = {"push off": {2: 0}, "none allowed": {3: 0}}.get(case, {})
    peer = requested(peer_settings=settings, end_stream=False)
    if case == "goaway":
        peer.send(raw_frame(7, 0, 0, b"\0" * 8))
    elif case == "answered":
        peer.protocol.submit_headers(1, RESPONSE, True)
    elif case == "drained":
        peer.protocol.submit_goaway()
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_push_promise(1, REQUEST)


@pytest.mark.parametrize("responded", [True, False])
def test_promised_stream_reset_by_the_client(responded):
    peer = requested()
    peer.protocol.submit_push_promise(1, REQUEST)
    if responded:
        peer.protocol.submit_headers(2, RESPONSE)
    peer.send(RstStreamFrame(2, 8))
    assert peer.events() == [StreamResetReceived(2, 8)]


def test_no_interim_response_and_no_promise_on_a_promise():
    peer = requested()
    peer.protocol.submit_push_promise(1, REQUEST)
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_informational(2, [(b":status", b"103")])
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_push_promise(2, REQUEST)


def test_request_on_a_promised_stream():
    peer = requested()
    peer.protocol.submit_push_promise(1, REQUEST)
    peer.frames()
    peer.send(peer.request(2))
    assert_connection_error(peer, 1)


# Alternative services.


def test_alternative_services_are_advertised():
    peer = requested()
    peer.protocol.submit_alternative_service(b'h3=":443"', origin=b"https://example.test")
    peer.protocol.submit_alternative_service(b"clear", stream_id=1)
    frames = peer.frames()
    assert [(f.stream_id, f.origin, f.field) for f in frames if isinstance(f, AltSvcFrame)] == [
        (0, b"https://example.test", b'h3=":443"'),
        (1, b"", b"clear"),
    ]


def test_alternative_service_from_a_client_is_ignored():
    peer = requested()
    peer.send(AltSvcFrame(0, b"https://example.test", b"clear"), AltSvcFrame(1, b"", b"clear"))
    assert peer.events() == []
    assert_alive(peer)


# Priorities.


def update(stream_id: int, value: bytes) -> bytes:
    return raw_frame(0x10, 0, 0, stream_id.to_bytes(4, "big") + value)


def test_priority_comes_by_field_and_by_update():
    peer = requested([*REQUEST, (b"priority", b"u=1")])
    assert peer.protocol.priority(1) == Priority(1, False)
    peer.send(update(1, b"u=6, i"))
    assert peer.protocol.priority(1) == Priority(6, True)
    assert peer.events() == [PriorityUpdateReceived(1, b"u=6, i")]


def test_update_before_its_stream_is_kept_for_it():
    peer = server()
    peer.send(update(1, b"u=2"), peer.request(1, [*REQUEST, (b"priority", b"u=7")]))
    assert peer.protocol.priority(1) == Priority(2, False)


def test_early_updates_are_bounded():
    peer = server()
    peer.send(*[update(2 * i + 1, b"u=2") for i in range(900)])
    assert len(peer.protocol._receiver._early_priorities) == 128


def test_priority_that_does_not_parse_is_ignored():
    peer = requested([*REQUEST, (b"priority", b"u=1")])
    peer.send(update(1, b"???"))
    assert peer.protocol.priority(1) == peer.protocol.explicit_priority(1) == Priority(1, False)


def test_default_priority():
    peer = requested()
    assert peer.protocol.priority(1) == peer.protocol.priority(999) == Priority(3, False)
    assert peer.protocol.explicit_priority(1) is peer.protocol.explicit_priority(999) is None
    assert peer.protocol.dependency(1) is peer.protocol.dependency(999) is None


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (raw_frame(0x10, 0, 1, b"\0\0\0\1u=1"), 1),
        (raw_frame(0x10, 0, 0, b"\0\0\0"), 6),
        (raw_frame(0x10, 0, 0, b"\0\0\0\0u=1"), 1),
        (update(2, b"u=1"), 1),
    ],
)
def test_wrong_updates(frame, code):
    peer = server()
    peer.send(frame)
    assert_connection_error(peer, code)


# Upgrades from HTTP/1.1.


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


# Factories and configuration.


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
