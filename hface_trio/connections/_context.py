"""What the connections of one server, or of one client, share."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import trio

from ..limits import Limits, Timeouts
from ._admission import Admission
from ._handshakes import Handshakes
from ._ledger import Ledger
from ._observer import Observer

if TYPE_CHECKING:
    from ._connection import HTTPConnection

__all__ = ["ConnectionContext", "PeerGonePolicy", "logger"]

logger = logging.getLogger("hface_trio")

PeerGonePolicy: TypeAlias = Literal["cancel", "raise"]
"""What a handler sees of a peer that abandons its exchange: its scope is cancelled, or its next call raises."""


@dataclasses.dataclass(slots=True)
class ConnectionContext:
    """Limits, accounts and the observer that connections have in common.

    Args:
        limits: bounds on counts and sizes.
        timeouts: bounds on what a peer may stretch.
        ledger: counts buffered octets.
        observer: is told of openings and closings.
        on_peer_gone: see :data:`PeerGonePolicy`.
        handlers: how many handlers run now.
        draining: whether connections shall take no request beyond their first.
        connections: the open connections.
        admission: counts accepted connections against the limits.
        handshakes: makes handshakes, so many at once as the limit says.
        undecided: scopes around accepted connections that have not begun a handshake, or not shown which version they speak.
    """

    limits: Limits = dataclasses.field(default_factory=Limits)
    timeouts: Timeouts = dataclasses.field(default_factory=Timeouts)
    ledger: Ledger = dataclasses.field(default_factory=Ledger)
    observer: Observer | None = None
    on_peer_gone: PeerGonePolicy = "cancel"
    handlers: int = 0
    draining: bool = False
    connections: set[HTTPConnection] = dataclasses.field(default_factory=set["HTTPConnection"])
    admission: Admission = dataclasses.field(init=False)
    handshakes: Handshakes = dataclasses.field(init=False)
    undecided: set[trio.CancelScope] = dataclasses.field(default_factory=set[trio.CancelScope])

    def __post_init__(self) -> None:
        self.admission = Admission(self.limits)
        self.handshakes = Handshakes(self.limits.handshakes)

    def observe(self, call: Callable[[Any], None], record: object) -> None:
        """Make one call to the observer; what it raises is logged and goes no further."""
        try:
            call(record)
        except Exception:
            logger.exception("the observer failed in %s", getattr(call, "__name__", call))
