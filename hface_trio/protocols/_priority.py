"""Priorities of streams: the scheme of RFC 9218, and what RFC 7540 had before it.

A value that does not parse is ignored, as RFC 9218 §4 demands. Only the parameters ``u`` and ``i`` are looked at; other
members of the dictionary (RFC 8941 §3.2) have to be well-formed and are skipped.
"""

from __future__ import annotations

import functools
import re
from collections import OrderedDict
from typing import Final, NamedTuple

__all__ = ["DEFAULT_PRIORITY", "EarlyPriorities", "Priority", "StreamDependency"]


class Priority(NamedTuple):
    """Urgency and delivery of a response (RFC 9218 §4).

    Args:
        urgency: 0, most urgent, to 7.
        incremental: whether parts of the response are of use, so that it may share with others of its urgency.
    """

    urgency: int = 3
    incremental: bool = False


class StreamDependency(NamedTuple):
    """A priority signal of RFC 7540 §5.3: it is read, and obeyed by nothing, as RFC 9113 §5.3 has it.

    Args:
        depends_on: stream id of the parent; 0 for none.
        weight: 1 to 256.
        exclusive: whether the stream becomes the only child.
    """

    depends_on: int = 0
    weight: int = 16
    exclusive: bool = False


DEFAULT_PRIORITY: Final = Priority()


class EarlyPriorities:
    """Priorities that came before their streams (RFC 9218 §7): the latest of each of a bounded number."""

    __slots__ = ("_by_stream",)

    _MAXIMUM = 128

    def __init__(self) -> None:
        self._by_stream: OrderedDict[int, Priority] | None = None  # few connections ever have one

    def __len__(self) -> int:
        return 0 if self._by_stream is None else len(self._by_stream)

    def note(self, stream_id: int, priority: Priority) -> None:
        """Keep the priority of a stream."""
        if self._by_stream is None:
            self._by_stream = OrderedDict()
        self._by_stream[stream_id] = priority
        if len(self._by_stream) > self._MAXIMUM:
            self._by_stream.popitem(last=False)

    def of(self, stream_id: int, field_value: bytes | None) -> Priority | None:
        """Return the priority that a new stream has: what came before it goes above what its ``priority`` field says."""
        if self._by_stream and (early := self._by_stream.pop(stream_id, None)) is not None:
            return early
        return None if field_value is None else parse_priority(field_value)


_STRING = rb'"(?:[ !#-\[\]-~]|\\["\\])*"'
_BARE_ITEM = (
    rb"-?[0-9]{1,15}(?:\.[0-9]{1,3})?|"
    + _STRING
    + rb"|[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*|:[A-Za-z0-9+/=]*:|\?[01]"
)
_KEY = rb"[a-z*][a-z0-9_\-.*]*"
_PARAMETERS = rb"(?:;[ ]*" + _KEY + rb"(?:=(?:" + _BARE_ITEM + rb"))?)*"
_INNER_LIST = rb"\([^()\"]*\)"
_MEMBER = re.compile(
    rb"(?P<key>"
    + _KEY
    + rb")(?:=(?P<value>"
    + _BARE_ITEM
    + rb"|"
    + _INNER_LIST
    + rb"))?"
    + _PARAMETERS
    + rb"(?P<end>[ \t]*,[ \t]*|[ ]*\Z)"
)
_MAXIMUM_OCTETS: Final = 1024


@functools.lru_cache(256)
def parse_priority(value: bytes) -> Priority | None:
    """Parse the value of a ``priority`` field or PRIORITY_UPDATE frame.

    Returns:
        The priority, defaults standing in for what is absent or out of range; ``None`` if ``value`` is not a dictionary
        of structured fields.
    """
    value = value.strip(b" ")
    if len(value) > _MAXIMUM_OCTETS:
        return None
    urgency, incremental = DEFAULT_PRIORITY
    position = 0
    while position < len(value):
        member = _MEMBER.match(value, position)
        if member is None:
            return None
        position = member.end()
        if position == len(value) and b"," in member["end"]:
            return None
        text = member["value"]
        if member["key"] == b"u":
            urgency = (
                int(text) if text is not None and len(text) == 1 and b"0" <= text <= b"7" else DEFAULT_PRIORITY.urgency
            )
        elif member["key"] == b"i":
            incremental = text is None or text == b"?1"
    return Priority(urgency, incremental)


def format_priority(priority: Priority) -> bytes:
    """Return the field value of a priority."""
    return b"u=%d, i" % priority.urgency if priority.incremental else b"u=%d" % priority.urgency
