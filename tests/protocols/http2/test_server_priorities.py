"""Priorities as a server hears of them: by field, by update, early and wrong ones."""

from __future__ import annotations

import pytest

from hface_trio.events import PriorityUpdateReceived
from hface_trio.protocols.http2 import Priority

from .raw_peer import REQUEST, assert_connection_error, raw_frame, requested, server


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
