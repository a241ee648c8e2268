"""Checks what the application wants to send and translates it from the form of HTTP/2.

Everything is checked before anything is taken: what these functions return can be written as it is.

The same few fields make up most of what is ever sent. Those that are short, no secret and of no meaning here are therefore
remembered, with their line, and looked up instead of checked: a bounded table, emptied when it is full.

Source: RFC 9113 §8.2, §8.3 (the form of HTTP/2); RFC 9110 §5.5, §8.6, §15; RFC 9112 §3.2.
"""

from __future__ import annotations

from typing import NamedTuple

from ...errors import LocalProtocolError
from ...models import HeadersType, HeaderType
from .._fields import FORBIDDEN_TRAILERS, octet_pairs
from .._targets import is_authority, is_host_with_port, is_target
from ._grammar import CONNECTION_FIELDS, FIELD_NAME, FIELD_VALUE, METHOD

__all__ = ["OutboundRequest", "OutboundResponse", "check_request", "check_response", "check_trailers", "plain_lines"]

_REQUEST_PSEUDO_HEADERS = frozenset({b":method", b":scheme", b":authority", b":path"})
# Fields that mean something here, and so are looked at each time.
_SPECIAL_FIELDS = frozenset({b"content-length", b"host", b"te", b"upgrade", b"http2-settings"})
# What should not stay in memory for longer than it is used.
_SECRET_FIELDS = frozenset(
    {
        b"authentication-info",
        b"authorization",
        b"cookie",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"set-cookie",
        b"www-authenticate",
    }
)
_REMEMBERED_FIELDS = 512
_REMEMBERED_OCTETS = 128
_remembered: dict[HeaderType, bytes] = {}
"""Field lines by field."""
_LONGEST_LENGTH = 19  # digits that fit every counter
_STATUSES = {b"%d" % status: status for status in range(100, 600)}


class OutboundRequest(NamedTuple):
    """A request to send, its fields as lines."""

    method: bytes
    target: bytes
    lines: list[bytes]
    content_length: int | None
    upgrades: bool


class OutboundResponse(NamedTuple):
    """A response to send, its fields as lines."""

    status: int
    lines: list[bytes]
    content_length: int | None
    upgrades: bool


def check_request(headers: HeadersType) -> OutboundRequest:
    """Check and translate a request section.

    Raises:
        LocalProtocolError: it cannot be sent.
    """
    pseudo: dict[bytes, bytes] = {}
    lines = [b""]  # Host comes first
    hosts: list[bytes] = []
    options: list[bytes] = []
    content_length: int | None = None
    for field in octet_pairs(headers):
        line = _remembered.get(field)
        if line is not None:
            lines.append(line)
            continue
        name, value = field
        if name in _REQUEST_PSEUDO_HEADERS:
            if name in pseudo or len(lines) > 1 or hosts:
                raise LocalProtocolError(f"{name!r} is repeated, or behind a field")
            pseudo[name] = value  # each has a grammar of its own, but for the scheme, which is not sent
            continue
        line = _field_line(name, value)
        if name == b"host":
            hosts.append(value)
            continue
        if name == b"te":
            if value != b"trailers":
                raise LocalProtocolError("te can only be 'trailers'")
            options.append(b"TE")
        elif name in {b"upgrade", b"http2-settings"}:  # RFC 7540 §3.2.1: both are nominated
            options.append(name)
        elif name == b"content-length":
            content_length = _content_length(value, content_length)
        lines.append(line)
    method = pseudo.get(b":method", b"")
    if METHOD.fullmatch(method) is None:
        raise LocalProtocolError(f"request needs a :method that is a token, got {method!r}")
    host = _request_host(pseudo, hosts)
    target = _request_target(method, host, pseudo)
    lines[0] = b"host: %b\r\n" % host
    upgrades = b"upgrade" in options
    if options:
        lines.append(b"connection: %b\r\n" % b", ".join(dict.fromkeys(options)))
    if method == b"CONNECT" and (content_length is not None or upgrades):
        raise LocalProtocolError("CONNECT takes neither content nor upgrade")
    return OutboundRequest(method, target, lines, content_length, upgrades)


def _request_host(pseudo: dict[bytes, bytes], hosts: list[bytes]) -> bytes:
    host = pseudo.get(b":authority", hosts[0] if hosts else b"")
    if is_authority(host) is None:
        raise LocalProtocolError(f"malformed authority {host!r}")
    if any(value != host for value in hosts):
        raise LocalProtocolError("host differs from :authority")
    return host


