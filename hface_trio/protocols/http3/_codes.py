"""The numbers of HTTP/3: error codes, settings, types of frames and streams (RFC 9114 §7, §8, §11.2, RFC 9204 §8.1)."""

from __future__ import annotations

import enum
from typing import Final

from ...models import HTTPErrorCodes
from .._interfaces import StreamCodes

__all__ = ["HTTP3ErrorCode", "HTTP3Setting", "HTTP3StreamType"]


class HTTP3ErrorCode(enum.IntEnum):
    """Reasons for ending a stream or a connection (RFC 9114 §8.1, RFC 9204 §6, RFC 9297 §5.2)."""

    DATAGRAM_ERROR = 0x33
    NO_ERROR = 0x100
    GENERAL_PROTOCOL_ERROR = 0x101
    INTERNAL_ERROR = 0x102
    STREAM_CREATION_ERROR = 0x103
    CLOSED_CRITICAL_STREAM = 0x104
    FRAME_UNEXPECTED = 0x105
    FRAME_ERROR = 0x106
    EXCESSIVE_LOAD = 0x107
    ID_ERROR = 0x108
    SETTINGS_ERROR = 0x109
    MISSING_SETTINGS = 0x10A
    REQUEST_REJECTED = 0x10B
    REQUEST_CANCELLED = 0x10C
    REQUEST_INCOMPLETE = 0x10D
    MESSAGE_ERROR = 0x10E
    CONNECT_ERROR = 0x10F
    VERSION_FALLBACK = 0x110
    QPACK_DECOMPRESSION_FAILED = 0x200
    QPACK_ENCODER_STREAM_ERROR = 0x201
    QPACK_DECODER_STREAM_ERROR = 0x202


class HTTP3Setting(enum.IntEnum):
    """Identifiers of settings (RFC 9114 §7.2.4.1, RFC 9204 §5, RFC 9220 §3, RFC 9297 §2.1.1)."""

    QPACK_MAX_TABLE_CAPACITY = 0x1
    MAX_FIELD_SECTION_SIZE = 0x6
    QPACK_BLOCKED_STREAMS = 0x7
    ENABLE_CONNECT_PROTOCOL = 0x8
    H3_DATAGRAM = 0x33


class HTTP3StreamType(enum.IntEnum):
    """Types of unidirectional streams (RFC 9114 §6.2, RFC 9204 §4.2)."""

    CONTROL = 0x0
    PUSH = 0x1
    QPACK_ENCODER = 0x2
    QPACK_DECODER = 0x3


ERROR_CODES: Final = HTTPErrorCodes(
    protocol_error=HTTP3ErrorCode.GENERAL_PROTOCOL_ERROR,
    internal_error=HTTP3ErrorCode.INTERNAL_ERROR,
    connect_error=HTTP3ErrorCode.CONNECT_ERROR,
)

STREAM_CODES: Final = StreamCodes(
    no_error=HTTP3ErrorCode.NO_ERROR,
    internal_error=HTTP3ErrorCode.INTERNAL_ERROR,
    refused=HTTP3ErrorCode.REQUEST_REJECTED,
    cancelled=HTTP3ErrorCode.REQUEST_CANCELLED,
    excessive_load=HTTP3ErrorCode.EXCESSIVE_LOAD,
)

# Frame types. Plain integers: they are compared for every frame.
DATA: Final = 0x0
HEADERS: Final = 0x1
CANCEL_PUSH: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
GOAWAY: Final = 0x7
MAX_PUSH_ID: Final = 0xD
PRIORITY_UPDATE_REQUEST: Final = 0xF0700
PRIORITY_UPDATE_PUSH: Final = 0xF0701

RESERVED_FRAMES: Final = frozenset({0x2, 0x6, 0x8, 0x9})
"""Types that HTTP/2 had and HTTP/3 must not have (RFC 9114 §7.2.8)."""

RESERVED_SETTINGS: Final = frozenset({0x0, 0x2, 0x3, 0x4, 0x5})
"""Identifiers likewise (RFC 9114 §7.2.4.1); 0 is reserved as well."""

CONTROL_FRAMES: Final = frozenset(
    {CANCEL_PUSH, SETTINGS, GOAWAY, MAX_PUSH_ID, PRIORITY_UPDATE_REQUEST, PRIORITY_UPDATE_PUSH}
)
"""Types that belong on control streams alone."""

MAXIMUM_REQUEST_ID: Final = 2**62 - 4
"""The highest id of a stream for a request."""
