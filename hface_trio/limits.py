"""How much of everything a peer may use, and for how long.

Two frozen dataclasses with defaults that suit a server exposed to the Internet. ``math.inf`` turns a limit off. Callers
bound their own calls with cancel scopes; what stands here is what a peer could otherwise stretch without end.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import math
from functools import lru_cache

from .errors import ConfigurationError

__all__ = ["Limits", "Timeouts", "address_owner"]

_KIB = 1024
_MIB = 1024 * _KIB


def _check_positive(owner: object, kind: str) -> None:
    for field in dataclasses.fields(owner):  # type: ignore[arg-type]
        value = getattr(owner, field.name)
        if math.isnan(value) or value < 0:
            raise ConfigurationError(f"{kind}.{field.name} must not be negative, got {value!r}")


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds on counts and sizes.

    Args:
        connections: open connections of a server; further ones are closed when accepted.
        connections_per_address: open connections from one peer address, or one IPv6 network (/64). High, because a proxy or a
            NAT makes one address of many users, and below ``connections``, so that no single address can use them all up.
        handshakes: TLS handshakes under way at once, from the client's first octets. Further connections wait within their
            handshake deadline, addresses taking turns, and handshakes that have waited three seconds for their clients
            give way to them: high, so that clients that stall have to come by the hundred a second to be noticed.
        concurrent_streams: streams per connection that may run at once.
        handlers: handlers of a server that may run at once; requests beyond are answered 503.
        header_section_octets: a header section (or trailers): names, values and what separates them. On HTTP/1.1 the
            octets from the request line to the empty line.
        header_fields: fields in a section.
        request_body_octets: body of one request; beyond it 413.
        pipelined_octets: what is read ahead of the request that is being handled (HTTP/1.1).
        chunk_overhead_octets: chunk extensions of one body, and what chunk framing may cost beyond the data it
            frames (HTTP/1.1).
        informational_responses: 1xx sections before one final response.
        stream_window_octets: received body octets that may wait for the application, per stream.
        drain_octets: an unread request body up to this size is read and dropped to keep the connection (HTTP/1.1).
        control_output_octets: queued output that no application asked for; beyond it the connection ends.
        buffered_octets: all buffers of a server together, what QUIC holds until it is complete or acknowledged among
            them, see :class:`~hface_trio.connections.Ledger`.
    """

    connections: float = 20_000
    connections_per_address: float = 10_000
    handshakes: float = 1_000
    concurrent_streams: float = 100
    handlers: float = 10_000
    header_section_octets: float = 64 * _KIB
    header_fields: float = 128
    request_body_octets: float = 1024 * _MIB
    pipelined_octets: float = 64 * _KIB
    chunk_overhead_octets: float = 16 * _KIB
    informational_responses: float = 32
    stream_window_octets: float = 64 * _KIB
    drain_octets: float = 64 * _KIB
    control_output_octets: float = 64 * _KIB
    buffered_octets: float = 256 * _MIB

    def __post_init__(self) -> None:
        _check_positive(self, "Limits")
        for name in ("handshakes", "stream_window_octets", "pipelined_octets", "header_section_octets"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"Limits.{name} must be at least 1")


@dataclasses.dataclass(frozen=True)
class Timeouts:
    """Bounds on what a peer may stretch, in seconds.

    Args:
        handshake_seconds: from accepting a connection to the end of its TLS handshake.
        request_head_seconds: a whole request head, from its first octet (the first head: from the start of the
            connection). On HTTP/3 also the rest of trailers, and the first octet of a stream of which later ones came.
        body_progress_seconds: without an octet of a body that the application waits for; on HTTP/3 also without those
            that are missing in front of others that came.
        write_progress_seconds: without the peer taking an octet of what is sent; on HTTP/3 without acknowledging it.
        idle_seconds: a connection with no request under way.
        half_close_grace_seconds: how long a request goes on whose sender has half-closed right behind it, although it
            promised no further request.
        linger_seconds: reading on after the last answer, so that the peer can read it.
        handler_seconds: one call of a handler.
        flush_seconds: the last flush of a connection that is being cancelled or closed.
    """

    handshake_seconds: float = 10
    request_head_seconds: float = 10
    body_progress_seconds: float = 30
    write_progress_seconds: float = 30
    idle_seconds: float = 75
    half_close_grace_seconds: float = 1
    linger_seconds: float = 2
    handler_seconds: float = math.inf
    flush_seconds: float = 1

    def __post_init__(self) -> None:
        _check_positive(self, "Timeouts")


@lru_cache(1024)
def address_owner(host: str) -> str:
    """Return under which name the connections of a host are counted.

    Whoever has an address of IPv6 has at least the 2⁶⁴ addresses of its network, so these count as one.

    Args:
        host: the address of a peer; what is no address counts as it is.
    """
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else address.packed[:8].hex()
