"""What can be set on an HTTP/2 connection beyond ``Limits`` and ``Timeouts``."""

from __future__ import annotations

import dataclasses
import math

from ...errors import ConfigurationError
from ...limits import Limits
from ._codes import (
    DEFAULT_FRAME_OCTETS,
    DEFAULT_TABLE_OCTETS,
    DEFAULT_WINDOW,
    MAXIMUM_FRAME_OCTETS,
    MAXIMUM_WINDOW,
    HTTP2Setting,
)

__all__ = ["HTTP2Settings"]

_KIB = 1024
_MIB = 1024 * _KIB
_LEAST_FRAME_OCTETS = 1024  # leaves room for any padding


@dataclasses.dataclass(frozen=True)
class HTTP2Settings:
    """Options of an HTTP/2 connection; the defaults suit a server exposed to the Internet.

    Args:
        decoder_table_octets: dynamic table the peer may use to compress its fields (SETTINGS_HEADER_TABLE_SIZE).
        encoder_table_octets: dynamic table used to compress fields that are sent, if the peer allows as much.
        max_frame_octets: largest frame accepted, 16,384 to 16,777,215 (SETTINGS_MAX_FRAME_SIZE).
        send_frame_octets: largest DATA frame sent, if the peer allows as much.
        accept_push: let the server push (client).
        enable_connect_protocol: accept extended CONNECT (server; RFC 8441).
        additional_settings: further settings for the first SETTINGS frame, as identifier and value; they replace what
            would be sent otherwise.
        maximum_window_octets: how far a stream's receive window grows with consumption.
        window_growth_octets: what all streams together may grow beyond their initial windows.
        window_growth_seconds: a window grows when half of it was consumed within this time, so that slow exchanges
            keep small windows. An upper bound on the round trips for which growing helps.
        queued_data_octets: DATA output held by the protocol until it is taken; one write's worth.
        abuse_tokens: frames without progress that may come at once: resets by either side, PING, SETTINGS, PRIORITY,
            useless WINDOW_UPDATE, empty DATA and the like. A completed exchange gives one back.
        abuse_tokens_per_second: how many come back over time.
        continuation_frames: CONTINUATION frames of one section.
        remembered_streams: ended streams that are remembered, to tell late frames from wrong ones.
        outstanding_pings: own pings that wait for their acknowledgement.
        settings_timeout_seconds: for the peer to acknowledge settings.
        drain_ping_seconds: between the announcement of the end and its last stream id, if no PING is acknowledged.
        keep_alive_interval_seconds: a ping is sent when nothing arrived for so long; infinite for none.
        keep_alive_timeout_seconds: for that ping's acknowledgement; then the connection is lost.
        validate_inbound_headers: check received sections against RFC 9113 §8. To turn it off is for tests of peers.
        validate_outbound_headers: check sent sections likewise.
        normalize_inbound_headers: join ``cookie`` fields into one (RFC 9113 §8.2.3).
        normalize_outbound_headers: lower-case names, strip white space around values, drop connection-specific fields.
        split_outbound_cookies: send each cookie as a field of its own, which compresses better.
        never_indexed: names of fields never to be put into a compression table (RFC 7541 §7.1.3). Short ``cookie``
            fields are treated likewise; anything else by passing ``hpack.NeverIndexedHeaderTuple``.

    Raises:
        ConfigurationError: a value is out of its range.
    """

    decoder_table_octets: int = DEFAULT_TABLE_OCTETS
    encoder_table_octets: int = DEFAULT_TABLE_OCTETS
    max_frame_octets: int = DEFAULT_FRAME_OCTETS
    send_frame_octets: int = DEFAULT_FRAME_OCTETS
    accept_push: bool = False
    enable_connect_protocol: bool = True
    additional_settings: tuple[tuple[int, int], ...] = ()
    maximum_window_octets: int = _MIB
    window_growth_octets: int = 4 * _MIB
    window_growth_seconds: float = 0.5
    queued_data_octets: int = 64 * _KIB
    abuse_tokens: float = 1000
    abuse_tokens_per_second: float = 100
    continuation_frames: int = 64
    remembered_streams: int = 1024
    outstanding_pings: int = 16
    settings_timeout_seconds: float = 10
    drain_ping_seconds: float = 1
    keep_alive_interval_seconds: float = math.inf
    keep_alive_timeout_seconds: float = 20
    validate_inbound_headers: bool = True
    validate_outbound_headers: bool = True
    normalize_inbound_headers: bool = True
    normalize_outbound_headers: bool = True
    split_outbound_cookies: bool = False
    never_indexed: frozenset[bytes] = frozenset({b"authorization", b"proxy-authorization", b"set-cookie"})

    def __post_init__(self) -> None:
        if not DEFAULT_FRAME_OCTETS <= self.max_frame_octets <= MAXIMUM_FRAME_OCTETS:
            raise ConfigurationError("HTTP2Settings.max_frame_octets must be from 16,384 to 16,777,215")
        if not 1 <= self.maximum_window_octets <= MAXIMUM_WINDOW:
            raise ConfigurationError("HTTP2Settings.maximum_window_octets must be from 1 to 2,147,483,647")
        if self.send_frame_octets < _LEAST_FRAME_OCTETS:
            raise ConfigurationError(f"HTTP2Settings.send_frame_octets must be at least {_LEAST_FRAME_OCTETS}")
        for name in ("queued_data_octets", "remembered_streams", "outstanding_pings"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"HTTP2Settings.{name} must be at least 1")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and not value >= 0:
                raise ConfigurationError(f"HTTP2Settings.{field.name} must not be negative, got {value!r}")


