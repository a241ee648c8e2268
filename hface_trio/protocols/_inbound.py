"""Sections as they were received: decoded, and checked once, however often they come.

Clients repeat themselves: so a decoder remembers what it made of the latest blocks, as long as that holds, and hands out the
same section again. Nobody may change it: what goes to the application is a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..models import HeaderType
from ._fields import SectionFacts

__all__ = ["InboundSection", "SectionMemory"]


class InboundSection:
    """A section that was received.

    Args:
        fields: its fields.
    """

    __slots__ = ("_check", "_facts", "fields")

    def __init__(self, fields: list[HeaderType]) -> None:
        self.fields: list[HeaderType] = fields
        self._check: Callable[[list[HeaderType]], SectionFacts] | None = None
        self._facts = _NOTHING

    def facts(self, check: Callable[[list[HeaderType]], SectionFacts]) -> SectionFacts:
        """Check the section and return what was found, which nobody may change; what ``check`` raises goes through."""
        if self._check is not check:
            self._facts = check(self.fields)
            self._check = check
        return self._facts


class SectionMemory:
    """The latest sections by their encoded blocks. Few and short ones: a connection must never keep much."""

    __slots__ = ("_sections",)

    _SECTIONS: Final = 16
    _BLOCK_OCTETS: Final = 256
    _SECTION_OCTETS: Final = 1024

    def __init__(self) -> None:
        self._sections: dict[bytes, InboundSection] = {}

    def find(self, block: bytes) -> InboundSection | None:
        """Return what a block stands for, if it is remembered."""
        return self._sections.get(block)

    def keep(self, block: bytes, section: InboundSection, octets: int) -> None:
        """Remember what a block stands for, unless it is too long."""
        if len(block) <= self._BLOCK_OCTETS and octets <= self._SECTION_OCTETS:
            if len(self._sections) >= self._SECTIONS:
                self._sections.clear()
            self._sections[block] = section

    def clear(self) -> None:
        """Forget everything: blocks mean something else now."""
        if self._sections:
            self._sections.clear()


_NOTHING: Final = SectionFacts()
