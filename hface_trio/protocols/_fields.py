"""What a field section must look like (RFC 9113 §8.2, §8.3), for both directions.

The same checks stand before everything that goes out and behind everything that comes in: a malformed section is
never sent, never delivered, and never repaired. ``MalformedSectionError`` carries the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from hpack import NeverIndexedHeaderTuple

from ..errors import LocalProtocolError
from ..models import HeadersType, HeaderType
from ._targets import is_authority, is_host_with_port, is_target

__all__ = [
    "FORBIDDEN_TRAILERS",
    "MalformedSectionError",
    "SectionFacts",
    "check_own_trailers",
    "check_request",
    "check_response",
    "check_trailers",
    "octet_pairs",
]

_is_name: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_is_bad_value: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|\A[ \t]|[ \t]\Z").search  # RFC 9110 §5.5
_is_token: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_is_scheme: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+\-.]*").fullmatch
_is_status: Final = re.compile(rb"[1-9][0-9]{2}").fullmatch
_is_length: Final = re.compile(rb"[0-9]{1,19}").fullmatch

_CONNECTION_SPECIFIC: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
    }
)
_SPECIAL: Final = _CONNECTION_SPECIFIC | {b"content-length", b"cookie", b"expect", b"host", b"priority", b"te"}
_REQUEST_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})
_RESPONSE_PSEUDO: Final = frozenset({b":status"})
_NO_PSEUDO: Final[frozenset[bytes]] = frozenset()
FORBIDDEN_TRAILERS: Final = frozenset({b"content-length", b"host", b"transfer-encoding"})
"""What decides about framing and routing, and so cannot come late (RFC 9110 §6.5.1)."""
_FIELD_OVERHEAD: Final = 32
_SHORT_COOKIE_OCTETS: Final = 20  # so short a secret could be guessed from the lengths of compressed sections


class MalformedSectionError(ValueError):
    """A section breaks the rules; the message says which."""


def octet_pairs(headers: HeadersType) -> list[HeaderType]:
    """Return a section of the application as tuples of a name and a value; other sequences of two are made tuples.

    Raises:
        LocalProtocolError: it is something else.
    """
    pairs: list[HeaderType] = []
    given: Iterable[object] = headers
    for each in given:
        field = tuple(each) if isinstance(each, list) else each
        if (
            not isinstance(field, tuple)
            or len(field) != 2
            or not isinstance(field[0], bytes)
            or not isinstance(field[1], bytes)
        ):
            raise LocalProtocolError(f"a field is a name and a value, both of them bytes, and not {each!r}")
        pairs.append(field)
    return pairs


class SectionFacts:
    """What was found while a section was checked; ``None`` stands for absent."""

    __slots__ = (
        "authority",
        "content_length",
        "cookies",
        "expects_continue",
        "host",
        "method",
        "path",
        "priority",
        "protocol",
        "scheme",
        "status",
    )

    def __init__(self) -> None:
        self.method: bytes | None = None
        self.scheme: bytes | None = None
        self.authority: bytes | None = None
        self.path: bytes | None = None
        self.protocol: bytes | None = None
        self.status: int = 0
        self.content_length: int | None = None
        self.host: bytes | None = None
        self.priority: bytes | None = None
        self.cookies: int = 0
        self.expects_continue: bool = False


def check_request(headers: Iterable[HeaderType]) -> SectionFacts:
    """Check the section of a request. Whether ``:protocol`` is known here (RFC 8441, RFC 9220) is for the caller to say.

    Raises:
        MalformedSectionError: it must not be sent, or delivered.
    """
    facts = SectionFacts()
    pseudo = _check_fields(headers, _REQUEST_PSEUDO, facts)
    method = facts.method = pseudo.get(b":method")
    facts.scheme = pseudo.get(b":scheme")
    facts.authority = pseudo.get(b":authority")
    facts.path = pseudo.get(b":path")
    facts.protocol = pseudo.get(b":protocol")
    if method is None or not _is_token(method):
        raise MalformedSectionError(":method is missing or not a token")
    if facts.protocol is not None and (method != b"CONNECT" or not _is_token(facts.protocol)):
        raise MalformedSectionError(":protocol is not allowed here, or not a token")
    _check_authority(facts)
    if method == b"CONNECT":
        facts.content_length = None
        if facts.protocol is None:
            if facts.scheme is not None or facts.path is not None:
                raise MalformedSectionError("CONNECT with :scheme or :path")
            if facts.authority is None or not is_host_with_port(facts.authority):
                raise MalformedSectionError("CONNECT without :authority of host and port")
            return facts
    _check_target(facts)
    return facts


def check_response(headers: Iterable[HeaderType]) -> SectionFacts:
    """Check the section of a response, interim or final.

    Raises:
        MalformedSectionError: it must not be sent, or delivered.
    """
    facts = SectionFacts()
    status = _check_fields(headers, _RESPONSE_PSEUDO, facts).get(b":status")
    if status is None or not _is_status(status):
        raise MalformedSectionError(":status is missing or not a status code")
    if status == b"101":
        raise MalformedSectionError("status 101 does not exist in HTTP/2")
    facts.status = int(status)
    return facts


def check_trailers(headers: Iterable[HeaderType]) -> None:
    """Check a trailer section.

    Raises:
        MalformedSectionError: it must not be sent, or delivered.
    """
    _check_fields(headers, _NO_PSEUDO, SectionFacts())


def check_own_trailers(headers: Iterable[HeaderType]) -> None:
    """Check a trailer section of this side, which has to leave out what cannot come late, and not only to ignore it.

    Raises:
        MalformedSectionError: it must not be sent.
    """
    fields = list(headers)
    check_trailers(fields)
    for name, _ in fields:
        if name in FORBIDDEN_TRAILERS:
            raise MalformedSectionError(f"{name!r} cannot be a trailer")


def facts_unchecked(headers: Iterable[HeaderType]) -> SectionFacts:
    """Return what can be found in a section without checking it."""
    facts = SectionFacts()
    names = {
        b":method": "method",
        b":scheme": "scheme",
        b":authority": "authority",
        b":path": "path",
        b":protocol": "protocol",
    }
    for name, value in headers:
        if name in names:
            setattr(facts, names[name], value)
        elif name == b":status" and _is_status(value):
            facts.status = int(value)
        elif name == b"content-length" and _is_length(value):
            facts.content_length = int(value)
        elif name == b"cookie":
            facts.cookies += 1
        elif name == b"priority":
            facts.priority = value
    return facts


def join_cookies(headers: list[HeaderType]) -> list[HeaderType]:
    """Join the ``cookie`` fields of a section where the first of them stands (RFC 9113 §8.2.3)."""
    cookies = b"; ".join([value for name, value in headers if name == b"cookie"])
    joined: list[HeaderType] = []
    for field in headers:
        if field[0] != b"cookie":
            joined.append(field)
        elif cookies is not None:
            joined.append((b"cookie", cookies))
            cookies = None  # type: ignore[assignment]
    return joined


def normalize(headers: HeadersType, *, split_cookies: bool = False) -> list[HeaderType]:
    """Return a section as HTTP/2 wants it: lower-case names, no white space around values, nothing connection-specific.

    ``te: trailers`` stays, and so do the classes of fields that are never to be indexed.
    """
    fields: list[HeaderType] = []
    for field in headers:
        name, value = field[0].lower(), field[1].strip(b" \t")
        if name in _CONNECTION_SPECIFIC:
            continue
        if split_cookies and name == b"cookie":
            fields += [_same_kind(field, name, cookie) for cookie in value.split(b"; ")]
        elif name == field[0] and len(value) == len(field[1]):
            fields.append(field)
        else:
            fields.append(_same_kind(field, name, value))
    return fields


def protect_secrets(headers: HeadersType, never_indexed: frozenset[bytes]) -> list[HeaderType]:
    """Mark the fields that must stay out of compression tables (RFC 7541 §7.1.3)."""
    return [
        NeverIndexedHeaderTuple(field[0], field[1])
        if field[0] in never_indexed or (field[0] == b"cookie" and len(field[1]) < _SHORT_COOKIE_OCTETS)
        else field
        for field in headers
    ]


def is_never_indexed(field: HeaderType) -> bool:
    """Whether a field must stay out of compression tables."""
    return isinstance(field, NeverIndexedHeaderTuple)


def section_octets(fields: list[HeaderType]) -> int:
    """Return the size of a section as limits count it (RFC 9113 §6.5.2, RFC 9114 §4.2.2)."""
    octets = _FIELD_OVERHEAD * len(fields)
    for field in fields:
        octets += len(field[0]) + len(field[1])
    return octets


def _same_kind(field: HeaderType, name: bytes, value: bytes) -> HeaderType:
    return NeverIndexedHeaderTuple(name, value) if isinstance(field, NeverIndexedHeaderTuple) else (name, value)


def _check_fields(headers: Iterable[HeaderType], allowed: frozenset[bytes], facts: SectionFacts) -> dict[bytes, bytes]:
    pseudo: dict[bytes, bytes] = {}
    regular = False
    for name, value in headers:
        if _is_bad_value(value):
            raise MalformedSectionError(f"value of {name!r} holds a forbidden octet")
        if name[:1] == b":":
            if regular or name in pseudo or name not in allowed:
                raise MalformedSectionError(f"pseudo-header field {name!r} out of place")
            pseudo[name] = value
            continue
        regular = True
        if name in _SPECIAL:
            _CHECKS.get(name, _refuse)(facts, name, value)
        elif not _is_name(name):
            raise MalformedSectionError(f"{name!r} is not the name of a field")
    return pseudo


def _refuse(_facts: SectionFacts, name: bytes, _value: bytes) -> None:
    raise MalformedSectionError(f"connection-specific field {name!r}")


def _note_content_length(facts: SectionFacts, _name: bytes, value: bytes) -> None:
    if not _is_length(value):
        raise MalformedSectionError("content-length is not a number")
    length = int(value)
    if facts.content_length is not None and facts.content_length != length:
        raise MalformedSectionError("conflicting content-length fields")
    facts.content_length = length


def _note_cookie(facts: SectionFacts, _name: bytes, _value: bytes) -> None:
    facts.cookies += 1


def _note_expect(facts: SectionFacts, _name: bytes, value: bytes) -> None:
    facts.expects_continue = value.lower() == b"100-continue"


def _note_host(facts: SectionFacts, _name: bytes, value: bytes) -> None:
    if facts.host is not None:
        raise MalformedSectionError("more than one host field")
    facts.host = value


def _note_priority(facts: SectionFacts, _name: bytes, value: bytes) -> None:
    facts.priority = value if facts.priority is None else facts.priority + b", " + value


def _check_te(_facts: SectionFacts, _name: bytes, value: bytes) -> None:
    if value.lower() != b"trailers":
        raise MalformedSectionError("te other than trailers")


_CHECKS: Final[dict[bytes, Callable[[SectionFacts, bytes, bytes], None]]] = {
    b"content-length": _note_content_length,
    b"cookie": _note_cookie,
    b"expect": _note_expect,
    b"host": _note_host,
    b"priority": _note_priority,
    b"te": _check_te,
}


def _check_authority(facts: SectionFacts) -> None:
    authority, host = facts.authority, facts.host
    if authority is not None and (not authority or not is_authority(authority)):
        raise MalformedSectionError(":authority is empty or not an authority")
    if authority is not None and host is not None and authority.lower() != host.lower():
        raise MalformedSectionError(":authority and host disagree")
    if authority is None and (not host or not is_authority(host)):
        raise MalformedSectionError("neither :authority nor a usable host")


def _check_target(facts: SectionFacts) -> None:
    if facts.scheme is None or not _is_scheme(facts.scheme):
        raise MalformedSectionError(":scheme is missing or not a scheme")
    path = facts.path
    if path is None or not is_target(path):
        raise MalformedSectionError(":path is missing, empty or holds a forbidden octet")
    if (
        facts.scheme.lower() in {b"http", b"https"}
        and path[:1] != b"/"
        and (path != b"*" or facts.method != b"OPTIONS")
    ):
        raise MalformedSectionError(":path is not absolute")
