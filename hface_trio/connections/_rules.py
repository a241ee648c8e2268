"""The rules of a message's sending side, the same on every version.

A message is a head, data, and an end; the end comes with the head, with data or as trailers. What the rules refuse raises
:class:`~hface_trio.errors.LocalProtocolError` before anything is submitted. Sources: RFC 9110 §6.4.1 (which messages have
no content), §8.6 (Content-Length), §9.3.2 (HEAD), §9.3.6 (CONNECT), §9.3.8 (TRACE), §10.1.1 (Expect), §15 (statuses),
§15.2 (1xx), §15.3.6 (205).
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import LocalProtocolError, NoTunnelError
from ..models import HeadersType

__all__ = [
    "ResponseFacts",
    "SendingRules",
    "content_length_of",
    "describe_response",
    "has_field",
    "received_status_of",
    "status_of",
]

_SENT = "the head was sent already"
_STATUSES = {b"%d" % status: status for status in range(100, 600)}


def has_field(headers: HeadersType, wanted: bytes) -> bool:
    """Return whether a section has a field of this name."""
    for name, _ in headers:  # noqa: SIM110  # a generator costs more than the loop
        if name == wanted:
            return True
    return False


def status_of(headers: HeadersType) -> int:
    """Return the status of a response head that is to be sent.

    Raises:
        LocalProtocolError: there is no valid ``:status``.
    """
    for name, value in headers:
        if name == b":status":
            status = _STATUSES.get(value)
            if status is None:
                raise LocalProtocolError(f":status must be from 100 to 599, got {value!r}")
            return status
    raise LocalProtocolError("a response needs a :status field")


def received_status_of(headers: HeadersType) -> int:
    """Return the status of a response that came: from 100 to 999, as RFC 9110 §15 wants those from 600 taken for 5xx."""
    return next(int(value) for name, value in headers if name == b":status")


def content_length_of(headers: HeadersType) -> int | None:
    """Return the length a head declares, or ``None``.

    Raises:
        LocalProtocolError: the field is malformed, or there are several.
    """
    length: int | None = None
    for name, value in headers:
        if name == b"content-length":
            length = _read_length(value, length)
    return length


class ResponseFacts(NamedTuple):
    """What a response head says that concerns whoever sends it."""

    status: int
    content_length: int | None
    dated: bool
    advertises: bool
    """It names alternative services."""


def describe_response(headers: HeadersType) -> ResponseFacts:
    """Read a response head that is to be sent.

    Raises:
        LocalProtocolError: there is no valid ``:status``, or no valid length.
    """
    status: int | None = None
    length: int | None = None
    dated = advertises = False
    for name, value in headers:
        if name == b":status":
            status = _STATUSES.get(value)
            if status is None:
                break
        elif name == b"content-length":
            length = _read_length(value, length)
        elif name == b"date":
            dated = True
        elif name == b"alt-svc":
            advertises = True
    if status is None:
        status = status_of(headers)  # raises
    return ResponseFacts(status, length, dated, advertises)


def _read_length(value: bytes, earlier: int | None) -> int:
    if earlier is not None or not value.isdigit() or len(value) > 19:
        raise LocalProtocolError(f"content-length must be one number, got {value!r}")
    return int(value)


class SendingRules:
    """What may be sent next on one stream.

    Args:
        head_request: the response answers a HEAD request: its body is dropped, its content-length stays.
    """

    __slots__ = ("_bodiless", "_head_request", "_remaining", "broken", "ended", "head_sent", "tunnel")

    def __init__(self, *, head_request: bool = False) -> None:
        self.head_sent: bool = False
        """A final head was submitted."""
        self.ended: bool = False
        """END_STREAM was submitted."""
        self.broken: bool = False
        """A send was cut off part-way: nothing more can be sent."""
        self.tunnel: bool = False
        self._head_request = head_request
        self._remaining: int | None = None
        self._bodiless = False

    def response_head(self, status: int, length: int | None, end_stream: bool, *, connect: bool) -> None:
        """Check the head of a final response and note what it promises.

        Args:
            status: its status.
            length: the content-length it declares.
            end_stream: no body follows.
            connect: it answers a CONNECT request.
        """
        if self.head_sent:
            raise LocalProtocolError(_SENT)
        if status < 200 and status != 101:
            raise LocalProtocolError(f"{status} is not a final status; use send_informational")
        bodiless = self._head_request or status in {204, 304}
        if status == 101 or (connect and status < 300):
            if length is not None:
                refusal = NoTunnelError if connect else LocalProtocolError
                raise refusal("a response that opens a tunnel has no content-length; send its head alone")
            self.tunnel = True
            bodiless = False
        elif length is not None:
            if status == 204:
                raise LocalProtocolError("a 204 response has no content-length")
            if status == 205 and length:
                raise LocalProtocolError("a response with status 205 has no content")
            if end_stream and length and not bodiless:
                raise LocalProtocolError(f"content-length is {length}, but the response ends with its head")
        self.head_sent = True
        self.ended = end_stream
        self._bodiless = bodiless
        self._remaining = None if bodiless else 0 if status == 205 else length

    def request_head(self, headers: HeadersType, end_stream: bool) -> None:
        """Check a request head and note what it promises."""
        self._before_head()
        length: int | None = None
        for name, value in headers:
            if name == b"content-length":
                length = _read_length(value, length)
            elif end_stream and name == b"expect" and value.lower() == b"100-continue":
                raise LocalProtocolError("expect: 100-continue goes with content, and the request ends with its head")
            elif not end_stream and name == b":method" and value == b"TRACE":
                raise LocalProtocolError("a TRACE request has no content")
        if end_stream and length:
            raise LocalProtocolError(f"content-length is {length}, but the request ends with its head")
        self.head_sent = True
        self.ended = end_stream
        self._remaining = length

    def informational(self, status: int) -> None:
        """Check that an interim response may be sent."""
        if not 100 <= status < 200 or status == 101:
            raise LocalProtocolError(f"an informational response has a status from 100 to 199 but 101, got {status}")
        self._before_head()

    def data(self, n_octets: int, end_stream: bool) -> bool:
        """Check that data may be sent; return whether it is to be sent, or dropped (HEAD)."""
        self._after_head()
        if self._bodiless:
            if n_octets and not self._head_request:
                raise LocalProtocolError("responses with status 204 and 304 have no body")
        elif self._remaining is not None:
            if n_octets > self._remaining:
                raise LocalProtocolError(f"body is longer than the head allows, by {n_octets - self._remaining}")
            if end_stream and n_octets < self._remaining:
                raise LocalProtocolError(f"body is shorter than its content-length, by {self._remaining - n_octets}")
            self._remaining -= n_octets
        if end_stream:
            self.ended = True
        return not self._bodiless

    def trailers(self, headers: HeadersType) -> bool:
        """Check that trailers may be sent; return whether they are to be sent, or dropped (HEAD)."""
        self._after_head()
        if self.tunnel:
            raise LocalProtocolError("a tunnel has no trailers")
        if self._bodiless and headers and not self._head_request:
            raise LocalProtocolError("responses with status 204 and 304 have no trailers")
        if self._remaining:
            raise LocalProtocolError(f"body is shorter than its content-length, by {self._remaining}")
        self.ended = True
        return not self._bodiless

    def _before_head(self) -> None:
        if self.head_sent:
            raise LocalProtocolError(_SENT)

    def _after_head(self) -> None:
        if not self.head_sent:
            raise LocalProtocolError("the head has to be sent first")
        if self.ended:
            raise LocalProtocolError("the message was ended already")
