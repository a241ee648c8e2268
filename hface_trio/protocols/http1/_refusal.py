"""How the parts of HTTP/1.1 say that a peer's message cannot be taken."""

from __future__ import annotations

__all__ = ["Refusal"]


class Refusal(Exception):  # noqa: N818  # never leaves the package: it becomes an answer and events
    """What the peer sent is refused.

    Args:
        status: the status code that answers it.
        message: one line for a person on this side; never sent to the peer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
