"""Tokens that prove that a client receives what is sent to its address (RFC 9000 §8.1).

A token carries the id that the client first sent to and the time; its code covers these, the client's address and
port, and the id in the Retry packet. Nothing is kept for it. All times are those of the caller's clock.
"""

from __future__ import annotations

import enum
import hmac
import secrets
from hashlib import blake2b

from ...models import AddressType

__all__ = ["AddressTokens", "TokenFault"]

_MARK_OCTETS = 4
_TIME_OCTETS = 8
_CODE_OCTETS = 16
_SHORTEST = _MARK_OCTETS + _TIME_OCTETS + _CODE_OCTETS
_LONGEST = _SHORTEST + 20
_LIFETIME_SECONDS = 15.0


class TokenFault(enum.Enum):
    """Why a token proves nothing."""

    FOREIGN = "foreign"
    """It was not made here: by another server, or before a restart. As good as none."""

    INVALID = "invalid"
    """It was made here, but for another address or id, too long ago, or was changed."""


class AddressTokens:
    """Makes and checks tokens of Retry packets.

    Args:
        key: secret of 16 to 64 octets; random by default.
        lifetime_seconds: for how long a token is good. Clients return it at once.
    """

    def __init__(self, key: bytes | None = None, *, lifetime_seconds: float = _LIFETIME_SECONDS) -> None:
        self._key = secrets.token_bytes(32) if key is None else key
        self._lifetime_seconds = lifetime_seconds
        # Tells our tokens from others, so that a client that lost its way is not taken for one that forges.
        self._mark = blake2b(b"mark", key=self._key, digest_size=_MARK_OCTETS).digest()

    def issue(self, address: AddressType, original_id: bytes, retry_id: bytes, now: float) -> bytes:
        """Return a token.

        Args:
            address: of the client.
            original_id: the id that it sent to.
            retry_id: the id that it will send to with the token.
            now: the time.
        """
        time = int(now * 1000).to_bytes(_TIME_OCTETS, "big", signed=True)
        return self._mark + time + self._code(address, original_id, retry_id, time) + original_id

    def check_untrusted(self, token: bytes, address: AddressType, retry_id: bytes, now: float) -> bytes | TokenFault:
        """Return the id that the client first sent to, or what is wrong."""
        if not _SHORTEST <= len(token) <= _LONGEST or not token.startswith(self._mark):
            return TokenFault.FOREIGN
        time = token[_MARK_OCTETS : _MARK_OCTETS + _TIME_OCTETS]
        code = token[_MARK_OCTETS + _TIME_OCTETS : _SHORTEST]
        original_id = token[_SHORTEST:]
        if not hmac.compare_digest(code, self._code(address, original_id, retry_id, time)):
            return TokenFault.INVALID
        age = now - int.from_bytes(time, "big", signed=True) / 1000
        return original_id if -1 < age <= self._lifetime_seconds else TokenFault.INVALID

    def _code(self, address: AddressType, original_id: bytes, retry_id: bytes, time: bytes) -> bytes:
        host, port = address
        name = host.encode("utf-8", "surrogateescape")
        message = b"".join(
            (time, port.to_bytes(4, "big"), bytes((len(original_id), len(retry_id))), original_id, retry_id, name)
        )
        return blake2b(message, key=self._key, digest_size=_CODE_OCTETS).digest()
