"""What waits to be sent: frames joined where they are small, payloads of DATA uncopied.

Octets that no application asked for (acknowledgements, resets of misbehaving streams) are counted until they are taken.
A peer that causes them faster than it reads them is cut off.
"""

from __future__ import annotations

from .._faults import ConnectionFault
from .._interfaces import Buffer
from ._codes import HTTP2ErrorCode

__all__ = ["Output"]

_COPIED_OCTETS = 2048  # below, to copy is cheaper than one more buffer in the system call or TLS record


class Output:
    """The queue between the protocol and the transport.

    Args:
        control_limit: octets of control output that may wait.
    """

    __slots__ = ("_buffers", "_control_limit", "_control_octets", "_tail", "data_octets")

    def __init__(self, control_limit: float) -> None:
        self._control_limit = control_limit
        self._control_octets = 0
        self._buffers: list[Buffer] = []
        self._tail = bytearray()
        self.data_octets: int = 0

    def write(self, frame: bytes) -> None:
        """Queue a frame."""
        self._tail += frame

    def write_control(self, frame: bytes) -> None:
        """Queue a frame that the peer caused.

        Raises:
            ConnectionFault: too much of that kind waits.
        """
        self._tail += frame
        self._control_octets += len(frame)
        if self._control_octets > self._control_limit:
            raise ConnectionFault(HTTP2ErrorCode.ENHANCE_YOUR_CALM, "causes answers faster than it reads them")

    def write_data(self, header: bytes, payload: Buffer, padding: bytes) -> None:
        """Queue a DATA frame."""
        self.data_octets += len(payload)
        self._tail += header
        if len(payload) <= _COPIED_OCTETS:
            self._tail += payload
        else:
            self._buffers.append(self._tail)
            self._buffers.append(payload)
            self._tail = bytearray()
        self._tail += padding

    @property
    def octets(self) -> int:
        """Everything that waits."""
        return len(self._tail) + sum(len(buffer) for buffer in self._buffers)

    def take(self) -> list[Buffer]:
        """Return everything that waits."""
        buffers = self._buffers
        if self._tail:
            buffers.append(self._tail)
            self._tail = bytearray()
        self._buffers = []
        self._control_octets = 0
        self.data_octets = 0
        return buffers

    def discard(self) -> None:
        """Forget everything that waits."""
        self.take()
