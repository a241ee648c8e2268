"""What peers send cannot do anything to a terminal or a log."""

from __future__ import annotations

import pytest

from hface_trio.cli._access_log import AccessLog
from hface_trio.cli._text import (
    describe_address,
    describe_status,
    field_lines,
    printable,
    printable_bytes,
    response_head,
)
from hface_trio.connections import ConnectionRecord, StreamRecord


@pytest.mark.parametrize("text", ["", "plain text", "Grüße", "日本"])
def test_plain_text_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("octet", [*range(0x20), *range(0x7F, 0xA0)])
def test_control_characters_are_escaped(octet: int) -> None:
    assert printable(f"a{chr(octet)}b").isprintable()


def test_direction_marks_are_escaped() -> None:
    assert printable("a\u202eb") == "a\\u202eb"


def test_lone_surrogates_are_escaped() -> None:
    assert printable("a\udc80") == "a\\udc80"


def test_octets_that_are_no_text_are_escaped() -> None:
    assert printable_bytes(b"a\xff\x1b\xc3\xa4") == "a\\xff\\x1bä"


def test_fields_are_shown_without_pseudo_header_fields() -> None:
    lines = field_lines([(b":status", b"200"), (b"x", b"1\x9b2")])
    assert list(lines) == ["x: 1\\x9b2"]


def test_head_has_the_form_of_http_1() -> None:
    assert response_head("2", 200, [(b":status", b"200"), (b"x", b"\xff")]) == b"HTTP/2 200 OK\r\nx: \xff\r\n\r\n"


def test_status_without_a_phrase_is_shown_alone() -> None:
    assert describe_status(599) == "599"


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (None, "-"),
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("::1", 80), "[::1]:80"),
        (("unix:/a\nb", 0), "unix:/a\\nb"),
    ],
)
def test_addresses_are_shown_as_in_urls(address: tuple[str, int] | None, text: str) -> None:
    assert describe_address(address) == text


def test_access_log_line_cannot_be_forged(caplog: pytest.LogCaptureFixture) -> None:
    connection = ConnectionRecord("1.1", False, None, ("::1", 5), opened_at=0)
    record = StreamRecord(connection, 1, b"GET", b"http", b"a", b'/" 200 1\n\x1b[2J', opened_at=1, closed_at=1.5)
    with caplog.at_level("INFO", "hface_trio.access"):
        AccessLog().stream_closed(record)
    assert caplog.messages == ['[::1]:5 "GET /%22 200 1\\n\\x1b[2J HTTP/1.1" - 0 500.0ms']
