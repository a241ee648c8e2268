"""What is known of one stream."""

from __future__ import annotations

from ._codes import is_unidirectional
from ._credit import StreamCredit

__all__ = ["QUICStream"]


class QUICStream:
    """One stream.

    Args:
        stream_id: its id.
        credit: the account of what is received.
        initiated_here: whether this side opened it.
    """

    __slots__ = (
        "blocked",
        "credit",
        "discarded",
        "initiated_here",
        "may_send",
        "progress_at",
        "progress_left",
        "receiving_ended",
        "release_when_consumed",
        "released",
        "sending_ended",
        "stopped",
        "stream_id",
        "unacknowledged",
        "unsent",
    )

    def __init__(self, stream_id: int, credit: StreamCredit, *, initiated_here: bool) -> None:
        self.stream_id: int = stream_id
        self.credit: StreamCredit = credit
        self.initiated_here: bool = initiated_here
        one_way = is_unidirectional(stream_id)
        self.may_send: bool = initiated_here or not one_way  # whether this side sends on it at all
        self.receiving_ended: bool = one_way and initiated_here  # the peer's end or reset was seen
        self.sending_ended: bool = one_way and not initiated_here  # the end or a reset was submitted
        self.stopped: bool = False  # what still arrives is for nobody
        self.blocked: bool = False  # the application waits for send capacity
        self.unsent: int = 0
        self.unacknowledged: int = 0
        self.progress_at: float = 0.0  # when the peer last took something worth mentioning, while there was something
        self.progress_left: int = 0  # octets that have to be sent, and to be acknowledged, before it is mentioned again
        self.released: bool = False
        self.release_when_consumed: bool = False
        self.discarded: bool = False  # over on the wire

    @property
    def unidirectional(self) -> bool:
        """Whether it has one direction."""
        return is_unidirectional(self.stream_id)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is received or submitted."""
        return self.sending_ended and (self.receiving_ended or self.stopped)
