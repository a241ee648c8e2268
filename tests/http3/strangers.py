"""Sockets that send datagrams to a server without being its clients; and what the server makes of them."""

from __future__ import annotations

import functools

import trio
import trio.testing

from .harness import ADDRESS, Served, serving3

__all__ = ["Stranger", "record", "router", "serving_quic", "stranger", "tasks"]


def router(s: Served):
    """What the router of a server that speaks HTTP/3 alone tells."""
    (statistics,) = s.server.quic_statistics()
    return statistics


serving_quic = functools.partial(serving3, http_versions=["3"])


class Stranger:
    """A socket that sends datagrams and notes what comes back."""

    def __init__(self, socket) -> None:
        self.socket = socket

    async def answers(self, *datagrams: bytes, seconds: float = 1.0) -> list[bytes]:
        self.socket.send_nowait([(datagram, ADDRESS) for datagram in datagrams])
        found: list[bytes] = []
        with trio.move_on_after(seconds):
            while True:
                found += [payload for payload, _ in await self.socket.receive()]
        return found


async def stranger(s: Served) -> Stranger:
    return Stranger(await s.network.bind_udp(ADDRESS))


def record(peer) -> list[bytes]:
    """Note all that a peer sends from now on."""
    sent: list[bytes] = []
    send = peer.flush

    def flush() -> None:
        datagrams = peer.quic.datagrams_to_send(now=trio.current_time())
        sent.extend(payload for payload, _ in datagrams)
        peer.socket.send_nowait(datagrams)
        send()

    peer.flush = flush
    return sent


def tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living