def first_settings(limits: Limits, settings: HTTP2Settings, *, client_side: bool) -> dict[int, int]:
    """Return the content of the first SETTINGS frame."""
    values: dict[int, int] = {
        HTTP2Setting.HEADER_TABLE_SIZE: settings.decoder_table_octets,
        HTTP2Setting.INITIAL_WINDOW_SIZE: initial_window(limits),
        HTTP2Setting.MAX_FRAME_SIZE: settings.max_frame_octets,
    }
    if client_side:
        values[HTTP2Setting.ENABLE_PUSH] = int(settings.accept_push)
    elif settings.enable_connect_protocol:
        values[HTTP2Setting.ENABLE_CONNECT_PROTOCOL] = 1
    if limits.concurrent_streams < 2**32 and not (client_side and not settings.accept_push):
        values[HTTP2Setting.MAX_CONCURRENT_STREAMS] = int(limits.concurrent_streams)
    if limits.header_section_octets < 2**32:
        values[HTTP2Setting.MAX_HEADER_LIST_SIZE] = int(limits.header_section_octets)
    values.update(settings.additional_settings)
    for identifier, value in values.items():
        check_setting(identifier, value)
    return values


def check_setting(identifier: int, value: int) -> None:
    """Check a setting that is to be sent.

    Raises:
        ConfigurationError: the value is out of its range (RFC 9113 §6.5.2).
    """
    lowest, highest = _RANGES.get(identifier, (0, 2**32 - 1))
    if not 0 <= identifier < 2**16 or not lowest <= value <= highest:
        raise ConfigurationError(f"setting {identifier} must be from {lowest} to {highest}, got {value!r}")


_RANGES: dict[int, tuple[int, int]] = {
    HTTP2Setting.ENABLE_PUSH: (0, 1),
    HTTP2Setting.INITIAL_WINDOW_SIZE: (0, MAXIMUM_WINDOW),
    HTTP2Setting.MAX_FRAME_SIZE: (DEFAULT_FRAME_OCTETS, MAXIMUM_FRAME_OCTETS),
    HTTP2Setting.ENABLE_CONNECT_PROTOCOL: (0, 1),
    HTTP2Setting.NO_RFC7540_PRIORITIES: (0, 1),
}


def initial_window(limits: Limits) -> int:
    """Return the window that a stream starts with."""
    return int(min(limits.stream_window_octets, MAXIMUM_WINDOW))


def connection_window(limits: Limits, settings: HTTP2Settings) -> int:
    """Return the receive window of the whole connection.

    It holds the windows of all streams at once, grown as far as they may together, so that streams nobody reads can
    never stop the others.
    """
    wanted = limits.concurrent_streams * initial_window(limits) + settings.window_growth_octets
    return int(max(DEFAULT_WINDOW, min(wanted, MAXIMUM_WINDOW)))
