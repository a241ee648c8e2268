"""What can be read of a QUIC packet before anything is known of its connection, and the packets that need none.

The invariants of all versions (RFC 8999) come first; of versions 1 and 2, the packet's type and an Initial's token are
read too. Nothing here decrypts. What is malformed is ``None``, never an exception.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import encode_quic_retry

from ._codes import QUIC_VERSION_2

__all__ = [
    "INITIAL",
    "LongHeader",
    "long_packet_type",
    "read_initial_token_untrusted",
    "read_long_header_untrusted",
    "refusal_packet",
    "retry_packet",
    "stateless_reset_packet",
    "version_negotiation_packet",
]

FORM_BIT = 0x80
FIXED_BIT = 0x40

INITIAL = 0
_TYPES_OF_VERSION_2 = (3, 0, 1, 2)  # as in version 1: Initial 0, 0-RTT 1, Handshake 2, Retry 3 (RFC 9369 §3.2)
_LONGEST_ID = 20  # in versions 1 and 2 (RFC 9000 §17.2)
_SHORTEST_PAYLOAD = (
    20  # what header protection has to sample: 4 octets of packet number at most, and 16 (RFC 9001 §5.4.2)
)
_SHORTEST_RESET = 21  # RFC 9000 §10.3
_LONGEST_RESET = 43  # looks like a small packet with an id of usual length
_TOKEN_OCTETS = 16  # of a reset token, and of the tag of an encrypted packet
_CONNECTION_CLOSE = 0x1C


class LongHeader(NamedTuple):
    """What all versions have in common (RFC 8999 §5.1).

    Args:
        version: 0 in version negotiation.
        destination_id: of 0 to 255 octets.
        source_id: likewise.
        end: where the part of the version begins.
    """

    version: int
    destination_id: bytes
    source_id: bytes
    end: int


def read_long_header_untrusted(data: bytes) -> LongHeader | None:
    """Read the invariant part of a long header; the form bit has been looked at."""
    if len(data) < 7:
        return None
    destination_end = 6 + data[5]
    if destination_end >= len(data):
        return None
    source_start = destination_end + 1
    source_end = source_start + data[destination_end]
    if source_end > len(data):
        return None
    return LongHeader(
        int.from_bytes(data[1:5], "big"), data[6:destination_end], data[source_start:source_end], source_end
    )


def long_packet_type(first_octet: int, version: int) -> int:
    """Return the type of a packet with a long header, numbered as in version 1."""
    bits = first_octet >> 4 & 3
    return _TYPES_OF_VERSION_2[bits] if version == QUIC_VERSION_2 else bits


def read_initial_token_untrusted(data: bytes, header: LongHeader) -> bytes | None:
    """Return the token, mostly empty, of an Initial packet of version 1 or 2 (RFC 9000 §17.2.2)."""
    if not data[0] & FIXED_BIT or len(header.destination_id) > _LONGEST_ID or len(header.source_id) > _LONGEST_ID:
        return None
    octets, start = _read_varint(data, header.end)
    end = start + octets
    if octets < 0 or end > len(data):
        return None
    payload, start = _read_varint(data, end)
    if payload < _SHORTEST_PAYLOAD or start + payload > len(data):
        return None
    return data[end - octets : end]


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Return a variable-length integer (RFC 9000 §16) and where it ends; -1 where there is none."""
    if start >= len(data):
        return -1, start
    end = start + (1 << (data[start] >> 6))
    if end > len(data):
        return -1, start
    return int.from_bytes(data[start:end], "big") & ((1 << (8 * (end - start) - 2)) - 1), end


def version_negotiation_packet(header: LongHeader, versions: Sequence[int]) -> bytes:
    """Return the answer to a version that is not spoken (RFC 9000 §17.2.1)."""
    return b"".join(
        (
            bytes((secrets.randbits(8) | FORM_BIT | FIXED_BIT, 0, 0, 0, 0)),
            bytes((len(header.source_id),)),
            header.source_id,
            bytes((len(header.destination_id),)),
            header.destination_id,
            *(version.to_bytes(4, "big") for version in versions),
        )
    )


def retry_packet(header: LongHeader, source_id: bytes, token: bytes) -> bytes:
    """Return the answer to an Initial packet that asks the client to come again with a token (RFC 9000 §17.2.5)."""
    return encode_quic_retry(
        version=header.version,
        source_cid=source_id,
        destination_cid=header.source_id,
        original_destination_cid=header.destination_id,
        retry_token=token,
        unused=secrets.randbits(4),
    )


def refusal_packet(header: LongHeader, code: int) -> bytes:
    """Return the answer to an Initial packet that ends the connection before it was one (RFC 9000 §10.2.3).

    It costs what a packet costs: the keys are derived from the client's first choice of an id.
    """
    type_bits = _TYPES_OF_VERSION_2.index(INITIAL) if header.version == QUIC_VERSION_2 else INITIAL
    frame = bytes((_CONNECTION_CLOSE, code, 0, 0))  # of no frame, without words; codes of the transport are below 64
    clear = b"".join(
        (
            bytes((FORM_BIT | FIXED_BIT | type_bits << 4,)),  # a packet number of one octet
            header.version.to_bytes(4, "big"),
            bytes((len(header.source_id),)),
            header.source_id,
            bytes((len(header.destination_id),)),
            header.destination_id,
            bytes((0, 1 + len(frame) + _TOKEN_OCTETS, 0)),  # no token, length, packet number
        )
    )
    keys = CryptoPair()
    keys.setup_initial(cid=header.destination_id, is_client=False, version=header.version)
    return keys.encrypt_packet(clear, frame, 0)


def stateless_reset_packet(token: bytes, trigger_octets: int) -> bytes | None:
    """Return a packet that ends a connection nobody knows any more (RFC 9000 §10.3).

    It is shorter than what triggered it, so that two who reset each other come to an end; ``None`` if it cannot be.
    """
    octets = min(trigger_octets - 1, _LONGEST_RESET)
    if octets < _SHORTEST_RESET:
        return None
    noise = bytearray(secrets.token_bytes(octets - _TOKEN_OCTETS))
    noise[0] = noise[0] & 0x3F | FIXED_BIT
    return bytes(noise) + token
