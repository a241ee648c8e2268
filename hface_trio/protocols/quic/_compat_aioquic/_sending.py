"""What goes out when: datagrams of application data in the ordinary course of a connection.

``aioquic`` builds every packet as if it could be any kind, asks every stream for a frame for each, and asks those that
gave one again. Here, once the handshake is confirmed and as long as nothing extraordinary is going on, packets hold what they
hold nearly always (acknowledgements, limits, frames of streams) and are written by a :class:`~._packets.PacketWriter`;
streams with nothing to send are not asked, and a stream that fills whole packets fills them with one frame without a length.
All that holds congestion control, pacing and the peer's limits as the stock way does, which is taken for the rest.
"""

from __future__ import annotations

from collections import deque
from typing import Any, cast

from aioquic.buffer import encode_uint_var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import END_STATES, NetworkAddress, QuicConnectionState
from aioquic.quic.packet import QuicFrameType
from aioquic.quic.packet_builder import QuicPacketBuilderStop, QuicSentPacket
from aioquic.quic.recovery import QuicPacketPacer
from aioquic.quic.stream import QuicStream
from aioquic.tls import Epoch

from .._settings import QUICSettings
from ._packets import PacketWriter
from ._receiving import ReceivingConnection

__all__ = ["SendingConnection"]

_OFFSET_BIT = 0x04
_FIN_BIT = 0x01
_RESOLUTION_SECONDS = 0.001
_LEAST_FLIGHT_OCTETS = 64  # for less the congestion window is not used
_LEAST_ROOM_OCTETS = 32  # for less no further frame is put into a packet


class MillisecondPacer(QuicPacketPacer):
    """A pacer that lets leave together what its rate allows in a millisecond.

    No timer is finer; on a fast path aioquic's would have a packet or two leave at a time, and wake for each pair of them. How
    much may leave in a burst otherwise is as aioquic has it, and within the congestion window in any case (RFC 9002 §7.7).
    """

    def update_rate(self, congestion_window: int, smoothed_rtt: float) -> None:
        """Take the rate from what may be in flight for a round trip."""
        super().update_rate(congestion_window, smoothed_rtt)
        self.bucket_max = max(self.bucket_max, _RESOLUTION_SECONDS)


class _Turns:
    """Streams by what they have to send, each kind in the order of its turns.

    Those that fill packets come behind those that do not: otherwise they would leave these no room again and again.
    """

    __slots__ = ("filling", "idle", "mixed")

    def __init__(self) -> None:
        self.mixed: deque[QuicStream] = deque()
        self.filling: deque[QuicStream] = deque()
        self.idle: list[QuicStream] = []


