"""What ``--verbose`` tells: connections as they open, and the heads of requests and responses as they pass."""

from __future__ import annotations

from collections.abc import Callable

from ..client import Response
from ..connections import ConnectionRecord, Observer, StreamRecord
from ..models import HeadersType
from ._text import describe_address, describe_status, field_lines, printable_bytes

__all__ = ["Trace"]


class Trace(Observer):
    """Prints one exchange after the other.

    Lines about the connection begin with ``*``, what was sent with ``>``, what was received with ``<``.
    """

    def __init__(self) -> None:
        self._print: Callable[[str], None] = lambda _: None
        self._headers: HeadersType = ()
        self._new_connection = False

    def begin(self, headers: HeadersType, print_line: Callable[[str], None]) -> None:
        """Take the fields of the next request, which records do not hold, and where to print."""
        self._headers = headers
        self._print = print_line

    def connection_opened(self, record: ConnectionRecord) -> None:
        """Print where a connection leads."""
        self._new_connection = True
        self._print(f"* connected to {describe_address(record.remote_address)}, HTTP/{record.http_version}")

    def stream_opened(self, record: StreamRecord) -> None:
        """Print the head of a request."""
        version = record.connection.http_version
        self._print(f"> {printable_bytes(record.method)} {printable_bytes(record.path)} HTTP/{version}")
        self._print(f"> host: {printable_bytes(record.authority)}")
        self._print_fields(">", self._headers)

    def response_received(self, response: Response) -> None:
        """Print the head of a response, and those of interim ones before it."""
        attributes = response.stream.extra_attributes
        if self._new_connection and attributes.tls_version is not None:
            self._print(f"* {attributes.tls_version}, {attributes.cipher}, ALPN {attributes.alpn_protocol or 'none'}")
        self._new_connection = False
        for section in response.informational:
            status = next((value for name, value in section if name == b":status"), b"")
            self._print_head(response.http_version, int(status), section)
        self._print_head(response.http_version, response.status, response.headers)

    def trailers_received(self, trailers: HeadersType) -> None:
        """Print the trailers of a response."""
        self._print_fields("<", trailers)

    def _print_head(self, http_version: str, status: int, section: HeadersType) -> None:
        self._print(f"< HTTP/{http_version} {describe_status(status)}")
        self._print_fields("<", section)

    def _print_fields(self, mark: str, section: HeadersType) -> None:
        for line in field_lines(section):
            self._print(f"{mark} {line}")
        self._print(mark)
