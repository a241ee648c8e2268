"""Text for people: what a peer sent, made safe to look at, and heads in the form of HTTP/1.1.

Nothing that came from outside reaches a terminal or a log unescaped: it could move the cursor, or forge a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from ..models import AddressType, HeadersType

__all__ = ["describe_address", "describe_status", "field_lines", "printable", "printable_bytes", "response_head"]


def printable(text: str) -> str:
    """Return ``text`` as one line, with everything escaped that does not print as itself."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def printable_bytes(octets: bytes) -> str:
    """Return ``octets``, which are likely to be UTF-8, as one line of text."""
    return printable(octets.decode("utf-8", "backslashreplace"))


def describe_address(address: AddressType | None) -> str:
    """Return an address as in a URL."""
    if address is None:
        return "-"
    host, port = address
    if host.startswith("unix:"):
        return printable(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def describe_status(status: int) -> str:
    """Return a status with its registered phrase, if there is one: phrases are not sent on every version."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def field_lines(headers: HeadersType) -> Iterator[str]:
    """Return the fields of a section one by one, without pseudo-header fields."""
    for name, value in headers:
        if not name.startswith(b":"):
            yield f"{printable_bytes(name)}: {printable_bytes(value)}"


def response_head(http_version: str, status: int, headers: HeadersType) -> bytes:
    """Return a head as the octets that it would be on HTTP/1.1."""
    lines = [f"HTTP/{http_version} {describe_status(status)}".encode()]
    lines += [name + b": " + value for name, value in headers if not name.startswith(b":")]
    return b"\r\n".join([*lines, b"", b""])
