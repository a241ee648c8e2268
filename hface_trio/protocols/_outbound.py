"""Sections on their way out: brought into form, checked, and protected, before anything of the connection changes.

What an application sends repeats itself: the same head for every response, or one of a few. So the latest sections are
remembered as they were prepared, and with them how they were encoded. Only sections of plain tuples of octets are: others
may be equal to them and yet mean something else, such as fields that are never to be indexed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from ..errors import LocalProtocolError
from ..models import HeadersType, HeaderType
from ._fields import (
    MalformedSectionError,
    SectionFacts,
    facts_unchecked,
    normalize,
    octet_pairs,
    protect_secrets,
    section_octets,
)

__all__ = ["OutboundSection", "SectionCheck", "SectionPreparer"]

SectionCheck: TypeAlias = Callable[[list[HeaderType]], SectionFacts | None]
"""Checks a section of one kind."""

_REMEMBERED_SECTIONS: Final = 16
_REMEMBERED_OCTETS: Final = 1024  # of a section that is remembered, so that a connection never keeps much
_PLAIN: Final = {tuple}


class OutboundSection:
    """A section as it is to be sent.

    Args:
        fields: its fields.
        facts: what was found in it.
        check: how it was checked.
    """

    __slots__ = ("block", "check", "facts", "fields", "octets", "table_state")

    def __init__(self, fields: list[HeaderType], facts: SectionFacts, check: SectionCheck) -> None:
        self.fields: list[HeaderType] = fields
        self.facts: SectionFacts = facts
        self.check: SectionCheck = check
        self.octets: int = section_octets(fields)
        """Its size as the peer's limit counts it."""
        self.block: bytes | None = None
        """How it was encoded last."""
        self.table_state: int = -1
        """The state of the compression table for which ``block`` holds."""


class SectionPreparer:
    """Prepares the sections of one connection.

    Args:
        normalized: bring sections into the form that HTTP/2 and HTTP/3 want.
        checked: check them.
        split_cookies: send each cookie as a field of its own.
        never_indexed: names of fields that must stay out of compression tables; ``None`` where there are none.
    """

    __slots__ = ("_checked", "_never_indexed", "_normalized", "_remembered", "_split_cookies")

    def __init__(
        self, *, normalized: bool, checked: bool, split_cookies: bool, never_indexed: frozenset[bytes] | None
    ) -> None:
        self._normalized = normalized
        self._checked = checked
        self._split_cookies = split_cookies
        self._never_indexed = never_indexed
        self._remembered: dict[HeadersType, OutboundSection] = {}

    def prepare(self, headers: HeadersType, check: SectionCheck) -> OutboundSection:
        """Return a section as it is to be sent, and what was found in it.

        Args:
            headers: the section, as the caller gave it.
            check: checks a section of its kind.

        Raises:
            LocalProtocolError: it must not be sent.
        """
        key = tuple(headers)
        plain = {*map(type, key)} == _PLAIN
        if plain:
            try:
                section = self._remembered.get(key)
            except TypeError:  # something in it cannot be hashed, and is no octets therefore
                section, plain = None, False
            if section is not None and section.check is check:
                return section
        section = self._prepare(headers, check)
        if plain and section.octets <= _REMEMBERED_OCTETS:
            if len(self._remembered) >= _REMEMBERED_SECTIONS:
                self._remembered.clear()
            self._remembered[key] = section
        return section

    def _prepare(self, headers: HeadersType, check: SectionCheck) -> OutboundSection:
        fields = octet_pairs(headers)
        if self._normalized:
            fields = normalize(fields, split_cookies=self._split_cookies)
        if self._checked:
            try:
                facts = check(fields) or SectionFacts()
            except MalformedSectionError as exc:
                raise LocalProtocolError(str(exc)) from exc
        else:
            facts = facts_unchecked(fields)
        if self._never_indexed is not None:
            fields = protect_secrets(fields, self._never_indexed)
        return OutboundSection(fields, facts, check)
