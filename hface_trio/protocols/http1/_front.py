"""The strict front: finds heads, chunk lines and trailers in the peer's octets, and lets only clean ones pass.

The engine behind it never sees an octet that was not checked here, so what it would forgive (bare LF, obs-fold, a head
of any size that comes in one read) is refused whatever the engine. The rules:

- Lines are judged in the order of the stream, each when its LF is there, and sizes at the octet that goes over. The same
  octet of a stream is therefore refused for the same reason, however the stream was cut into reads.
- A whole head that comes in one read, the usual case, is matched by one pattern; everything else goes line by line. No
  octet is looked at more than a fixed number of times.

Source: RFC 9112 §2.2 (lines), §3 (request line), §4 (status line), §5 (fields).
"""

from __future__ import annotations

import re

from ._refusal import Refusal

__all__ = ["HeadScanner", "request_scanner", "response_scanner", "trailer_scanner"]

# token = 1*tchar (RFC 9110 §5.6.2)
_TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# field-line = field-name ":" OWS field-value OWS, the value of VCHAR, obs-text, SP and HTAB (RFC 9112 §5)
_FIELD_LINE = _TCHAR + rb"++:[\t\x20-\x7e\x80-\xff]*+\r\n"
# request-line = method SP request-target SP "HTTP/" DIGIT "." DIGIT (RFC 9112 §3)
_REQUEST_LINE = _TCHAR + rb"++ [\x21-\x7e]++ HTTP/1\.[0-9]\r\n"
# status-line = HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112 §4); the last SP may be missing
_STATUS_LINE = rb"HTTP/1\.[0-9] [1-9][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*+)?\r\n"
# a request line of another major version, also in forms that HTTP/1 does not have ("HTTP/2")
_OTHER_MAJOR_VERSION = re.compile(_TCHAR + rb"++ [\x21-\x7e]++ HTTP/(?!1[.\r])[0-9]++(?:\.[0-9]++)?\r\n")

# a trailer field cannot decide about framing or routing any more (RFC 9110 §6.5.1)
_TRAILER_LINE = rb"(?!(?i:content-length|transfer-encoding|host):)" + _FIELD_LINE
_FIELD = re.compile(_FIELD_LINE)
_TRAILER = re.compile(_TRAILER_LINE)
_REQUEST = re.compile(_REQUEST_LINE)
_STATUS = re.compile(_STATUS_LINE)
_CLEAN_REQUEST = re.compile(_REQUEST_LINE + rb"(?:" + _FIELD_LINE + rb")*+\r\n")
_CLEAN_RESPONSE = re.compile(_STATUS_LINE + rb"(?:" + _FIELD_LINE + rb")*+\r\n")
_CLEAN_TRAILERS = re.compile(rb"(?:" + _TRAILER_LINE + rb")*+\r\n")
_TCHARS = frozenset(octet for octet in range(128) if re.match(_TCHAR, bytes([octet])))


class HeadScanner:
    """Finds the end of one section of lines after another, and checks them on the way.

    Args:
        clean: pattern of a whole section.
        start_line: pattern of the line before the fields; ``None`` when there is none (trailers).
        first_octets: what the first octet may be; ``None`` to judge whole lines only.
        max_octets: the octet after so many is refused with 431.
        max_fields: the field after so many is refused with 431.
    """

    __slots__ = (
        "_checked",
        "_clean",
        "_first_octets",
        "_max_fields",
        "_max_octets",
        "_searched",
        "_start_line",
        "fields",
        "octets",
    )

    def __init__(
        self,
        clean: re.Pattern[bytes],
        start_line: re.Pattern[bytes] | None,
        first_octets: frozenset[int] | None,
        max_octets: float,
        max_fields: float,
    ) -> None:
        self._clean = clean
        self._start_line = start_line
        self._first_octets = first_octets
        self._max_octets = max_octets
        self._max_fields = max_fields
        self._checked = 0
        self._searched = 0
        self.fields: int = 0
        """Number of fields of the section that was found last."""
        self.octets: int = 0
        """Size of the section that was found last."""

    def scan(self, source: bytes | bytearray, start: int) -> int:
        """Look on in a section that begins at ``source[start]``.

        Returns:
            Where the section ends, or -1 when its end has not come yet. Then ``scan`` is called again with more, the
            section still in one piece.

        Raises:
            Refusal: the section is not well-formed, or past a limit.
        """
        if not self._searched:
            match = self._clean.match(source, start)
            if match is not None:
                end = match.end()
                fields = source.count(b"\n", start, end) - (1 if self._start_line is None else 2)
                if end - start <= self._max_octets and fields <= self._max_fields:
                    self.octets = end - start
                    self.fields = fields
                    return end
            self.fields = 0
        return self._scan_lines(source, start)

    def _scan_lines(self, source: bytes | bytearray, start: int) -> int:
        while True:
            newline = source.find(b"\n", start + self._searched)
            end = (len(source) if newline < 0 else newline + 1) - start
            if not self._checked and end and self._first_octets and source[start] not in self._first_octets:
                raise Refusal(400, "not a start line of HTTP/1.1")
            if end > self._max_octets:
                raise Refusal(431, f"section of more than {self._max_octets} octets")
            self._searched = end
            if newline < 0:
                return -1
            line = bytes(source[start + self._checked : newline + 1])
            if line == b"\r\n" and (self._checked or self._start_line is None):
                self.octets = end
                self._checked = self._searched = 0
                return newline + 1
            self._check_line(line)
            self._checked = end

    def _check_line(self, line: bytes) -> None:
        if self._checked or self._start_line is None:
            if (_FIELD if self._start_line else _TRAILER).fullmatch(line) is None:
                raise Refusal(400, "malformed or forbidden field line")
            self.fields += 1
            if self.fields > self._max_fields:
                raise Refusal(431, f"more than {self._max_fields} fields")
        elif self._start_line.fullmatch(line) is None:
            if _OTHER_MAJOR_VERSION.fullmatch(line) is not None:
                raise Refusal(505, "request of another major version of HTTP")
            raise Refusal(400, "malformed start line")


def request_scanner(max_octets: float, max_fields: float) -> HeadScanner:
    """Make a scanner of request heads."""
    return HeadScanner(_CLEAN_REQUEST, _REQUEST, _TCHARS, max_octets, max_fields)


def response_scanner(max_octets: float, max_fields: float) -> HeadScanner:
    """Make a scanner of response heads."""
    return HeadScanner(_CLEAN_RESPONSE, _STATUS, frozenset(b"H"), max_octets, max_fields)


def trailer_scanner(max_octets: float, max_fields: float) -> HeadScanner:
    """Make a scanner of trailer sections."""
    return HeadScanner(_CLEAN_TRAILERS, None, None, max_octets, max_fields)
