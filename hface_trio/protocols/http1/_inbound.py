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
from .._targets import is_authority, is_host_with_port
from ._grammar import CONNECTION_FIELDS, list_members
from ._refusal import Refusal

__all__ = ["RequestFields", "Response", "request_section", "translate_response", "translate_trailers"]

# absolute-form = scheme "://" authority path-abempty [ "?" query ] (RFC 9112 §3.2.2)
_ABSOLUTE_FORM = re.compile(rb"([A-Za-z][A-Za-z0-9+\-.]*+)://([^/?]*+)(.*)")

_SPECIAL_FIELDS = CONNECTION_FIELDS | {b"host", b"http2-settings", b"te", b"expect"}
# What a Connection field cannot take out: these are meant for every recipient, or have rules of their own.
_NOT_NOMINATED = frozenset(
    {
        b"host",
        b"content-length",
        b"te",
        b"upgrade",
        b"close",
        b"keep-alive",
    }
)


class RequestFields:
    """What the fields of a request head say, whatever its method and target are.

    Args:
        received: the fields as they came.
        minor_version: of the HTTP/1 version of the request.

    Raises:
        Refusal: 400 for a Host that cannot be taken.
    """

    __slots__ = ("authority", "expects_continue", "keep_alive", "number", "passed_on", "upgrades")

    def __init__(self, received: Sequence[HeaderType], minor_version: int) -> None:
        special: _Special | None = None
        hosts: list[bytes] = []
        passed_on: list[HeaderType] = []
        for field in received:
            name = field[0]
            if name not in _SPECIAL_FIELDS:
                passed_on.append(field)
            elif name == b"host":
                hosts.append(field[1])
            else:
                if special is None:
                    special = _Special()
                special.take(field, passed_on)
        modern = minor_version > 0
        self.number = len(received)
        """How many fields came."""
        self.authority: bytes = _host(hosts, minor_version)
        """Value of Host; empty when an old client sent none."""
        self.keep_alive: bool = modern
        """Whether the client keeps the connection."""
        self.expects_continue: bool = False
        """Whether the client waits for 100 before it sends a body."""
        self.upgrades: bool = False
        """Whether the client offers to switch protocols."""
        if special is not None:
            passed_on = self._heed(special, passed_on, modern, bool(hosts))
        self.passed_on: list[HeaderType] = passed_on
        """The fields that go with the request; not to be changed."""

    def _heed(self, special: _Special, passed_on: list[HeaderType], modern: bool, has_host: bool) -> list[HeaderType]:
        """Do what the special fields say; return what is passed on."""
        options = special.options
        self.keep_alive = b"close" not in options if modern else _keeps_old(options, has_host)
        self.expects_continue = modern and b"100-continue" in special.expectations
        self.upgrades = modern and bool(special.upgrades) and b"upgrade" in options
        if options and (nominated := special.nominated()):
            passed_on = [field for field in passed_on if field[0] not in nominated]
        if self.upgrades:
            passed_on += special.upgrades
            if b"http2-settings" in options:  # it counts only where it is nominated (RFC 7540 §3.2.1)
                passed_on += special.http2_settings
        return passed_on


class Response(NamedTuple):
    """A response in the form of HTTP/2, and what its head says to the connection."""

    headers: list[HeaderType]
    keep_alive: bool


class _Special:
    """What the fields say that are not just passed on."""

    __slots__ = ("expectations", "http2_settings", "options", "upgrades")

    def __init__(self) -> None:
        self.options: list[bytes] = []
        self.expectations: list[bytes] = []
        self.upgrades: list[HeaderType] = []
        self.http2_settings: list[HeaderType] = []

    def take(self, field: HeaderType, others: list[HeaderType]) -> None:
        """Take note of a field, and add to ``others`` what is passed on of it."""
        name, value = field
        if name == b"connection":
            self.options += list_members(value)
        elif name == b"te":
            if b"trailers" in list_members(value):
                others.append((b"te", b"trailers"))
        elif name == b"expect":
            self.expectations += list_members(value)
            others.append(field)
        elif name == b"upgrade":
            self.upgrades.append(field)
        elif name == b"http2-settings":
            self.http2_settings.append(field)

    def nominated(self) -> frozenset[bytes]:
        """Return the names of the fields that a Connection field takes out."""
        return frozenset(self.options) - _NOT_NOMINATED


def request_section(method: bytes, target: bytes, fields: RequestFields, *, secure: bool) -> list[HeaderType]:
    """Return a request section in the form of HTTP/2.

    Args:
        method: its method.
        target: its request target.
        fields: its fields.
        secure: whether it came over TLS, which makes its scheme.

    Raises:
        Refusal: 400 for a target that cannot be taken.
    """
    scheme, host = b"https" if secure else b"http", fields.authority
    if b"#" in target:  # the one visible character that has no place in it; the front has seen to the rest
        raise Refusal(400, "malformed request target")
    if method == b"CONNECT":
        if not is_host_with_port(target):
            raise Refusal(400, "CONNECT without host and port")
        return [(b":method", method), (b":authority", target), *fields.passed_on]
    if target[0] == 0x2F or (target == b"*" and method == b"OPTIONS"):  # "/"
        path = target
    else:
        match = _ABSOLUTE_FORM.fullmatch(target)
        if match is None:
            raise Refusal(400, "request target of no known form")
        scheme, host, path = match.groups()
        scheme = scheme.lower()
        if not host or is_authority(host) is None:
            raise Refusal(400, "malformed authority in the request target")
        if not path:
            path = b"*" if method == b"OPTIONS" else b"/"
        elif path.startswith(b"?"):
            path = b"/" + path
    if host:
        return [(b":method", method), (b":scheme", scheme), (b":authority", host), (b":path", path), *fields.passed_on]
    return [(b":method", method), (b":scheme", scheme), (b":path", path), *fields.passed_on]


def _keeps_old(options: list[bytes], has_host: bool) -> bool:
    """Return whether the connection of a client of HTTP/1.0 is kept."""
    # one that names no host is not one that knows about connections
    return has_host and b"keep-alive" in options and b"close" not in options


def _host(hosts: list[bytes], minor_version: int) -> bytes:
    if len(hosts) != 1:
        if hosts or minor_version:
            raise Refusal(400, "not exactly one Host")
        return b""
    if is_authority(hosts[0]) is None:
        raise Refusal(400, "malformed Host")
    return hosts[0]


def translate_response(status: int, minor_version: int, received: Sequence[HeaderType]) -> Response:
    """Translate a response head. ``upgrade`` stays in a 101 and a 426, where it says something."""
    special = _Special()
    others: list[HeaderType] = []
    for field in received:
        if field[0] in _SPECIAL_FIELDS:
            special.take(field, others)
        else:
            others.append(field)
    options = special.options
    if options and (nominated := special.nominated()):
        others = [field for field in others if field[0] not in nominated]
    headers = [(b":status", b"%d" % status), *others]
    if status in {101, 426}:
        headers += special.upgrades
    return Response(headers, keep_alive=minor_version > 0 and b"close" not in options)


def translate_trailers(fields: Sequence[HeaderType]) -> list[HeaderType]:
    """Translate a trailer section, without what concerns the connection only."""
    return [field for field in fields if field[0] not in CONNECTION_FIELDS]
