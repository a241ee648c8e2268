"""What the frames of the peer's control stream mean (RFC 9114 §7.2, RFC 9218 §7.2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from ...events import GoawayReceived, SettingsReceived, StreamResetReceived
from .._faults import ConnectionFault
from ._codes import (
    CANCEL_PUSH,
    DATA,
    GOAWAY,
    HEADERS,
    MAX_PUSH_ID,
    PRIORITY_UPDATE_PUSH,
    PRIORITY_UPDATE_REQUEST,
    PUSH_PROMISE,
    RESERVED_FRAMES,
    RESERVED_SETTINGS,
    SETTINGS,
    HTTP3ErrorCode,
    HTTP3Setting,
)
from ._connection import Connection
from ._frames import Payload, read_varint

__all__ = ["ClientControlFrames", "ControlFrames", "ServerControlFrames"]

_WRONG_HERE = RESERVED_FRAMES | {DATA, HEADERS, PUSH_PROMISE}
_KNOWN = frozenset({CANCEL_PUSH, SETTINGS, GOAWAY, MAX_PUSH_ID, PRIORITY_UPDATE_REQUEST, PRIORITY_UPDATE_PUSH})
_LONGEST_FRAME = 4096
_SWITCHES = frozenset({HTTP3Setting.ENABLE_CONNECT_PROTOCOL, HTTP3Setting.H3_DATAGRAM})


class ControlFrames(ABC):
    """Takes the frames of the peer's control stream; a :class:`~._frames.FrameSink`.

    Args:
        connection: the connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._goaway_id: int | None = None

    def frame_begins(self, frame_type: int, length: int) -> Payload:
        """Say what is to become of a frame's payload."""
        if self._connection.peer_settings is None and frame_type != SETTINGS:
            raise ConnectionFault(HTTP3ErrorCode.MISSING_SETTINGS, "the first frame is not SETTINGS")
        if frame_type in _WRONG_HERE:
            raise ConnectionFault(HTTP3ErrorCode.FRAME_UNEXPECTED, f"frame of type {frame_type:#x} on a control stream")
        if frame_type not in _KNOWN:
            self._connection.budget.spend("a frame of unknown type")
            return Payload.SKIPPED
        if frame_type == SETTINGS and self._connection.peer_settings is not None:
            raise ConnectionFault(HTTP3ErrorCode.FRAME_UNEXPECTED, "a second SETTINGS")
        if length > _LONGEST_FRAME:
            raise ConnectionFault(HTTP3ErrorCode.EXCESSIVE_LOAD, f"frame of {length} octets on a control stream")
        return Payload.COLLECTED

    def payload_passed(self, payload: bytes) -> None:
        """Ignore it: nothing is passed on, all is collected or skipped."""
        return

    def frame_ends(self, frame_type: int, payload: bytes, last: bool) -> None:
        """Take a frame."""
        if frame_type == SETTINGS:
            self._settings_received(payload)
        elif frame_type == GOAWAY:
            self._goaway_received(_only_varint(payload))
        elif frame_type == CANCEL_PUSH:
            self._cancel_push_received(_only_varint(payload))
        elif frame_type == MAX_PUSH_ID:
            self._max_push_id_received(_only_varint(payload))
        elif frame_type in {PRIORITY_UPDATE_REQUEST, PRIORITY_UPDATE_PUSH}:
            found = read_varint(payload)
            if found is None:
                raise ConnectionFault(HTTP3ErrorCode.FRAME_ERROR, "PRIORITY_UPDATE without an id")
            self._priority_update_received(frame_type, found[0], payload[found[1] :])

    def _settings_received(self, payload: bytes) -> None:
        settings: dict[int, int] = {}
        position = 0
        while position < len(payload):
            identifier = read_varint(payload, position)
            value = None if identifier is None else read_varint(payload, identifier[1])
            if identifier is None or value is None:
                raise ConnectionFault(HTTP3ErrorCode.FRAME_ERROR, "SETTINGS ends within a setting")
            position = value[1]
            if identifier[0] in RESERVED_SETTINGS:
                raise ConnectionFault(HTTP3ErrorCode.SETTINGS_ERROR, f"setting {identifier[0]:#x} is reserved")
            if identifier[0] in settings:
                raise ConnectionFault(HTTP3ErrorCode.SETTINGS_ERROR, f"setting {identifier[0]:#x} occurs twice")
            if identifier[0] in _SWITCHES and value[0] > 1:
                raise ConnectionFault(HTTP3ErrorCode.SETTINGS_ERROR, f"setting {identifier[0]:#x} is not 0 or 1")
            settings[identifier[0]] = value[0]
        self._connection.peer_settings = settings
        self._connection.events.append(SettingsReceived(dict(settings)))

    def _goaway_received(self, identifier: int) -> None:
        if self._goaway_id is not None and identifier > self._goaway_id:
            raise ConnectionFault(HTTP3ErrorCode.ID_ERROR, "GOAWAY with a higher id than before")
        self._connection.budget.spend("GOAWAY")
        self._take_goaway(identifier)
        self._goaway_id = identifier

    @abstractmethod
    def _take_goaway(self, identifier: int) -> None:
        """Take a GOAWAY frame."""

    @abstractmethod
    def _max_push_id_received(self, push_id: int) -> None:
        """Take a MAX_PUSH_ID frame."""

    @abstractmethod
    def _priority_update_received(self, frame_type: int, element_id: int, field_value: bytes) -> None:
        """Take a PRIORITY_UPDATE frame."""

    def _cancel_push_received(self, push_id: int) -> None:
        # No push was ever promised, or allowed (RFC 9114 §7.2.3).
        raise ConnectionFault(HTTP3ErrorCode.ID_ERROR, f"CANCEL_PUSH of {push_id}, which was never promised")


