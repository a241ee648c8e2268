"""Connection ids whose reset tokens need not be remembered, so that connections nobody knows any more can be reset."""

from __future__ import annotations

import secrets
from hashlib import blake2b

from ...errors import ConfigurationError
from ._ids import RESET_TOKEN_OCTETS, ConnectionIdSource, IssuedConnectionId

__all__ = ["KeyedConnectionIdSource"]


class KeyedConnectionIdSource(ConnectionIdSource):
    """Makes random ids, and their reset tokens from a key.

    Servers with the same key must not get each other's datagrams: one of them would reset what lives at another (RFC
    9000 §10.3.2).

    Args:
        length: octets of each id, 4 to 20.
        key: secret of 16 to 64 octets; random by default, and then tokens are good for as long as this object is.

    Raises:
        ConfigurationError: a length is out of its range.
    """

    def __init__(self, length: int = 8, *, key: bytes | None = None) -> None:
        if not 4 <= length <= 20:
            raise ConfigurationError(f"connection ids are of 4 to 20 octets, not of {length}")
        if key is not None and not 16 <= len(key) <= 64:
            raise ConfigurationError("KeyedConnectionIdSource.key must be of 16 to 64 octets")
        self._length = length
        self._key = secrets.token_bytes(32) if key is None else key

    @property
    def length(self) -> int:
        """Octets of each id."""
        return self._length

    def issue(self) -> IssuedConnectionId:
        """Return a random id and its reset token."""
        connection_id = secrets.token_bytes(self._length)
        return IssuedConnectionId(connection_id, self.reset_token(connection_id))

    def reset_token(self, connection_id: bytes) -> bytes:
        """Return the reset token of an id, whether it was issued or not."""
        return blake2b(connection_id, key=self._key, digest_size=RESET_TOKEN_OCTETS).digest()