def _request_target(method: bytes, host: bytes, pseudo: dict[bytes, bytes]) -> bytes:
    if method == b"CONNECT":
        if not is_host_with_port(host) or b":path" in pseudo or b":scheme" in pseudo:
            raise LocalProtocolError("CONNECT needs :authority with host and port, and no :scheme or :path")
        return host
    path = pseudo.get(b":path", b"")
    if is_target(path) is None or not (path[0] == 0x2F or (path == b"*" and method == b"OPTIONS")):
        raise LocalProtocolError(f"request needs a :path of visible ASCII that begins with '/', got {path!r}")
    return path


def check_response(headers: HeadersType) -> OutboundResponse:
    """Check and translate a response section, of an interim or a final response.

    Raises:
        LocalProtocolError: it cannot be sent.
    """
    status: int | None = None
    lines: list[bytes] = []
    content_length: int | None = None
    upgrades = False
    for field in octet_pairs(headers):
        line = _remembered.get(field)
        if line is None:
            name, value = field
            if name == b":status":
                if status is not None or lines:
                    raise LocalProtocolError(f"{name!r} is repeated, or behind a field")
                status = _STATUSES.get(value)
                if status is None:
                    break
                continue
            if name == b"content-length":
                content_length = _content_length(value, content_length)
                line = b"content-length: %b\r\n" % value
            else:
                line = _field_line(name, value)
                if name == b"upgrade":
                    upgrades = True
        lines.append(line)
    if status is None:
        raise LocalProtocolError(
            f"response needs a :status from 100 to 599, got {dict(headers).get(b':status', b'')!r}"
        )
    if upgrades:
        if status not in {101, 426}:
            raise LocalProtocolError("upgrade goes with 101 and 426 only")
    elif status == 101:
        raise LocalProtocolError("a 101 response needs upgrade")
    if status < 200 and content_length is not None:
        raise LocalProtocolError("content-length in a 1xx response")
    return OutboundResponse(status, lines, content_length, upgrades)


def plain_lines(headers: HeadersType) -> list[bytes] | None:
    """Check fields of a response, and return their lines; ``None`` when one of them needs a closer look.

    Raises:
        LocalProtocolError: a field cannot be sent.
    """
    lines: list[bytes] = []
    for field in headers:
        try:
            line = _remembered.get(field)
            name, value = field
        except (TypeError, ValueError):
            return None
        if line is None:
            if name in _SPECIAL_FIELDS or type(name) is not bytes or type(value) is not bytes:
                return None
            line = _field_line(name, value)
        lines.append(line)
    return lines


def check_trailers(headers: HeadersType) -> list[HeaderType]:
    """Check a trailer section.

    Raises:
        LocalProtocolError: it cannot be sent.
    """
    fields: list[HeaderType] = []
    for name, value in octet_pairs(headers):
        _field_line(name, value)
        if name in FORBIDDEN_TRAILERS or name == b"upgrade":
            raise LocalProtocolError(f"{name!r} cannot be a trailer")
        fields.append((name, value))
    return fields


def _field_line(name: bytes, value: bytes) -> bytes:
    """Return the line of a field, which is checked, and remembered where that makes sense."""
    _check_value(name, value)
    if FIELD_NAME.fullmatch(name) is None:
        raise LocalProtocolError(f"{name!r} is not a lower-case field name")
    line = b"%b: %b\r\n" % (name, value)
    if name in CONNECTION_FIELDS:
        if name != b"upgrade":
            raise LocalProtocolError(f"{name!r} is for the connection to set")
    elif len(line) <= _REMEMBERED_OCTETS and name not in _SPECIAL_FIELDS and name not in _SECRET_FIELDS:
        if len(_remembered) >= _REMEMBERED_FIELDS:
            _remembered.clear()
        _remembered[name, value] = line
    return line


def _check_value(name: bytes, value: bytes) -> None:
    if FIELD_VALUE.fullmatch(value) is None:
        raise LocalProtocolError(f"value of {name!r} cannot be sent: {value!r}")


def _content_length(value: bytes, earlier: int | None) -> int:
    if earlier is not None or not value.isdigit() or len(value) > _LONGEST_LENGTH:
        raise LocalProtocolError(f"content-length is malformed or repeated: {value!r}")
    return int(value)
