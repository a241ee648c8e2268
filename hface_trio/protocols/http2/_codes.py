"""The numbers of HTTP/2: error codes, settings, frame types and flags (RFC 9113 §6, §7, §6.5.2)."""

from __future__ import annotations

import enum
from typing import Final

from ...models import HTTPErrorCodes
from .._interfaces import StreamCodes

__all__ = ["HTTP2ErrorCode", "HTTP2Setting"]


class HTTP2ErrorCode(enum.IntEnum):
    """Reasons for ending a stream or a connection (RFC 9113 §7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class HTTP2Setting(enum.IntEnum):
    """Identifiers of settings (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6
    ENABLE_CONNECT_PROTOCOL = 8
    NO_RFC7540_PRIORITIES = 9


ERROR_CODES: Final = HTTPErrorCodes(
    protocol_error=HTTP2ErrorCode.PROTOCOL_ERROR,
    internal_error=HTTP2ErrorCode.INTERNAL_ERROR,
    connect_error=HTTP2ErrorCode.CONNECT_ERROR,
)

STREAM_CODES: Final = StreamCodes(
    no_error=HTTP2ErrorCode.NO_ERROR,
    internal_error=HTTP2ErrorCode.INTERNAL_ERROR,
    refused=HTTP2ErrorCode.REFUSED_STREAM,
    cancelled=HTTP2ErrorCode.CANCEL,
    excessive_load=HTTP2ErrorCode.ENHANCE_YOUR_CALM,
)

# Frame types. Plain integers: they are compared for every frame, and an enumeration's member costs more to compare.
DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9
ALTSVC: Final = 0xA
PRIORITY_UPDATE: Final = 0x10

FLAG_ACK: Final = 0x1
FLAG_END_STREAM: Final = 0x1
FLAG_END_HEADERS: Final = 0x4
FLAG_PADDED: Final = 0x8
FLAG_PRIORITY: Final = 0x20

DEFAULT_WINDOW: Final = 65_535
"""Every window before a SETTINGS or WINDOW_UPDATE frame says otherwise (RFC 9113 §6.9.2)."""

DEFAULT_FRAME_OCTETS: Final = 16_384
MAXIMUM_FRAME_OCTETS: Final = 2**24 - 1
MAXIMUM_WINDOW: Final = 2**31 - 1
MAXIMUM_STREAM_ID: Final = 2**31 - 1
DEFAULT_TABLE_OCTETS: Final = 4096
