"""Segmentation offload: several datagrams in one call, cut apart by the kernel or the network card.

Linux has it since 4.18 (``UDP_SEGMENT``): one send carries datagrams to one address, all of one size but the last, which
may be shorter. A route or a card that cannot do it says so when it is tried.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Sequence
from typing import TypeAlias

from ..models import DatagramType

__all__ = ["REFUSALS", "Ancillary", "has_segmentation", "run_end", "segment_size"]

Ancillary: TypeAlias = tuple[int, int, bytes]
"""Level, type and octets of what goes beside the data."""

_SOL_UDP = 17
_UDP_SEGMENT = 103
_MOST_SEGMENTS = 64  # UDP_MAX_SEGMENTS of the kernels that have fewest
_MOST_OCTETS = 65_507 - 40  # what one IPv4 datagram can carry, and room for options

REFUSALS = frozenset({errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT})
"""Errors that say: not on this route, or not with this card."""


def has_segmentation(sock: socket.socket) -> bool:
    """Whether the kernel cuts datagrams apart."""
    if sys.platform != "linux":
        return False
    try:
        sock.getsockopt(_SOL_UDP, _UDP_SEGMENT)
    except OSError:
        return False
    return True


def segment_size(octets: int) -> Ancillary:
    """Return what tells the kernel to cut into datagrams of so many octets."""
    return _SOL_UDP, _UDP_SEGMENT, struct.pack("=H", octets)


def run_end(datagrams: Sequence[DatagramType], start: int) -> int:
    """Return where the run ends that begins at ``start`` and can be sent by one call."""
    data, address = datagrams[start]
    size = total = len(data)
    end = start + 1
    if not size:
        return end
    last = min(len(datagrams), start + _MOST_SEGMENTS)
    while end < last:
        data, to = datagrams[end]
        octets = len(data)
        total += octets
        if not 0 < octets <= size or total > _MOST_OCTETS or to != address:
            break
        end += 1
        if octets < size:
            break
    return end
