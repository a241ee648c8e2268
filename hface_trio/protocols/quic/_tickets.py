"""Session tickets: what a later connection resumes from."""

from __future__ import annotations

from collections import OrderedDict

from aioquic.tls import SessionTicket

__all__ = ["SessionTicketStore"]


class SessionTicketStore:
    """Keeps tickets in memory, for servers and clients. Each is good for one connection.

    Args:
        capacity: how many are kept; the oldest make room.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = capacity
        self._tickets: OrderedDict[bytes, SessionTicket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tickets)

    def put(self, ticket: SessionTicket) -> None:
        """Keep a ticket."""
        self._tickets[ticket.ticket] = ticket
        if len(self._tickets) > self._capacity:
            self._tickets.popitem(last=False)

    def take(self, label: bytes) -> SessionTicket | None:
        """Return the ticket of a label, once (server)."""
        return self._tickets.pop(label, None)

    def take_for(self, server_name: str) -> SessionTicket | None:
        """Return the latest valid ticket of a server, once (client)."""
        for label, ticket in reversed(self._tickets.items()):
            if ticket.server_name == server_name:
                del self._tickets[label]
                return ticket if ticket.is_valid else None
        return None
