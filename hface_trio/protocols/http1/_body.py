"""Frames bodies: how far the octets at hand belong to the current message, and whether they are well-formed.

A framer never decodes: it lets a run of octets pass to the engine, of which at most ``window`` are data. They pass as
they came, but for chunk extensions, which nobody reads and engines judge differently: a run ends with the line that has
one, and ``substitute`` stands for that line. Framing octets pass only when a line is complete and checked, so the
engine never waits inside one.

Chunk framing has two costs that a peer may inflate. What every chunk needs (its shortest size, its CRLFs) is at most five
octets for each octet of data, and free. What none needs (extensions, leading zeros) is charged to a budget.

Source: RFC 9112 §6 (body), §7.1 (chunked).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar

from ._front import HeadScanner
from ._refusal import Refusal

__all__ = ["BodyFramer", "ChunkedFramer", "LengthFramer", "UntilCloseFramer"]

# chunk-size [ chunk-ext ] CRLF; a size of 16 digits fits every counter
# chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ), a value is a token or a quoted-string
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_EXTENSION = rb"[\t ]*+;[\t ]*+" + _TOKEN + rb"(?:[\t ]*+=[\t ]*+(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:" + _EXTENSION + rb")*\r\n")
_MAX_SIZE_DIGITS = 16


class BodyFramer(ABC):
    """Framing of one body that is being received."""

    __slots__ = ("complete", "refusal", "substitute", "substitute_at")
    encoded: ClassVar[bool] = False
    """Whether the octets that pass are other than the data."""

    def __init__(self) -> None:
        self.complete = False
        """Whether the last octet of the body has passed."""
        self.refusal: Refusal | None = None
        """Why the octet that ``advance`` stopped at cannot be taken."""
        self.substitute: bytes | None = None
        """What the engine is given instead of the last line of the run, from ``substitute_at`` on."""
        self.substitute_at = 0

    @property
    @abstractmethod
    def wants_credit(self) -> bool:
        """Whether the next octet is data, which passes only within the window."""

    @property
    @abstractmethod
    def octets_left(self) -> int | None:
        """How many octets of the body are still to come; ``None`` when that is not known."""

    @abstractmethod
    def advance(self, source: bytes | bytearray, start: int, window: int) -> int:
        """Return the end of the run from ``source[start]`` that may pass now, with at most ``window`` data octets."""


class LengthFramer(BodyFramer):
    """A body with Content-Length."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        super().__init__()
        self._left = length

    @property
    def wants_credit(self) -> bool:
        return self._left > 0

    @property
    def octets_left(self) -> int:
        return self._left

    def advance(self, source: bytes | bytearray, start: int, window: int) -> int:
        taken = min(len(source) - start, self._left, window)
        self._left -= taken
        self.complete = not self._left
        return start + taken


class UntilCloseFramer(BodyFramer):
    """A body that ends with the connection (responses only)."""

    __slots__ = ()

    @property
    def wants_credit(self) -> bool:
        return True

    @property
    def octets_left(self) -> None:
        return None

    def advance(self, source: bytes | bytearray, start: int, window: int) -> int:
        return min(len(source), start + window)


class ChunkedFramer(BodyFramer):
    """A body in chunks.

    Args:
        trailers: scanner of the trailer section.
        max_octets: data beyond it is refused with 413, as soon as a chunk announces it.
        overhead_octets: what extensions and leading zeros may cost.
    """

    __slots__ = ("_in_trailers", "_left", "_max_octets", "_overhead", "_seen", "_trailers")
    encoded = True

    def __init__(self, trailers: HeadScanner, max_octets: float, overhead_octets: float) -> None:
        super().__init__()
        self._trailers = trailers
        self._max_octets = max_octets
        self._overhead = overhead_octets
        self._seen = 0
        self._left = -1  # data left in the chunk; 0: its CRLF is due; -1: a chunk line is due
        self._in_trailers = False

    @property
    def wants_credit(self) -> bool:
        return self._left > 0

    @property
    def octets_left(self) -> None:
        return None

    def advance(self, source: bytes | bytearray, start: int, window: int) -> int:
        position, size = start, len(source)
        self.substitute = None
        try:
            while position < size and self.substitute is None:
                if self._left > 0:
                    taken = min(size - position, self._left, window)
                    if not taken:
                        break
                    self._left -= taken
                    window -= taken
                    position += taken
                elif self._left == 0:
                    if not self._has_crlf(source, position):
                        break
                    self._left = -1
                    position += 2
                elif self._in_trailers:
                    end = self._trailers.scan(source, position)
                    if end >= 0:
                        self.complete = True
                        position = end
                    break
                else:
                    end = self._chunk_line(source, position)
                    if end < 0:
                        break
                    position = end
        except Refusal as refusal:
            self.refusal = refusal
        return position

    @staticmethod
    def _has_crlf(source: bytes | bytearray, position: int) -> bool:
        found = source[position : position + 2]
        if not b"\r\n".startswith(found):
            raise Refusal(400, "chunk without its CRLF")
        return len(found) == 2

    def _chunk_line(self, source: bytes | bytearray, start: int) -> int:
        longest = _MAX_SIZE_DIGITS + 2 + self._overhead
        newline = source.find(b"\n", start)
        end = len(source) if newline < 0 else newline + 1
        if end - start > longest:
            raise Refusal(400, "chunk extensions past their budget")
        if newline < 0:
            return -1
        match = _CHUNK_LINE.fullmatch(source, start, end)
        if match is None:
            raise Refusal(400, "malformed chunk line")
        size = int(match[1], 16)
        plain = b"%x\r\n" % size
        overhead = end - start - len(plain)
        if overhead:
            self._overhead -= overhead
            if self._overhead < 0:
                raise Refusal(400, "chunk extensions past their budget")
            self.substitute = plain
            self.substitute_at = start
        self._seen += size
        if self._seen > self._max_octets:
            raise Refusal(413, f"body of more than {self._max_octets} octets")
        if size:
            self._left = size
        else:
            self._in_trailers = True
        return end
