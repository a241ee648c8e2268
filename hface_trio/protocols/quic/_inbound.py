"""What the peer does: from the machine's events to the calls of a receiver, with credit and streams kept in step."""

from __future__ import annotations

from aioquic.quic import events as quic_events

from ._compat_aioquic import QuicMachine, StreamDataSkipped
from ._credit import ReceiveLedger
from ._keepalive import Pings
from ._receiver import HandshakeCompleted, QUICReceiver
from ._sender import StreamSender
from ._streams import StreamTable

__all__ = ["Inbound"]


class Inbound:
    """Takes the machine's events.

    Args:
        machine: has them.
        streams: the table of streams.
        ledger: receive credit.
        sender: send capacity.
        pings: pings of this side.
        receiver: is told.
    """

    def __init__(
        self,
        machine: QuicMachine,
        *,
        streams: StreamTable,
        ledger: ReceiveLedger,
        sender: StreamSender,
        pings: Pings,
        receiver: QUICReceiver,
    ) -> None:
        self._machine = machine
        self._streams = streams
        self._ledger = ledger
        self._sender = sender
        self._pings = pings
        self.receiver: QUICReceiver = receiver
        self.retired_ids: list[bytes] = []
        self.handshake: HandshakeCompleted | None = None

    def take(self, event: quic_events.QuicEvent) -> None:
        """Take an event."""
        if isinstance(event, quic_events.StreamDataReceived):
            self._data_received(event.stream_id, event.data, event.end_stream)
        elif isinstance(event, quic_events.StreamReset):
            self._reset_received(event.stream_id, event.error_code)
        elif isinstance(event, StreamDataSkipped):
            self._data_skipped(event.stream_id, event.n_octets, event.end_stream)
        elif isinstance(event, quic_events.StopSendingReceived):
            self._stop_sending_received(event.stream_id, event.error_code)
        elif isinstance(event, quic_events.DatagramFrameReceived):
            self.receiver.datagram_frame_received(event.data)
        elif isinstance(event, quic_events.PingAcknowledged):
            round_trip = self._pings.acknowledged(event.uid, self._ledger.now)
            if round_trip is not None:
                self.receiver.ping_acknowledged(event.uid, round_trip)
        elif isinstance(event, quic_events.ProtocolNegotiated):
            self.receiver.ready()
        elif isinstance(event, quic_events.HandshakeCompleted):
            self.handshake = HandshakeCompleted(event.alpn_protocol, event.early_data_accepted, event.session_resumed)
            self.receiver.handshake_completed(self.handshake)
        elif isinstance(event, quic_events.ConnectionIdRetired):
            self.retired_ids.append(event.connection_id)

    def _data_received(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        stream = self._streams.entered(stream_id)
        if end_stream:
            stream.receiving_ended = stream.credit.ended = True
        if stream.stopped:
            self._ledger.discarded(stream.credit, len(data))
        else:
            self._ledger.delivered(stream.credit, len(data))
            self.receiver.data_received(stream_id, data, end_stream)
        if end_stream:
            self._streams.settle(stream)

    def _data_skipped(self, stream_id: int, n_octets: int, end_stream: bool) -> None:
        stream = self._streams.entered(stream_id)
        if end_stream:
            stream.receiving_ended = stream.credit.ended = True
        self._ledger.discarded(stream.credit, n_octets)
        if end_stream:
            self._streams.settle(stream)

    def _reset_received(self, stream_id: int, code: int) -> None:
        stream = self._streams.entered(stream_id)
        stream.receiving_ended = True
        self._ledger.cut_off(stream.credit, self._machine.final_size(stream_id))
        if not stream.stopped:
            self.receiver.reset_received(stream_id, code)
        self._streams.settle(stream)

    def _stop_sending_received(self, stream_id: int, code: int) -> None:
        stream = self._streams.entered(stream_id)
        self._machine.free_sent(stream_id)
        self._sender.forget(stream)
        self.receiver.stop_sending_received(stream_id, code)
        self._streams.settle(stream)
