"""URLs of requests: http and https only, as header fields want them."""

from __future__ import annotations

import dataclasses
import functools
import urllib.parse

import trio

from ..errors import ConfigurationError
from ..models import AddressType, HeadersType, HeaderType

__all__ = ["RequestURL", "request_headers"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE = "/?%:@!$&'()*+,;=-._~[]"
_REMEMBERED_URLS = 128  # as many as urllib remembers


@dataclasses.dataclass(frozen=True, slots=True)
class RequestURL:
    """A parsed URL.

    Args:
        scheme: ``"http"`` or ``"https"``.
        host: name (IDNA encoded), or address without brackets.
        port: given or the scheme's.
        authority: as ``:authority`` wants it: the port only where it is not the scheme's.
        target: path and query, percent-encoded.
    """

    scheme: str
    host: str
    port: int
    authority: bytes
    target: bytes

    @staticmethod
    def parse(url: str) -> RequestURL:
        """Read a URL.

        Raises:
            ConfigurationError: it is malformed, or not of http or https; the message says why.
        """
        return _parse(url)

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "https"

    @property
    def address(self) -> AddressType:
        """Host and port."""
        return (self.host, self.port)

    @property
    def origin(self) -> tuple[str, str, int]:
        """What connections can be shared by (RFC 9110 §4.3.1)."""
        return (self.scheme, self.host, self.port)


@functools.lru_cache(_REMEMBERED_URLS)
def _parse(url: str) -> RequestURL:
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise ConfigurationError(f"URL {url!r} is malformed: {exc}") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ConfigurationError(f"URL {url!r} must begin with http:// or https://")
    if "@" in parts.netloc:
        raise ConfigurationError(f"URL {url!r} holds credentials; send an authorization field instead")
    host = parts.hostname or ""
    if not host:
        raise ConfigurationError(f"URL {url!r} names no host")
    if parts.netloc.startswith("unix:"):
        raise ConfigurationError(f"URL {url!r} names a unix socket, which has no URL; use an opener")
    if ":" not in host and (".." in host or host.startswith(".") or set(host) & set("%/\\ ")):
        raise ConfigurationError(f"URL {url!r} has a malformed host name")
    if not url.isprintable() and any("\ud800" <= character <= "\udfff" for character in url):
        raise ConfigurationError(f"URL {url!r} is not text")
    if any(character <= " " or character == "\x7f" for character in url):
        raise ConfigurationError(f"URL {url!r} holds white space or control characters")
    try:
        encoded = host.encode() if host.isascii() else trio.lowlevel.encode_hostname(host)
    except UnicodeError as exc:
        raise ConfigurationError(f"URL {url!r} has a host name that cannot be encoded: {exc}") from None
    default = _DEFAULT_PORTS[parts.scheme]
    port = default if port is None else port
    authority = b"[%b]" % encoded if b":" in encoded else encoded
    if port != default:
        authority += b":%d" % port
    target = urllib.parse.quote(parts.path or "/", safe=_SAFE)
    if parts.query:
        target += "?" + urllib.parse.quote(parts.query, safe=_SAFE)
    return RequestURL(parts.scheme, encoded.decode(), port, authority, target.encode())


def request_headers(method: str, url: RequestURL, headers: HeadersType = ()) -> list[HeaderType]:
    """Return the head of a request: pseudo-header fields, then ``headers``."""
    return [
        (b":method", method.encode("ascii", "replace")),
        (b":scheme", url.scheme.encode()),
        (b":authority", url.authority),
        (b":path", url.target),
        *headers,
    ]
