"""The numbers of QUIC: error codes of the transport, versions, and what stream ids mean (RFC 9000 §20.1, §2.1)."""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["QUICErrorCode", "is_client_initiated", "is_unidirectional"]


class QUICErrorCode(enum.IntEnum):
    """Reasons of the transport for ending a connection (RFC 9000 §20.1).

    From 0x100 to 0x1FF they are alerts of TLS (RFC 9001 §4.8).
    """

    NO_ERROR = 0x0
    INTERNAL_ERROR = 0x1
    CONNECTION_REFUSED = 0x2
    FLOW_CONTROL_ERROR = 0x3
    STREAM_LIMIT_ERROR = 0x4
    STREAM_STATE_ERROR = 0x5
    FINAL_SIZE_ERROR = 0x6
    FRAME_ENCODING_ERROR = 0x7
    TRANSPORT_PARAMETER_ERROR = 0x8
    CONNECTION_ID_LIMIT_ERROR = 0x9
    PROTOCOL_VIOLATION = 0xA
    INVALID_TOKEN = 0xB
    APPLICATION_ERROR = 0xC
    CRYPTO_BUFFER_EXCEEDED = 0xD
    KEY_UPDATE_ERROR = 0xE
    AEAD_LIMIT_REACHED = 0xF
    NO_VIABLE_PATH = 0x10
    CRYPTO_ERROR = 0x100


QUIC_VERSION_1: Final = 0x00000001
QUIC_VERSION_2: Final = 0x6B3343CF

MAXIMUM_VARINT: Final = 2**62 - 1


def is_client_initiated(stream_id: int) -> bool:
    """Whether the client opens streams of this id."""
    return not stream_id & 1


def is_unidirectional(stream_id: int) -> bool:
    """Whether only the side that opens streams of this id sends on them."""
    return bool(stream_id & 2)
