"""What a connection keeps in memory, and until when.

``aioquic`` gives every connection 48 KiB for what TLS is about to send, which nearly always is nothing, and a connection
refers to itself in many ways: one that is over would lie about, keys and buffers and all, until the next full collection of
garbage. Those who connect again and again fill the memory with such connections, so what is over is let go of.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from aioquic._buffer import Buffer
from aioquic.quic.connection import QuicConnection
from aioquic.tls import Epoch

__all__ = ["SparingConnection"]

_CRYPTO_OCTETS = 16 * 1024
"""What TLS can send at a time, as aioquic has it: a chain of certificates is the longest of it."""


class _CryptoBuffers(dict[Epoch, Buffer]):
    """Where TLS puts what it sends: a buffer is made when there is something to put in."""

    def __missing__(self, epoch: Epoch) -> Buffer:
        buffer = self[epoch] = Buffer(capacity=_CRYPTO_OCTETS)
        return buffer


class SparingConnection(QuicConnection):
    """A connection that keeps nothing it does not need."""

    def let_go(self) -> None:
        """Drop what only a connection needs that still sends or receives, and all that refers back to this one.

        To be called when the connection was closed, and nothing is to be sent any more: then it only waits for its time
        to be over. Harmless when it was called before.
        """
        untyped: Any = self
        untyped.tls = None
        untyped._QuicConnection__frame_handlers = {}
        recovery: Any = self._loss
        recovery._send_probe = _nothing
        recovery.spaces = []
        for space in self._spaces.values():
            space.sent_packets.clear()  # which know their space, for when they are acknowledged
        self._spaces = {}
        self._cryptos = {}
        self._cryptos_initial = {}
        self._crypto_buffers = {}
        self._crypto_streams = {}
        self._streams.clear()
        self._streams_queue = []
        self._streams_blocked_bidi = []
        self._streams_blocked_uni = []
        self._datagrams_pending = deque()
        self._events = deque()

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self._crypto_buffers = _CryptoBuffers()

    def _push_crypto_data(self) -> None:
        super()._push_crypto_data()
        self._crypto_buffers.clear()


def _nothing() -> None:
    pass
