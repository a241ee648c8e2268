"""Which framing a head declares, and which declarations are refused."""

from __future__ import annotations

import pytest

from hface_trio.protocols.http1._framing import Framing, message_framing
from hface_trio.protocols.http1._refusal import Refusal


def head(*fields: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


@pytest.mark.parametrize(
    ("fields", "framing"),
    [
        ([], Framing.UNDECLARED),
        ([b"X-Content-Length: 5"], Framing.UNDECLARED),
        ([b"A: Content-Length: 5"], Framing.UNDECLARED),
        ([b"Content-Length: 0"], 0),
        ([b"content-length:5"], 5),
        ([b"CONTENT-LENGTH: \t 0005 \t"], 5),
        ([b"Content-Length: 9999999999999999999"], 9999999999999999999),
        ([b"Transfer-Encoding: chunked"], Framing.CHUNKED),
        ([b"transfer-encoding:\tChUnKeD "], Framing.CHUNKED),
    ],
)
def test_what_a_head_declares(fields: list[bytes], framing: int | Framing) -> None:
    assert message_framing(head(*fields), 1) == framing


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([b"Content-Length:"], 400),
        ([b"Content-Length: -1"], 400),
        ([b"Content-Length: +1"], 400),
        ([b"Content-Length: 1 2"], 400),
        ([b"Content-Length: 0x1"], 400),
        ([b"Content-Length: 1_0"], 400),
        ([b"Content-Length: 5, 5"], 400),
        ([b"Content-Length: 10000000000000000000"], 400),
        ([b"Content-Length: 5", b"Content-Length: 5"], 400),
        ([b"Content-Length: 5", b"content-length: 6"], 400),
        ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked", b"Content-Length: 0"], 400),
        ([b"Transfer-Encoding:"], 400),
        ([b"Transfer-Encoding: identity"], 400),
        ([b"Transfer-Encoding: gzip"], 400),
        ([b"Transfer-Encoding: chunked, gzip"], 400),
        ([b"Transfer-Encoding: chunked, chunked"], 400),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked;a=b"], 400),
        ([b"Transfer-Encoding: chunked,"], 400),
        ([b"Transfer-Encoding: xchunked"], 400),
        ([b"Transfer-Encoding: \x0bchunked"], 400),
        ([b"Transfer-Encoding: gzip, chunked"], 501),
        ([b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"], 501),
        ([b"Transfer-Encoding: , chunked"], 400),
    ],
)
def test_doubtful_framing_is_refused(fields: list[bytes], status: int) -> None:
    with pytest.raises(Refusal) as caught:
        message_framing(head(*fields), 1)
    assert caught.value.status == status


def test_transfer_encoding_in_http10_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        message_framing(head(b"Transfer-Encoding: chunked"), 0)
    assert caught.value.status == 400
