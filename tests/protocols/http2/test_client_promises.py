"""Promises, as a client takes or refuses them."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, WindowUpdateFrame

from hface_trio.events import DataReceived, HeadersReceived, PushPromiseReceived
from hface_trio.limits import Limits
from hface_trio.protocols.http2 import HTTP2Settings

from ..sections import changed, without
from .raw_peer import (
    POST,
    REQUEST,
    RESPONSE,
    RawPeer,
    assert_alive,
    assert_connection_error,
    assert_stream_error,
    client,
    open_request,
    promise,
    resets,
)
from .wire import PROTOCOL_ERROR, REFUSED_STREAM


def pushing(**arguments) -> RawPeer:
    peer = client(HTTP2Settings(accept_push=True), **arguments)
    open_request(peer)
    peer.frames()
    return peer


def test_push_is_refused_by_default():
    peer = client(start=False)
    settings = peer.start()[0]
    assert settings.settings[2] == 0
    open_request(peer)
    peer.frames()
    peer.send(promise(peer, 2))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_promise_made_before_the_server_knew_is_refused_softly():
    peer = client(start=False)
    peer.start(acknowledge=False)
    open_request(peer)
    peer.frames()
    peer.send(promise(peer, 2))
    assert_stream_error(peer, 2, REFUSED_STREAM)


def test_pushed_response_arrives():
    peer = pushing()
    peer.send(promise(peer, 2), peer.headers(2, RESPONSE), DataFrame(2, b"pushed", flags=["END_STREAM"]))
    assert peer.events() == [
        PushPromiseReceived(1, 2, REQUEST),
        HeadersReceived(2, RESPONSE, False),
        DataReceived(2, b"pushed", True),
    ]
    assert peer.protocol.open_streams == 1


def test_promised_stream_can_be_refused():
    peer = pushing()
    peer.send(promise(peer, 2))
    peer.protocol.submit_stream_reset(2, 8)
    assert resets(peer.frames()) == [(2, 8)]
    peer.send(peer.headers(2, RESPONSE), DataFrame(2, b"late", flags=["END_STREAM"]))
    assert_alive(peer)


def test_promises_have_windows():
    peer = pushing()
    peer.send(promise(peer, 2), peer.headers(2, RESPONSE), DataFrame(2, b"x" * 16384))
    assert peer.protocol.receive_window(2) == 65536 - 16384
    peer.send(WindowUpdateFrame(2, 5))
    assert_alive(peer)


def test_surplus_promises_are_refused():
    peer = pushing(limits=Limits(concurrent_streams=2))
    peer.send(promise(peer, 2), promise(peer, 4), promise(peer, 6))
    assert resets(peer.frames()) == [(6, REFUSED_STREAM)]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(POST, id="POST"),
        pytest.param([*REQUEST, (b"content-length", b"3")], id="with a body"),
        pytest.param([*REQUEST, (b"Upper", b"x")], id="malformed"),
        pytest.param(changed(REQUEST, b":authority", b"bank.test"), id="another host"),
        pytest.param(changed(REQUEST, b":authority", b"example.test:8443"), id="another port"),
        pytest.param(changed(REQUEST, b":authority", b"example.test.evil"), id="a longer host"),
        pytest.param(changed(REQUEST, b":scheme", b"http"), id="another scheme"),
    ],
)
def test_promise_of_what_cannot_be_pushed_from_here(fields):
    peer = pushing()
    peer.send(promise(peer, 2, fields))
    assert peer.events() == []
    assert_stream_error(peer, 2, PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "fields",
    [
        changed(REQUEST, b":authority", b"Example.Test:443"),
        changed(REQUEST, b":scheme", b"HTTPS"),
        [*without(REQUEST, b":authority"), (b"host", b"example.test")],
    ],
)
def test_promise_of_the_same_origin_may_write_it_otherwise(fields):
    peer = pushing()
    peer.send(promise(peer, 2, fields))
    assert peer.events() == [PushPromiseReceived(1, 2, fields)]


@pytest.mark.parametrize("promised", [3, 0])
def test_promised_id_must_be_a_servers(promised):
    peer = pushing()
    peer.send(promise(peer, promised))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_promised_ids_must_grow():
    peer = pushing()
    peer.send(promise(peer, 4), promise(peer, 2))
    assert_connection_error(peer, PROTOCOL_ERROR)


@pytest.mark.parametrize("on", [3, 2])
def test_promise_on_a_stream_that_is_no_request(on):
    peer = pushing()
    peer.send(promise(peer, 2), promise(peer, 4, on=on))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_promise_on_a_stream_that_was_reset_here():
    peer = pushing()
    peer.protocol.submit_stream_reset(1, 8)
    peer.frames()
    peer.send(promise(peer, 2))
    assert_stream_error(peer, 2, REFUSED_STREAM)
