"""Translates what was received into the form of HTTP/2, and reads from it what the connection has to know.

Fields keep their order and are never joined. What belongs to the connection is taken out, ``host`` becomes
``:authority``, and what has no meaning in HTTP/2's form is refused here rather than passed on.

Source: RFC 9112 §3.2 (request target), §9 (connection); RFC 9113 §8.2, §8.3 (the form of HTTP/2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ...models import HeaderType
from ._codec import RequestHead, ResponseHead
from ._grammar import (
    AUTHORITY,
    AUTHORITY_WITH_PORT,
    CONNECTION_FIELDS,
    TARGET,
    list_members,
)
from ._refusal import Refusal

__all__ = ["Request", "Response", "translate_request", "translate_response", "translate_trailers"]

# absolute-form = scheme "://" authority path-abempty [ "?" query ] (RFC 9112 §3.2.2)
_ABSOLUTE_FORM = re.compile(rb"([A-Za-z][A-Za-z0-9+\-.]*+)://([^/?]*+)(.*)")

_SPECIAL_FIELDS = CONNECTION_FIELDS | {b"host", b"te", b"expect"}
# What a Connection field cannot take out: these are meant for every recipient, or have rules of their own.
_NOT_NOMINATED = frozenset(
    {
        b"host",
        b"content-length",
        b"te",
        b"upgrade",
        b"close",
        b"keep-alive",
        b"http2-settings",
    }  # the last goes with upgrade
)


class Request(NamedTuple):
    """A request in the form of HTTP/2, and what its head says to the connection."""

    method: bytes
    headers: list[HeaderType]
    keep_alive: bool
    expects_continue: bool
    upgrades: bool


class Response(NamedTuple):
    """A response in the form of HTTP/2, and what its head says to the connection."""

    headers: list[HeaderType]
    keep_alive: bool


class _Fields:
    """The fields of one head, sorted by whom they concern."""

    __slots__ = ("expectations", "hosts", "options", "others", "upgrades")

    def __init__(self, fields: Sequence[HeaderType]) -> None:
        self.others: list[HeaderType] = []
        self.hosts: list[bytes] = []
        self.options: list[bytes] = []
        self.expectations: list[bytes] = []
        self.upgrades: list[HeaderType] = []
        for field in fields:
            if field[0] in _SPECIAL_FIELDS:
                self._special(field)
            else:
                self.others.append(field)
        if self.options:
            nominated = set(self.options) - _NOT_NOMINATED
            if nominated:
                self.others = [field for field in self.others if field[0] not in nominated]

    def _special(self, field: HeaderType) -> None:
        name, value = field
        if name == b"host":
            self.hosts.append(value)
        elif name == b"connection":
            self.options += list_members(value)
        elif name == b"te":
            if b"trailers" in list_members(value):
                self.others.append((b"te", b"trailers"))
        elif name == b"expect":
            self.expectations += list_members(value)
            self.others.append(field)
        elif name == b"upgrade":
            self.upgrades.append(field)


def translate_request(head: RequestHead, secure: bool) -> Request:
    """Translate a request head.

    Args:
        head: the head.
        secure: whether it came over TLS, which makes its scheme.

    Raises:
        Refusal: 400 for a target or a Host that cannot be taken.
    """
    method, target, minor_version, received = head
    fields = _Fields(received)
    host = _host(fields.hosts, minor_version)
    if TARGET.fullmatch(target) is None:
        raise Refusal(400, "malformed request target")
    if method == b"CONNECT":
        if AUTHORITY_WITH_PORT.fullmatch(target) is None:
            raise Refusal(400, "CONNECT without host and port")
        headers = [(b":method", method), (b":authority", target)]
    else:
        headers = _pseudo_headers(method, target, host, b"https" if secure else b"http")
    modern = minor_version > 0
    options = fields.options
    upgrades = modern and bool(fields.upgrades) and b"upgrade" in options
    headers += fields.others
    if upgrades:
        headers += fields.upgrades
    return Request(
        method=method,
        headers=headers,
        keep_alive=_keep_alive(options, modern, bool(fields.hosts)),
        expects_continue=modern and b"100-continue" in fields.expectations,
        upgrades=upgrades,
    )


def _keep_alive(options: list[bytes], modern: bool, has_host: bool) -> bool:
    if modern or not options:
        return modern and b"close" not in options
    # a client of HTTP/1.0 that names no host is not one that knows about connections
    return has_host and b"keep-alive" in options and b"close" not in options


def _host(hosts: list[bytes], minor_version: int) -> bytes:
    if len(hosts) != 1:
        if hosts or minor_version:
            raise Refusal(400, "not exactly one Host")
        return b""
    if AUTHORITY.fullmatch(hosts[0]) is None:
        raise Refusal(400, "malformed Host")
    return hosts[0]


def _pseudo_headers(method: bytes, target: bytes, host: bytes, scheme: bytes) -> list[HeaderType]:
    if target[0] == 0x2F or (target == b"*" and method == b"OPTIONS"):  # "/"
        path = target
    else:
        match = _ABSOLUTE_FORM.fullmatch(target)
        if match is None:
            raise Refusal(400, "request target of no known form")
        scheme, host, path = match.groups()
        scheme = scheme.lower()
        if not host or AUTHORITY.fullmatch(host) is None:
            raise Refusal(400, "malformed authority in the request target")
        if not path:
            path = b"*" if method == b"OPTIONS" else b"/"
        elif path.startswith(b"?"):
            path = b"/" + path
    if host:
        return [(b":method", method), (b":scheme", scheme), (b":authority", host), (b":path", path)]
    return [(b":method", method), (b":scheme", scheme), (b":path", path)]


def translate_response(head: ResponseHead) -> Response:
    """Translate a response head. ``upgrade`` stays in a 101 and a 426, where it says something."""
    status, minor_version, received = head
    fields = _Fields(received)
    options = fields.options
    headers = [(b":status", b"%d" % status), *fields.others]
    if status in {101, 426}:
        headers += fields.upgrades
    return Response(headers, keep_alive=minor_version > 0 and b"close" not in options)


def translate_trailers(fields: Sequence[HeaderType]) -> list[HeaderType]:
    """Translate a trailer section, without what concerns the connection only."""
    return [field for field in fields if field[0] not in CONNECTION_FIELDS]
