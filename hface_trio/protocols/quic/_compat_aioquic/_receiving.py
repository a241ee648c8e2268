"""Datagrams on their way in, in the ordinary course of a connection.

``aioquic`` looks at every datagram as if it could be the first one, hold several packets, come on a new path or under new
keys. Here, once the handshake is confirmed, a packet with a short header that comes where and as the last one did is
decrypted and handed to ``aioquic`` frame by frame. Whatever is different about it in the least takes the stock way, from the
start.
"""

from __future__ import annotations

import math
from typing import Any

from aioquic._buffer import Buffer, BufferReadError
from aioquic._crypto import CryptoError
from aioquic.quic.connection import (
    END_STATES,
    NetworkAddress,
    QuicConnectionError,
    QuicConnectionState,
    QuicReceiveContext,
)
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.events import StreamDataReceived
from aioquic.quic.packet import decode_packet_number
from aioquic.quic.recovery import MAX_ACK_RANGES, QuicPacketSpace
from aioquic.tls import Epoch

from ._guards import GuardedConnection, PacketDroppedError

__all__ = ["ReceivingConnection"]

_LONG_HEADER_BIT = 0x80
_FIXED_BIT = 0x40
_SPIN_BIT = 0x20
_RESERVED_BITS = 0x18
_KEY_PHASE_BIT = 0x04
_PROTECTED_BITS = 0x1F
_NUMBER_BITS = 0x03
_STREAM = 0x08
_OFFSET_BIT = 0x04
_LENGTH_BIT = 0x02
_OPTIONAL_BITS = _OFFSET_BIT | _LENGTH_BIT
_SAMPLE_DISTANCE = 4  # from the packet number (RFC 9001 §5.4.2)
_SAMPLE_OCTETS = 16


class ReceivingConnection(GuardedConnection):
    """A connection that takes its packets with little ado."""

    _application_keys: CryptoPair | None = None
    _early_keys: CryptoPair | None = None
    _application_space: QuicPacketSpace | None = None
    _received_at = -math.inf

    def let_go(self) -> None:
        """Drop the keys, too."""
        super().let_go()
        self._application_keys = self._early_keys = self._application_space = None

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Take a datagram."""
        self._timer_known = False
        try:
            if not self._receive_ordinary(data, addr, now):
                super().receive_datagram(data, addr, now)
        except PacketDroppedError:
            return

    def _receive_ordinary(self, data: bytes, addr: NetworkAddress, now: float) -> bool:
        """Take a datagram if it is as most of them are; return whether it was."""
        host_cid = self.host_cid
        at = 1 + len(host_cid)
        if (
            len(data) < at + _SAMPLE_DISTANCE + _SAMPLE_OCTETS
            or data[0] & (_LONG_HEADER_BIT | _FIXED_BIT) != _FIXED_BIT
            or not data.startswith(host_cid, 1)
            or not self._handshake_confirmed
            or self._state is not QuicConnectionState.CONNECTED
            or self._close_pending
            or self._quic_logger is not None
        ):
            return False
        keys, early_keys, space = self._application_keys, self._early_keys, self._application_space
        if keys is None or early_keys is None or space is None or early_keys.recv.is_valid():
            return False
        path = self._network_paths[0]  # the one in use; those it has moved from stay behind it
        crypto: Any = keys.recv
        if path.addr != addr or not path.is_validated or crypto.aead is None:
            return False
        mask = crypto.hp._mask(data[at + _SAMPLE_DISTANCE : at + _SAMPLE_DISTANCE + _SAMPLE_OCTETS])
        first = data[0] ^ (mask[0] & _PROTECTED_BITS)
        if first & _RESERVED_BITS or bool(first & _KEY_PHASE_BIT) != bool(crypto.key_phase):
            return False
        octets = (first & _NUMBER_BITS) + 1
        truncated = int.from_bytes(data[at : at + octets], "big") ^ int.from_bytes(mask[1 : 1 + octets], "big")
        number = decode_packet_number(truncated, 8 * octets, space.expected_packet_number)
        header = bytes([first]) + host_cid + truncated.to_bytes(octets, "big")
        try:
            payload = crypto.aead.decrypt(data[at + octets :], header, number)
        except CryptoError:
            return False
        if number not in space.received_packets:
            if number > space.expected_packet_number:
                space.expected_packet_number = number + 1
            if number > self._spin_highest_pn:
                self._spin_bit = bool(first & _SPIN_BIT) != self._is_client
                self._spin_highest_pn = number
            self._take_payload(payload, number, space, now)
        return True

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        # To look something up by an epoch takes a call, for each packet: its hash is not built in.
        self._application_keys = self._cryptos[Epoch.ONE_RTT]
        self._early_keys = self._cryptos[Epoch.ZERO_RTT]
        self._application_space = self._spaces[Epoch.ONE_RTT]

    def _take_payload(self, payload: bytes, number: int, space: QuicPacketSpace, now: float) -> None:
        ack_eliciting = self._take_stream_frame(payload) or self._take_frames(payload, now)
        if self._state in END_STATES or self._close_pending:
            return
        if now != self._received_at:
            self._received_at = now
            self._close_at = now + self._idle_timeout()
        self._ack_eliciting_sent_since_receipt = False
        if number > space.largest_received_packet:
            space.largest_received_packet = number
            space.largest_received_time = now
        space.ack_queue.add(number)
        space.received_packets.add(number)
        if len(space.ack_queue) > MAX_ACK_RANGES:
            space.ack_queue.shift()
        if ack_eliciting and space.ack_at is None:
            space.ack_at = now + self._ack_delay

    def _take_stream_frame(self, payload: bytes) -> bool:
        """Take a payload that is the next octets of a stream and nothing else; return whether it was that.

        Whatever there is to be checked, remembered or refused about a frame is left to those who do that for all frames.
        """
        if not payload:
            return False
        frame_type = payload[0]
        if frame_type & ~_OPTIONAL_BITS != _STREAM or self.reassembly:
            return False
        frame = Buffer(data=payload)
        frame.seek(1)
        try:
            stream_id = frame.pull_uint_var()
            offset = frame.pull_uint_var() if frame_type & _OFFSET_BIT else 0
            octets = frame.pull_uint_var() if frame_type & _LENGTH_BIT else len(payload) - frame.tell()
        except BufferReadError:
            return False
        begin = frame.tell()
        stream = self._streams.get(stream_id)
        if stream is None or not octets or begin + octets != len(payload):
            return False
        receiver, end, limit = stream.receiver, offset + octets, self._local_max_data
        if (
            not offset
            or offset != receiver._buffer_start
            or offset != receiver.highest_offset
            or receiver._final_size is not None
            or receiver._stop_error_code is not None
            or receiver.is_finished
            or end > stream.max_stream_data_local
            or limit.used + octets > limit.value
        ):
            return False
        receiver._buffer_start = receiver.highest_offset = end
        limit.used += octets
        self._events.append(StreamDataReceived(payload[begin:], False, stream_id))
        return True

    def _take_frames(self, payload: bytes, now: float) -> bool:
        """Take any frames; return whether they are to be acknowledged."""
        context = QuicReceiveContext(
            epoch=Epoch.ONE_RTT,
            host_cid=self.host_cid,
            network_path=self._network_paths[0],
            quic_logger_frames=None,
            time=now,
            version=None,
        )
        ack_eliciting = False
        try:
            ack_eliciting, _ = self._payload_received(context, payload)
        except QuicConnectionError as exc:
            self._logger.warning(exc)
            self.close(error_code=exc.error_code, frame_type=exc.frame_type, reason_phrase=exc.reason_phrase)
        return ack_eliciting
