"""What can be set on an HTTP/3 connection beyond ``Limits`` and ``Timeouts``."""

from __future__ import annotations

import dataclasses

from ...errors import ConfigurationError
from ...limits import Limits
from ..quic import QUICSettings
from ._codes import RESERVED_SETTINGS, HTTP3Setting

__all__ = ["HTTP3Settings"]

_MAXIMUM_VALUE = 2**62 - 1
_SMALLEST_WINDOW = 1024
_LARGEST_WINDOW = 2**31


@dataclasses.dataclass(frozen=True)
class HTTP3Settings:
    """Options of an HTTP/3 connection; the defaults suit a server exposed to the Internet.

    Args:
        quic: options of QUIC. The numbers of streams and the windows in it are set from ``Limits``.
        enable_connect_protocol: accept extended CONNECT (server; RFC 9220).
        datagrams: accept HTTP datagrams, and send them to peers that do (RFC 9297).
        additional_settings: further settings for the SETTINGS frame, as identifier and value; they replace what would be
            sent otherwise.
        abuse_tokens: useless acts of the peer that may come at once: resets by either side, frames of unknown types,
            PRIORITY_UPDATE, empty DATA, refused streams. A completed exchange gives one back.
        abuse_tokens_per_second: how many come back over time.
        drain_ping_seconds: between the announcement of the end and its last stream id, if no ping is acknowledged.
        validate_inbound_headers: check received sections against RFC 9114 §4. To turn it off is for tests of peers.
        validate_outbound_headers: check sent sections likewise.
        normalize_inbound_headers: join ``cookie`` fields into one (RFC 9114 §4.2.1).
        normalize_outbound_headers: lower-case names, strip white space around values, drop connection-specific fields.
        split_outbound_cookies: send each cookie as a field of its own.
    """

    quic: QUICSettings = dataclasses.field(default_factory=QUICSettings)
    enable_connect_protocol: bool = True
    datagrams: bool = True
    additional_settings: tuple[tuple[int, int], ...] = ()
    abuse_tokens: float = 1000
    abuse_tokens_per_second: float = 100
    drain_ping_seconds: float = 1
    validate_inbound_headers: bool = True
    validate_outbound_headers: bool = True
    normalize_inbound_headers: bool = True
    normalize_outbound_headers: bool = True
    split_outbound_cookies: bool = False

    def __post_init__(self) -> None:
        for name in ("abuse_tokens", "abuse_tokens_per_second", "drain_ping_seconds"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"HTTP3Settings.{name} must not be negative")
        for identifier, value in self.additional_settings:
            if not 0 <= identifier <= _MAXIMUM_VALUE or identifier in RESERVED_SETTINGS:
                raise ConfigurationError(f"HTTP/3 has no setting {identifier!r}")
            if not 0 <= value <= _MAXIMUM_VALUE:
                raise ConfigurationError(f"setting {identifier} must be from 0 to 2⁶² - 1, got {value!r}")


def first_settings(limits: Limits, settings: HTTP3Settings, *, client_side: bool) -> dict[int, int]:
    """Return the content of the SETTINGS frame. No dynamic table for QPACK: it is 0 where nothing is said."""
    values: dict[int, int] = {}
    if limits.header_section_octets <= _MAXIMUM_VALUE:
        values[HTTP3Setting.MAX_FIELD_SECTION_SIZE] = int(limits.header_section_octets)
    if settings.enable_connect_protocol and not client_side:
        values[HTTP3Setting.ENABLE_CONNECT_PROTOCOL] = 1
    if settings.datagrams:
        values[HTTP3Setting.H3_DATAGRAM] = 1
    values.update(settings.additional_settings)
    return values


def quic_settings(limits: Limits, settings: HTTP3Settings, *, client_side: bool) -> QUICSettings:
    """Return the options of the QUIC connection.

    Its receive window holds the windows of all streams at once, grown as far as they may together, so that streams nobody
    reads never stop the others. A server opens no bidirectional stream (RFC 9114 §6.1).
    """
    quic = settings.quic
    window = int(max(_SMALLEST_WINDOW, min(limits.stream_window_octets, _LARGEST_WINDOW)))
    streams = int(min(limits.concurrent_streams, 2**16))
    return dataclasses.replace(
        quic,
        bidirectional_streams=0 if client_side else streams,
        stream_window_octets=window,
        maximum_window_octets=max(window, quic.maximum_window_octets),
        connection_window_octets=streams * window
        + quic.unidirectional_streams * quic.unidirectional_window_octets
        + quic.window_growth_octets,
        datagram_frames=settings.datagrams,
    )
