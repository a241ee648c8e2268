"""Sections on their way out: brought into form and checked, before anything of the connection changes."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import LocalProtocolError
from ...models import HeadersType, HeaderType
from .._fields import MalformedSectionError, SectionFacts, facts_unchecked, normalize
from ._codes import HTTP3Setting
from ._connection import Connection
from ._sections import section_octets

__all__ = ["prepare_section"]


def prepare_section(
    headers: HeadersType, connection: Connection, check: Callable[[list[HeaderType]], SectionFacts | None]
) -> tuple[list[HeaderType], SectionFacts]:
    """Return a section as it is to be sent, and what was found in it.

    Args:
        headers: the section, as the caller gave it.
        connection: what it is to be sent on.
        check: checks a section of its kind.

    Raises:
        LocalProtocolError: it must not be sent, or the peer said that it is too large for it.
    """
    settings = connection.settings
    for field in headers:
        if not isinstance(field[0], bytes) or not isinstance(field[1], bytes):
            raise LocalProtocolError(f"names and values of fields are bytes, got {field!r}")
    if settings.normalize_outbound_headers:
        fields = normalize(headers, split_cookies=settings.split_outbound_cookies)
    else:
        fields = list(headers)
    if settings.validate_outbound_headers:
        try:
            facts = check(fields) or SectionFacts()
        except MalformedSectionError as exc:
            raise LocalProtocolError(str(exc)) from exc
    else:
        facts = facts_unchecked(fields)
    largest = (connection.peer_settings or {}).get(HTTP3Setting.MAX_FIELD_SECTION_SIZE)
    if largest is not None and section_octets(fields) > largest:
        raise LocalProtocolError(f"field section is longer than the {largest} octets that the peer takes")
    return fields, facts
