"""The end of a connection: why it came, and what is still said after it."""

from __future__ import annotations

from ...models import DatagramType
from ._codes import QUICErrorCode
from ._compat_aioquic import PeerClose, QuicMachine
from ._receiver import CloseReason

__all__ = ["LastWord"]


class LastWord:
    """The datagram that told the peer of the end, for as long as it still talks (RFC 9000 §10.2.1).

    It is said again to who sends a third of it at least, as the peer's address may not be proven (RFC 9000 §8.1).
    """

    __slots__ = ("_datagrams", "_heard", "_octets_heard")

    def __init__(self) -> None:
        self._datagrams: list[DatagramType] = []
        self._heard = 0
        self._octets_heard = 0

    def heard(self, n_octets: int) -> None:
        """Note that the peer still talks, and how much."""
        self._heard += 1
        self._octets_heard += n_octets

    def said(self, datagrams: list[DatagramType]) -> None:
        """Note what was sent."""
        self._datagrams = datagrams[-1:]
        self._heard = self._octets_heard = 0

    def again(self) -> list[DatagramType]:
        """Return it if it is to be said again, which is less and less often."""
        heard = self._heard
        if heard and not heard & (heard - 1):
            self._heard += 1
            if 3 * self._octets_heard >= sum(len(data) for data, _ in self._datagrams):
                self._octets_heard = 0
                return list(self._datagrams)
        return []


def close_reason(machine: QuicMachine, close: PeerClose) -> CloseReason:
    """Return why a connection ended, in the words of this package."""
    if machine.timed_out:
        return CloseReason(QUICErrorCode.NO_ERROR, "the peer was silent for too long", application=False, local=True)
    application = close.frame_type is None
    return CloseReason(close.error_code, close.reason_phrase or "", application, local=not machine.closed_by_peer)