class ServerControlFrames(ControlFrames):
    """Takes the frames of a client's control stream."""

    _max_push_id = -1

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.prioritize: Callable[[int, bytes], None] = _ignore_priority

    def _take_goaway(self, identifier: int) -> None:
        # It speaks of pushes, and there are none. The client ends the connection when it is done.
        self._connection.goaway_received = True
        self._connection.events.append(GoawayReceived(0))

    def _max_push_id_received(self, push_id: int) -> None:
        if push_id < self._max_push_id:
            raise ConnectionFault(HTTP3ErrorCode.ID_ERROR, "MAX_PUSH_ID is lower than before")
        self._max_push_id = push_id
        self._connection.budget.spend("MAX_PUSH_ID")

    def _priority_update_received(self, frame_type: int, element_id: int, field_value: bytes) -> None:
        if frame_type == PRIORITY_UPDATE_PUSH:
            raise ConnectionFault(HTTP3ErrorCode.ID_ERROR, "PRIORITY_UPDATE of a push that was never promised")
        if element_id % 4 or not self._connection.quic.may_be_opened_by_peer(element_id):
            raise ConnectionFault(HTTP3ErrorCode.ID_ERROR, f"PRIORITY_UPDATE of stream {element_id}")
        self._connection.budget.spend("PRIORITY_UPDATE")
        self.prioritize(element_id, field_value)


def _ignore_priority(_stream_id: int, _field_value: bytes) -> None:
    """Until the receiver of requests says otherwise."""


class ClientControlFrames(ControlFrames):
    """Takes the frames of a server's control stream."""

    def _take_goaway(self, identifier: int) -> None:
        if identifier % 4:
            raise ConnectionFault(HTTP3ErrorCode.ID_ERROR, f"GOAWAY with id {identifier}, which is of no request")
        connection = self._connection
        connection.goaway_received = True
        connection.events.append(GoawayReceived(identifier - 4))
        for stream in list(connection.streams.live.values()):
            if stream.stream_id >= identifier:
                connection.events.append(StreamResetReceived(stream.stream_id, HTTP3ErrorCode.REQUEST_REJECTED))
                stream.announced = False  # it has heard
                connection.reset_stream(stream, HTTP3ErrorCode.REQUEST_CANCELLED)

    def _max_push_id_received(self, push_id: int) -> None:
        raise ConnectionFault(HTTP3ErrorCode.FRAME_UNEXPECTED, "MAX_PUSH_ID of a server")

    def _priority_update_received(self, frame_type: int, element_id: int, field_value: bytes) -> None:
        raise ConnectionFault(HTTP3ErrorCode.FRAME_UNEXPECTED, "PRIORITY_UPDATE of a server")


def _only_varint(payload: bytes) -> int:
    found = read_varint(payload)
    if found is None or found[1] != len(payload):
        raise ConnectionFault(HTTP3ErrorCode.FRAME_ERROR, "frame that is not one integer")
    return found[0]
