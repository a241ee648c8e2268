"""What a client asks for, read from the first message of its TLS handshake: a name, and protocols.

The ssl module tells the name only to a callback on the context, and prints a traceback when a peer sends a name that is
not ASCII; and that protocols were offered of which there is none here, it does not tell at all. So both are read here, after
OpenSSL has accepted the message. Nothing is relied on all the same.
"""

from __future__ import annotations

__all__ = ["offers_protocols_untrusted", "read_server_name_untrusted"]

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_ALPN = 16
_HOST_NAME = 0


class _Reader:
    """Takes octets from the front, and raises ``ValueError`` when there are too few."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self, octets: int) -> bytes:
        end = self._position + octets
        if end > len(self._data):
            raise ValueError("too short")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def take_number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets), "big")

    def take_vector(self, length_octets: int) -> bytes:
        return self.take(self.take_number(length_octets))


def read_server_name_untrusted(flight: bytes) -> str | None:
    """Return the host name in the server_name extension of a ClientHello.

    Args:
        flight: what the client sent before the server's first answer: whole TLS records.

    Returns:
        The name; ``None`` when there is none, or none that can be a name.

    Source: RFC 8446 §4.1.2 and §5.1, RFC 6066 §3.
    """
    try:
        name = _find_host_name(_find_extension(_read_client_hello(flight), _SERVER_NAME))
        return name.decode("ascii") or None
    except ValueError:
        return None


def offers_protocols_untrusted(flight: bytes) -> bool:
    """Return whether a ClientHello offers application protocols (RFC 7301 §3.1).

    Args:
        flight: as for :func:`read_server_name_untrusted`.
    """
    try:
        return bool(_find_extension(_read_client_hello(flight), _ALPN))
    except ValueError:
        return False


def _read_client_hello(flight: bytes) -> bytes:
    """Return the body of the ClientHello, which may be spread over several records."""
    records = _Reader(flight)
    message = bytearray()
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        content_type = records.take_number(1)
        records.take(2)
        message += records.take_vector(2)
        if content_type != _HANDSHAKE or (message and message[0] != _CLIENT_HELLO):
            raise ValueError("not a ClientHello")
    return bytes(message[4:])


def _find_extension(client_hello: bytes, wanted: int) -> bytes:
    reader = _Reader(client_hello)
    reader.take(2 + 32)  # version and random
    reader.take_vector(1)  # session id
    reader.take_vector(2)  # cipher suites
    reader.take_vector(1)  # compression methods
    extensions = _Reader(reader.take_vector(2))
    while extensions:
        kind = extensions.take_number(2)
        content = extensions.take_vector(2)
        if kind == wanted:
            return content
    raise ValueError("no such extension")


def _find_host_name(server_name_list: bytes) -> bytes:
    names = _Reader(_Reader(server_name_list).take_vector(2))
    while names:
        kind = names.take_number(1)
        name = names.take_vector(2)
        if kind == _HOST_NAME:
            return name
    raise ValueError("no host name")
