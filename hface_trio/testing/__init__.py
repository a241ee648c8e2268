"""For those who test what they build on this package: networks in memory, and certificates to throw away.

Nothing in the product imports this package.
"""

from __future__ import annotations

from ._certificates import Authority, throwaway_authority
from ._memory_streams import MemoryByteStream, memory_stream_pair
from ._memory_udp import DatagramConditions, MemoryDatagramSocket
from ._network import MemoryListener, MemoryNetworking

__all__ = [
    "Authority",
    "DatagramConditions",
    "MemoryByteStream",
    "MemoryDatagramSocket",
    "MemoryListener",
    "MemoryNetworking",
    "memory_stream_pair",
    "throwaway_authority",
]
