"""What takes frames once they were found well-formed: one method for each thing that a peer can say."""

from __future__ import annotations

from typing import Protocol

from .._faults import StreamFault
from .._priority import StreamDependency

__all__ = ["FrameReceiver"]


class FrameReceiver(Protocol):
    """Takes frames that are well-formed."""

    @property
    def terminated(self) -> bool:
        """Whether further frames are pointless."""
        ...

    def stream_failed(self, fault: StreamFault) -> None:
        """Answer a stream fault."""

    def frame_ended(self) -> None:
        """Do what is due now that a frame has had its effect."""

    def data_received(self, stream_id: int, data: bytes, flow_octets: int, end_stream: bool) -> None:
        """Take a DATA frame; ``flow_octets`` counts its padding too."""

    def section_received(
        self, stream_id: int, block: bytes, end_stream: bool, dependency: StreamDependency | None
    ) -> None:
        """Take a whole encoded section."""

    def promise_received(self, stream_id: int, promised_stream_id: int, block: bytes) -> None:
        """Take a whole promise."""

    def priority_received(self, stream_id: int, dependency: StreamDependency) -> None:
        """Take a PRIORITY frame."""

    def reset_received(self, stream_id: int, code: int) -> None:
        """Take a RST_STREAM frame."""

    def settings_received(self, settings: list[tuple[int, int]]) -> None:
        """Take a SETTINGS frame."""

    def settings_acknowledged(self) -> None:
        """Take an acknowledgement of settings."""

    def ping_received(self, data: bytes) -> None:
        """Take a PING frame."""

    def ping_acknowledged(self, data: bytes) -> None:
        """Take an acknowledgement of a ping."""

    def goaway_received(self, last_stream_id: int, code: int, additional_data: bytes) -> None:
        """Take a GOAWAY frame."""

    def window_update_received(self, stream_id: int, increment: int) -> None:
        """Take a WINDOW_UPDATE frame; the increment may be the forbidden 0."""

    def priority_update_received(self, stream_id: int, field_value: bytes) -> None:
        """Take a PRIORITY_UPDATE frame for a stream."""

    def alternative_service_received(self, stream_id: int, origin: bytes, field_value: bytes) -> None:
        """Take an ALTSVC frame."""

    def unknown_frame_received(self, stream_id: int, frame_type: int, payload: bytes) -> None:
        """Take a frame of another type."""
