"""Packets on their way out.

``aioquic`` asks every stream for a frame for every packet, and joins frames in a builder. Here a stream with nothing to send
is not asked, and as long as a stream has enough for whole packets, these are written by themselves: one frame, without a
length since it ends with its packet, encrypted at once. That holds congestion control, pacing and the peer's limits as the
builder does, and is done only while nothing extraordinary is going on; what is left over goes through the builder.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from aioquic.buffer import encode_uint_var
from aioquic.quic.connection import NetworkAddress, QuicConnectionState
from aioquic.quic.packet import QuicFrameType, QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder, QuicSentPacket
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream
from aioquic.tls import Epoch

from ._guards import GuardedConnection

__all__ = ["SendingConnection"]

_FIXED_BIT = 0x40
_SPIN_BIT = 0x20
_KEY_PHASE_BIT = 0x04
_PACKET_NUMBER_OCTETS = 2
_TAG_OCTETS = 16
_OFFSET_BIT = 0x04
_FIN_BIT = 0x01
_SAMPLE_START = 4 - _PACKET_NUMBER_OCTETS  # of the protected payload (RFC 9001 §5.4.2)
_SAMPLE_OCTETS = 16


class SendingConnection(GuardedConnection):
    """A connection that writes packets with little ado."""

    def send_stream_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        """Send octets on a stream of which it is known that this side may send on it."""
        stream = self._streams.get(stream_id) or self._get_or_create_stream_for_send(stream_id)
        stream.sender.write(data, end_stream)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Return what is to be sent now."""
        if not self._network_paths:
            return []
        filling: deque[QuicStream] = deque()
        others: list[QuicStream] = []
        idle: list[QuicStream] = []
        for stream in self._streams_queue:
            if not _has_work(stream):
                idle.append(stream)
            elif self._fills_a_packet(stream):
                filling.append(stream)
            else:
                others.append(stream)
        datagrams: list[tuple[bytes, NetworkAddress]] = []
        try:
            if filling and self._nothing_extraordinary():
                # The others go first: they are small, and whole packets would leave them no room again and again.
                if others or self._is_control_due(now):
                    self._streams_queue = others
                    datagrams = super().datagrams_to_send(now)
                    others = self._streams_queue
                self._pacing_at = None
                datagrams += self._write_full_packets(filling, now)
                if self._must_pause(now):
                    return datagrams
            self._streams_queue = [*others, *filling]
            datagrams += super().datagrams_to_send(now)
            others = self._streams_queue
            filling.clear()
        finally:
            self._streams_queue = [*others, *filling, *idle]
            self._pause_for_several(now)
        return datagrams

    def _pause_for_several(self, now: float) -> None:
        """Wait until several packets may leave together, where the pace is fast enough for the pacer to allow bursts."""
        pacer = self._loss._pacer
        if self._pacing_at is not None and pacer.packet_time is not None:
            self._pacing_at = now + max(pacer.packet_time, pacer.bucket_max / 2)

    # Whole packets of one stream.

    def _fills_a_packet(self, stream: QuicStream) -> bool:
        sender = stream.sender
        pending = sender._pending
        if not len(pending) or stream.is_blocked or sender.reset_pending or stream.receiver.stop_pending:
            return False
        first = pending[0]
        return first.stop - first.start >= self._max_datagram_size

    def _nothing_extraordinary(self) -> bool:
        crypto = self._cryptos[Epoch.ONE_RTT]
        return (
            self._handshake_confirmed
            and self._state is QuicConnectionState.CONNECTED
            and not self._close_pending
            and not self._probe_pending
            and self._quic_logger is None
            and self._network_paths[0].is_validated
            and crypto.send.is_valid()
            and not crypto._update_key_requested
        )

    def _is_control_due(self, now: float) -> bool:
        """Whether there are frames other than those of streams, which go first."""
        ack_at = self._spaces[Epoch.ONE_RTT].ack_at
        return bool(
            (ack_at is not None and ack_at <= now)
            or self._table.with_news
            or self._limits_to_tell()
            or self._ping_pending
            or self._datagrams_pending
            or self._handshake_done_pending
            or self._streams_blocked_pending
            or self._retire_connection_ids
            or self._network_paths[0].remote_challenges
            or not self._crypto_streams[Epoch.ONE_RTT].sender.buffer_is_empty
            or not all(connection_id.was_sent for connection_id in self._host_cids)
        )

    def _write_full_packets(self, streams: deque[QuicStream], now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Write packets of streams in turns, until none fills another, or sending has to pause."""
        crypto = self._cryptos[Epoch.ONE_RTT]
        recovery: Any = self._loss
        pacer = recovery._pacer
        first_octet = _FIXED_BIT | (_PACKET_NUMBER_OCTETS - 1) | (_KEY_PHASE_BIT if crypto.key_phase else 0)
        head = bytes([first_octet | (_SPIN_BIT if self._spin_bit else 0)]) + self._peer_cid.cid
        room = self._max_datagram_size - len(head) - _PACKET_NUMBER_OCTETS - _TAG_OCTETS
        space = self._spaces[Epoch.ONE_RTT]
        encrypt: Any = crypto.send.aead.encrypt if crypto.send.aead is not None else None
        packets: list[tuple[bytes, bytes]] = []
        failed = 0
        while failed < len(streams) and not self._must_pause(now):
            stream = streams[0]
            streams.rotate(-1)
            number = self._packet_number
            packet = QuicSentPacket(
                epoch=Epoch.ONE_RTT,
                in_flight=True,
                is_ack_eliciting=True,
                is_crypto_packet=False,
                packet_number=number,
                packet_type=QuicPacketType.ONE_RTT,
                sent_time=now,
                sent_bytes=self._max_datagram_size,
            )
            frame = self._full_frame(stream, packet, room)
            if frame is None:
                failed += 1
                continue
            failed = 0
            header = head + (number & 0xFFFF).to_bytes(_PACKET_NUMBER_OCTETS, "big")
            packets.append((header, encrypt(frame, header, number)))
            self._packet_number = number + 1
            recovery.on_packet_sent(packet=packet, space=space)
            pacer.update_after_send(now=now)
        return self._protected(packets, now)

    def _must_pause(self, now: float) -> bool:
        """Whether congestion control or pacing lets no whole packet go now."""
        recovery: Any = self._loss
        if recovery.bytes_in_flight + self._max_datagram_size > recovery.congestion_window:
            return True
        self._pacing_at = recovery._pacer.next_send_time(now=now)
        return self._pacing_at is not None

    def _full_frame(self, stream: QuicStream, packet: QuicSentPacket, room: int) -> bytes | None:
        """Take from a stream a frame that fills a packet, if there is as much and the peer allows it."""
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
        stop = start + room - 1 - len(head)
        highest = sender.highest_offset
        allowed = min(highest + self._remote_max_data - self._remote_max_data_used, stream.max_stream_data_remote)
        if stop > pending.stop or stop > allowed:
            return None
        ends = stop == sender._buffer_fin
        if ends:
            frame_type |= _FIN_BIT
            sender._pending_eof = False
        sender._pending.subtract(start, stop)
        if stop > highest:
            self._remote_max_data_used += stop - highest
            sender.highest_offset = stop
        packet.delivery_handlers.append((sender.on_data_delivery, (start, stop, ends)))
        first = sender._buffer_start
        return bytes([frame_type]) + head + sender._buffer[start - first : stop - first]

    def _protected(self, packets: list[tuple[bytes, bytes]], now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Protect the headers of packets (RFC 9001 §5.4), and see to what else becomes of datagrams."""
        if not packets:
            return []
        path = self._network_paths[0]
        if not self._ack_eliciting_sent_since_receipt:
            self._close_at = now + self._idle_timeout()
            self._ack_eliciting_sent_since_receipt = True
        path.bytes_sent += len(packets) * self._max_datagram_size
        protection: Any = self._cryptos[Epoch.ONE_RTT].send.hp
        if protection._is_chacha20:
            return [(protection.apply(header, payload), path.addr) for header, payload in packets]
        # The masks of all of them in one go: in this mode each block is by itself.
        samples = [payload[_SAMPLE_START : _SAMPLE_START + _SAMPLE_OCTETS] for _, payload in packets]
        masks = protection._mask(b"".join(samples))
        datagrams: list[tuple[bytes, NetworkAddress]] = []
        at = 0
        for header, payload in packets:
            datagram = bytearray(header)
            datagram[0] ^= masks[at] & 0x1F
            datagram[-2] ^= masks[at + 1]
            datagram[-1] ^= masks[at + 2]
            datagram += payload
            datagrams.append((bytes(datagram), path.addr))
            at += _SAMPLE_OCTETS
        return datagrams

    # What aioquic calls.

    def _write_stream_frame(
        self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream, max_offset: int
    ) -> int:
        used = super()._write_stream_frame(builder, space, stream, max_offset)
        sender = stream.sender
        if not len(sender._pending) and not sender._pending_eof:
            sender.buffer_is_empty = True  # known now: no need to ask again for the next packet
        return used


def _has_work(stream: QuicStream) -> bool:
    return (
        not stream.sender.buffer_is_empty
        or stream.sender.reset_pending
        or stream.receiver.stop_pending
        or stream.is_finished
    )
