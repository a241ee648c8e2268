"""Checks what the application wants to send and translates it from the form of HTTP/2.

Everything is checked before anything is taken: what these functions return, every engine accepts.

Source: RFC 9113 §8.2, §8.3 (the form of HTTP/2); RFC 9110 §5.5, §8.6, §15; RFC 9112 §3.2.
"""

from __future__ import annotations

from typing import NamedTuple

from ...errors import LocalProtocolError
from ...models import HeadersType, HeaderType
from ._grammar import (
    AUTHORITY,
    AUTHORITY_WITH_PORT,
    CONNECTION_FIELDS,
    CONTENT_LENGTH,
    FIELD_NAME,
    FIELD_VALUE,
    METHOD,
    TARGET,
    TRAILER_FORBIDDEN_FIELDS,
)

__all__ = ["OutboundRequest", "OutboundResponse", "check_request", "check_response", "check_trailers"]

_REQUEST_PSEUDO_HEADERS = frozenset({b":method", b":scheme", b":authority", b":path"})
_RESPONSE_PSEUDO_HEADERS = frozenset({b":status"})


class OutboundRequest(NamedTuple):
    """A request to send."""

    method: bytes
    target: bytes
    fields: list[HeaderType]
    content_length: int | None
    upgrades: bool


class OutboundResponse(NamedTuple):
    """A response to send."""

    status: int
    fields: list[HeaderType]
    content_length: int | None
    upgrades: bool


def check_request(headers: HeadersType) -> OutboundRequest:
    """Check and translate a request section.

    Raises:
        LocalProtocolError: it cannot be sent.
    """
    pseudo, fields = _split(headers, _REQUEST_PSEUDO_HEADERS)
    method = pseudo.get(b":method", b"")
    if METHOD.fullmatch(method) is None:
        raise LocalProtocolError(f"request needs a :method that is a token, got {method!r}")
    host = _request_host(pseudo, fields)
    target = _request_target(method, host, pseudo)
    sent: list[HeaderType] = [(b"host", host)]
    options: list[bytes] = []
    content_length: int | None = None
    for field in fields:
        name, value = field
        if name == b"host":
            continue
        if name == b"te":
            if value != b"trailers":
                raise LocalProtocolError("te can only be 'trailers'")
            options.append(b"TE")
        elif name in {b"upgrade", b"http2-settings"}:  # RFC 7540 §3.2.1: both are nominated
            options.append(name)
        elif name == b"content-length":
            content_length = _content_length(value, content_length)
        sent.append(field)
    upgrades = b"upgrade" in options
    if options:
        sent.append((b"connection", b", ".join(dict.fromkeys(options))))
    if method == b"CONNECT" and (content_length is not None or upgrades):
        raise LocalProtocolError("CONNECT takes neither content nor upgrade")
    return OutboundRequest(method, target, sent, content_length, upgrades)


def _request_host(pseudo: dict[bytes, bytes], fields: list[HeaderType]) -> bytes:
    hosts = [value for name, value in fields if name == b"host"]
    host = pseudo.get(b":authority", hosts[0] if hosts else b"")
    if AUTHORITY.fullmatch(host) is None:
        raise LocalProtocolError(f"malformed authority {host!r}")
    if any(value != host for value in hosts):
        raise LocalProtocolError("host differs from :authority")
    return host


def _request_target(method: bytes, host: bytes, pseudo: dict[bytes, bytes]) -> bytes:
    if method == b"CONNECT":
        if AUTHORITY_WITH_PORT.fullmatch(host) is None or b":path" in pseudo or b":scheme" in pseudo:
            raise LocalProtocolError("CONNECT needs :authority with host and port, and no :scheme or :path")
        return host
    path = pseudo.get(b":path", b"")
    if TARGET.fullmatch(path) is None or not (path[0] == 0x2F or (path == b"*" and method == b"OPTIONS")):
        raise LocalProtocolError(f"request needs a :path of visible ASCII that begins with '/', got {path!r}")
    return path


def check_response(headers: HeadersType) -> OutboundResponse:
    """Check and translate a response section, of an interim or a final response.

    Raises:
        LocalProtocolError: it cannot be sent.
    """
    pseudo, fields = _split(headers, _RESPONSE_PSEUDO_HEADERS)
    status = pseudo.get(b":status", b"")
    if len(status) != 3 or not status.isdigit() or not b"100" <= status <= b"599":
        raise LocalProtocolError(f"response needs a :status from 100 to 599, got {status!r}")
    content_length: int | None = None
    upgrades = False
    for name, value in fields:
        if name == b"content-length":
            content_length = _content_length(value, content_length)
        elif name == b"upgrade":
            if status not in {b"101", b"426"}:
                raise LocalProtocolError("upgrade goes with 101 and 426 only")
            upgrades = True
    if status[0] == 0x31 and content_length is not None:
        raise LocalProtocolError("content-length in a 1xx response")
    if status == b"101" and not upgrades:
        raise LocalProtocolError("a 101 response needs upgrade")
    return OutboundResponse(int(status), fields, content_length, upgrades)


def check_trailers(headers: HeadersType) -> list[HeaderType]:
    """Check a trailer section.

    Raises:
        LocalProtocolError: it cannot be sent.
    """
    _, fields = _split(headers, frozenset())
    for name, _ in fields:
        if name in TRAILER_FORBIDDEN_FIELDS or name == b"upgrade":
            raise LocalProtocolError(f"{name!r} cannot be a trailer")
    return fields


def _split(headers: HeadersType, known: frozenset[bytes]) -> tuple[dict[bytes, bytes], list[HeaderType]]:
    pseudo: dict[bytes, bytes] = {}
    fields: list[HeaderType] = []
    for field in headers:
        name, value = field
        if FIELD_VALUE.fullmatch(value) is None:
            raise LocalProtocolError(f"value of {name!r} cannot be sent: {value!r}")
        if FIELD_NAME.fullmatch(name) is not None:
            if name in CONNECTION_FIELDS and name != b"upgrade":
                raise LocalProtocolError(f"{name!r} is for the connection to set")
            fields.append((name, value))
        elif name not in known:
            raise LocalProtocolError(f"{name!r} is not a lower-case field name")
        elif fields or name in pseudo:
            raise LocalProtocolError(f"{name!r} is repeated, or behind a field")
        else:
            pseudo[name] = value
    return pseudo, fields


def _content_length(value: bytes, earlier: int | None) -> int:
    if earlier is not None or CONTENT_LENGTH.fullmatch(value) is None:
        raise LocalProtocolError(f"content-length is malformed or repeated: {value!r}")
    return int(value)
