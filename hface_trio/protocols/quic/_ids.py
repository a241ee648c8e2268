"""Where connection ids come from.

Whoever routes datagrams chooses the ids: random by default; with a worker's or a machine's number in them where a load
balancer or a supervisor looks at them. All ids of one source are of one length, since short headers do not tell it.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from typing import NamedTuple

from ...errors import ConfigurationError

__all__ = ["ConnectionIdSource", "IssuedConnectionId", "RandomConnectionIdSource"]

RESET_TOKEN_OCTETS = 16


class IssuedConnectionId(NamedTuple):
    """A connection id, and the token that proves a stateless reset of what it routes to.

    Args:
        connection_id: of the source's length.
        reset_token: 16 octets that nobody can guess who does not know them.
    """

    connection_id: bytes
    reset_token: bytes


class ConnectionIdSource(ABC):
    """Makes connection ids (RFC 9000 §5.1)."""

    @property
    @abstractmethod
    def length(self) -> int:
        """Octets of each id, 4 to 20."""

    @abstractmethod
    def issue(self) -> IssuedConnectionId:
        """Return an id that no connection has, and its reset token."""


class RandomConnectionIdSource(ConnectionIdSource):
    """Makes random ids.

    Args:
        length: octets of each id, 4 to 20.

    Raises:
        ConfigurationError: the length is out of its range.
    """

    def __init__(self, length: int = 8) -> None:
        if not 4 <= length <= 20:
            raise ConfigurationError(f"connection ids are of 4 to 20 octets, not of {length}")
        self._length = length

    @property
    def length(self) -> int:
        """Octets of each id."""
        return self._length

    def issue(self) -> IssuedConnectionId:
        """Return an id and its reset token, both random."""
        return IssuedConnectionId(secrets.token_bytes(self._length), secrets.token_bytes(RESET_TOKEN_OCTETS))
