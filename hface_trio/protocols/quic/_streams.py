"""The streams of a connection, as this side sees them: how far each direction has come, and what is on its way.

A record lives from the stream's first octet until the stream is over on the wire *and* released by whoever uses it: only then
may the peer open another in its place. Unless streams are held, the release comes by itself when both sides have ended.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import LocalProtocolError
from ._codes import is_unidirectional
from ._compat_aioquic import QuicMachine
from ._credit import ReceiveLedger, StreamCredit
from ._sender import StreamSender
from ._settings import QUICSettings
from ._stream import QUICStream

__all__ = ["StreamTable"]


class StreamTable:
    """All streams of a connection.

    Args:
        machine: knows what is on the wire.
        settings: windows.
        ledger: receive credit.
        sender: send capacity.
    """

    def __init__(
        self, machine: QuicMachine, settings: QUICSettings, ledger: ReceiveLedger, sender: StreamSender
    ) -> None:
        self._machine = machine
        self._settings = settings
        self._ledger = ledger
        self._sender = sender
        self.live: dict[int, QUICStream] = {}
        self.hold = False

    def left(self, *, unidirectional: bool) -> int:
        """Return how many streams this side may open now."""
        return max(0, self._machine.own_streams_left(unidirectional=unidirectional))

    def next_id(self, *, unidirectional: bool) -> int:
        """Return the id of the next stream of this side.

        Raises:
            LocalProtocolError: none can be opened now.
        """
        if not self.left(unidirectional=unidirectional):
            raise LocalProtocolError("no stream can be opened now")
        return self._machine.get_next_available_stream_id(is_unidirectional=unidirectional)

    def entered(self, stream_id: int) -> QUICStream:
        """Return a stream, a new one if there is none yet."""
        stream = self.live.get(stream_id)
        if stream is None:
            settings = self._settings
            one_way = is_unidirectional(stream_id)
            window = settings.unidirectional_window_octets if one_way else settings.stream_window_octets
            credit = StreamCredit(stream_id, window, self._ledger.now)
            stream = QUICStream(stream_id, credit, initiated_here=self._machine.is_own(stream_id))
            self.live[stream_id] = stream
        return stream

    def for_sending(self, stream_id: int) -> QUICStream:
        """Return a stream to send on, opening it if it is the next of this side.

        Raises:
            LocalProtocolError: it is neither open nor next, or the peer alone sends on it.
        """
        stream = self.live.get(stream_id)
        if stream is None:
            own = self._machine.is_own(stream_id)
            if not own or stream_id != self.next_id(unidirectional=is_unidirectional(stream_id)):
                raise LocalProtocolError(f"stream {stream_id} is not open", stream_id=stream_id)
            stream = self.entered(stream_id)
        if not stream.may_send:
            raise LocalProtocolError(f"the peer alone sends on stream {stream_id}", stream_id=stream_id)
        return stream

    def release(self, stream: QUICStream) -> None:
        """Note that nobody uses a stream any more."""
        if not stream.released:
            stream.released = True
            self._ledger.close(stream.credit)
            self._forget_if_done(stream)

    def settle(self, stream: QUICStream) -> None:
        """Release a stream that both sides have ended, unless streams are held."""
        if stream.is_over and not self.hold:
            self.release(stream)

    def discarded(self, stream_ids: Iterable[int]) -> None:
        """Note streams that are over on the wire."""
        for stream_id in stream_ids:
            stream = self.live.get(stream_id)
            if stream is not None:
                stream.discarded = True
                self._forget_if_done(stream)

    def clear(self) -> None:
        """Forget all streams: the connection is over."""
        for stream in self.live.values():
            self._ledger.close(stream.credit)
        self.live.clear()

    def _forget_if_done(self, stream: QUICStream) -> None:
        if stream.released and stream.discarded and self.live.pop(stream.stream_id, None) is not None:
            self._sender.forget(stream)
            if not stream.initiated_here:
                self._machine.grant_streams(1, unidirectional=stream.unidirectional)
