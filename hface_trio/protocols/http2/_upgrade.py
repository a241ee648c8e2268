"""The ``HTTP2-Settings`` field of an upgrade from HTTP/1.1 (RFC 7540 §3.2.1).

RFC 9113 §3.1 has retired the upgrade; it is spoken with those who still ask for it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from ...errors import RemoteProtocolError
from ._codes import HTTP2ErrorCode
from ._frames import pack_settings_payload, unpack_settings_payload

__all__ = ["format_settings_field", "parse_settings_field"]


def format_settings_field(settings: Mapping[int, int]) -> bytes:
    """Return the value of the field for settings."""
    return base64.urlsafe_b64encode(pack_settings_payload(settings)).rstrip(b"=")


def parse_settings_field(value: bytes) -> list[tuple[int, int]]:
    """Return the settings in a field.

    Raises:
        RemoteProtocolError: the field is malformed; the request it came with has to be refused, or served without
            the upgrade.
    """
    value = value.strip(b" \t").rstrip(b"=")
    try:
        payload = base64.b64decode(value + b"=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise RemoteProtocolError("HTTP2-Settings is not base64url", error_code=HTTP2ErrorCode.PROTOCOL_ERROR) from exc
    if len(payload) % 6:
        raise RemoteProtocolError("HTTP2-Settings is no SETTINGS frame", error_code=HTTP2ErrorCode.FRAME_SIZE_ERROR)
    return unpack_settings_payload(payload)