class SendingConnection(ReceivingConnection):
    """A connection that writes its packets with little ado.

    Args:
        configuration: what aioquic wants to know.
        settings: limits and sizes.
        arguments: further arguments for aioquic.
    """

    def __init__(self, configuration: QuicConfiguration, settings: QUICSettings, **arguments: Any) -> None:
        super().__init__(configuration, settings, **arguments)
        self._loss._pacer = MillisecondPacer(max_datagram_size=configuration.max_datagram_size)

    def send_stream_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        """Send octets on a stream of which it is known that this side may send on it."""
        stream = self._streams.get(stream_id) or self._get_or_create_stream_for_send(stream_id)
        stream.sender.write(data, end_stream)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Return what is to be sent now."""
        if not self._network_paths or self._state in END_STATES:
            return []
        ordinary = self._is_ordinary()
        closing, path = self._close_pending, self._network_paths[0]
        room = 3 * path.bytes_received - path.bytes_sent
        turns = self._turns(ordinary)
        timer_known, pacing_at = self._timer_known, self._pacing_at
        self._timer_known = False
        try:
            if ordinary:
                datagrams = self._write_packets(turns, now)
            else:
                self._streams_queue = [*turns.mixed, *turns.filling]
                datagrams = super().datagrams_to_send(now)
                turns.mixed, turns.filling = deque(self._streams_queue), deque()
        finally:
            self._streams_queue = [*turns.mixed, *turns.filling, *turns.idle]
            self._pause_for_several(now)
        if ordinary and not datagrams and self._pacing_at == pacing_at:
            self._timer_known = timer_known  # nothing has changed
        if closing and not path.is_validated and sum(len(data) for data, _ in datagrams) > room:
            return []  # aioquic holds all packets but the last to what an unproven address may get (RFC 9000 §8.1)
        return datagrams

    def _turns(self, ordinary: bool) -> _Turns:
        """Sort the streams by what they have to send; in the ordinary course, forget those that are over."""
        turns = _Turns()
        for stream in self._streams_queue:
            if stream.is_finished and ordinary:
                self._streams.pop(stream.stream_id or 0)
            elif not _has_work(stream) or self._is_held_back(stream):
                turns.idle.append(stream)
            elif self._fills_a_packet(stream):
                turns.filling.append(stream)
            else:
                turns.mixed.append(stream)
        return turns

    def _is_ordinary(self) -> bool:
        """Whether nothing but acknowledgements, limits and streams can be due."""
        keys = self._application_keys
        if keys is None or not self._handshake_confirmed:
            return False
        path = self._network_paths[0]
        return not (
            self._state is not QuicConnectionState.CONNECTED
            or self._close_pending
            or self._probe_pending
            or self._ping_pending
            or self._datagrams_pending
            or self._handshake_done_pending
            or self._streams_blocked_pending
            or self._retire_connection_ids
            or self._quic_logger is not None
            or self._remote_preferred_address is not None
            or not path.is_validated
            or path.remote_challenges
            or self._probes_paths()
            or not keys.send.is_valid()
            or keys._update_key_requested
            or not self._crypto_streams[Epoch.ONE_RTT].sender.buffer_is_empty
            or not all(connection_id.was_sent for connection_id in self._host_cids)
        )

    def _probes_paths(self) -> bool:
        """Whether a path other than the one in use has to be probed, or to be answered, and can be (RFC 9000 §9.1)."""
        paths = self._network_paths
        return len(paths) > 1 and any(
            (path.remote_challenges or not (path.is_validated or path.local_challenge_sent))
            and (path.peer_cid is not None or self._peer_cid_available)
            for path in paths[1:]
        )

    def _write_packets(self, turns: _Turns, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Write packets until nothing is left for another, or sending has to pause."""
        recovery: Any = self._loss
        space = self._spaces[Epoch.ONE_RTT]
        self._pacing_at = None
        acknowledge = space.ack_at is not None and space.ack_at <= now
        limits = bool(self._table.with_news or self._limits_to_tell())
        if not (acknowledge or limits or turns.mixed or turns.filling):
            return []
        writer = PacketWriter(
            self._cryptos[Epoch.ONE_RTT],
            connection_id=self._peer_cid.cid,
            spin_bit=self._spin_bit,
            octets=self._max_datagram_size,
            packet_number=self._packet_number,
        )
        while (flight_octets := self._flight_octets(now)) or acknowledge:
            writer.begin(flight_octets)
            packet = None
            if not (acknowledge or limits or turns.mixed) and flight_octets == self._max_datagram_size:
                packet = self._full_packet(writer, turns, now)
            if packet is None:
                try:
                    if acknowledge:
                        self._write_ack_frame(cast("Any", writer), space, now)
                    if flight_octets:
                        self._write_frames(writer, turns)
                except QuicPacketBuilderStop:
                    pass  # it is full
                packet = writer.end(now)
            if packet is None:
                break
            acknowledge, limits = False, bool(self._table.with_news)
            self._packet_number = writer.packet_number
            recovery.on_packet_sent(packet=packet, space=space)
            recovery._pacer.update_after_send(now=now)
            if packet.is_ack_eliciting and not self._ack_eliciting_sent_since_receipt:
                self._close_at = now + self._idle_timeout()
                self._ack_eliciting_sent_since_receipt = True
            if not (limits or turns.mixed or turns.filling):
                break
        path = self._network_paths[0]
        datagrams = [(datagram, path.addr) for datagram in writer.take()]
        for datagram, _ in datagrams:
            path.bytes_sent += len(datagram)
        return datagrams

    def _flight_octets(self, now: float) -> int:
        """Return how long a packet may be by congestion control and pacing; 0 to pause."""
        recovery: Any = self._loss
        octets: int = min(recovery.congestion_window - recovery.bytes_in_flight, self._max_datagram_size)
        if octets < _LEAST_FLIGHT_OCTETS:
            return 0
        self._pacing_at = recovery._pacer.next_send_time(now=now)
        return octets if self._pacing_at is None else 0

    def _pause_for_several(self, now: float) -> None:
        """Wait until several packets may leave together, where the pace is fast enough for the pacer to allow bursts."""
        pacer = self._loss._pacer
        if self._pacing_at is not None and pacer.packet_time is not None:
            self._pacing_at = now + max(pacer.packet_time, pacer.bucket_max / 2)

    # Packets of many frames.

    def _write_frames(self, writer: PacketWriter, turns: _Turns) -> None:
        builder: Any = writer
        space = self._spaces[Epoch.ONE_RTT]
        self._write_connection_limits(builder, space)
        for stream in self._streams.values():
            self._write_stream_limits(builder, space, stream)
        for queue in (turns.mixed, turns.filling):
            for _ in range(len(queue)):
                if writer.remaining_flight_space < _LEAST_ROOM_OCTETS:
                    return
                stream = queue[0]
                self._write_frames_of(builder, stream)
                if _has_work(stream):
                    queue.rotate(-1)
                else:
                    turns.idle.append(queue.popleft())

    def _write_frames_of(self, builder: Any, stream: QuicStream) -> None:
        sender = stream.sender
        if stream.receiver.stop_pending:
            self._write_stop_sending_frame(builder, stream)
        if sender.reset_pending:
            self._write_reset_stream_frame(builder, stream)
        elif not stream.is_blocked and not sender.buffer_is_empty:
            self._remote_max_data_used += self._write_stream_frame(
                builder, self._spaces[Epoch.ONE_RTT], stream, self._allowed_offset(stream)
            )
            if not len(sender._pending) and not sender._pending_eof:
                sender.buffer_is_empty = True  # known now: no need to ask again for the next packet

    def _is_held_back(self, stream: QuicStream) -> bool:
        """Whether a stream has data alone to send, and the peer allows none of it."""
        sender = stream.sender
        if sender.reset_pending or stream.receiver.stop_pending or not len(sender._pending):
            return False
        return stream.is_blocked or sender._pending[0].start >= self._allowed_offset(stream)

    def _allowed_offset(self, stream: QuicStream) -> int:
        """Return how far the peer's limits let a stream be sent."""
        connection = stream.sender.highest_offset + self._remote_max_data - self._remote_max_data_used
        return min(connection, stream.max_stream_data_remote)

    # Packets of one frame.

    def _fills_a_packet(self, stream: QuicStream) -> bool:
        sender = stream.sender
        pending = sender._pending
        if not len(pending) or stream.is_blocked or sender.reset_pending or stream.receiver.stop_pending:
            return False
        first = pending[0]
        return first.stop - first.start >= self._max_datagram_size

    def _full_packet(self, writer: PacketWriter, turns: _Turns, now: float) -> QuicSentPacket | None:
        """Write a packet that is filled by a frame of the next stream which has and may send as much, if there is one."""
        for _ in range(len(turns.filling)):
            stream = turns.filling[0]
            turns.filling.rotate(-1)
            packet = self._full_packet_of(writer, stream, now)
            if packet is not None:
                return packet
        return None

    def _full_packet_of(self, writer: PacketWriter, stream: QuicStream, now: float) -> QuicSentPacket | None:
        sender = stream.sender
        if not len(sender._pending):
            return None
        pending = sender._pending[0]
        start = pending.start
        head = encode_uint_var(stream.stream_id or 0)
        frame_type: int = QuicFrameType.STREAM_BASE
        if start:
            frame_type |= _OFFSET_BIT
            head += encode_uint_var(start)
        stop = start + writer.room - 1 - len(head)
        if stop > pending.stop or stop > self._allowed_offset(stream):
            return None
        ends = stop == sender._buffer_fin
        if ends:
            frame_type |= _FIN_BIT
            sender._pending_eof = False
        sender._pending.subtract(start, stop)
        if stop > sender.highest_offset:
            self._remote_max_data_used += stop - sender.highest_offset
            sender.highest_offset = stop
        first = sender._buffer_start
        frame = bytes([frame_type]) + head + sender._buffer[start - first : stop - first]
        return writer.end_with(frame, sender.on_data_delivery, (start, stop, ends), now)


def _has_work(stream: QuicStream) -> bool:
    return (
        not stream.sender.buffer_is_empty
        or stream.sender.reset_pending
        or stream.receiver.stop_pending
        or stream.is_finished
    )
