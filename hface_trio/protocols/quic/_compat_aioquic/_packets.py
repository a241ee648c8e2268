"""Packets with short headers, written without the builder of ``aioquic``, which is made for all kinds of them.

What writes frames takes either of the two: a :class:`PacketWriter` has what is asked of a builder for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from aioquic._buffer import Buffer
from aioquic.quic.packet import QuicFrameType, QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilderStop, QuicSentPacket
from aioquic.tls import Epoch

__all__ = ["PacketWriter"]

_FIXED_BIT: Final = 0x40
_SPIN_BIT: Final = 0x20
_KEY_PHASE_BIT: Final = 0x04
_NUMBER_OCTETS: Final = 2
_TAG_OCTETS: Final = 16
_LEAST_PAYLOAD: Final = 4 - _NUMBER_OCTETS  # there has to be enough to sample (RFC 9001 §5.4.2)
_SAMPLE_OCTETS: Final = 16
_ACKS: Final = frozenset({int(QuicFrameType.ACK), int(QuicFrameType.ACK_ECN)})


class PacketWriter:
    """Writes packets of application data, one after the other.

    Args:
        crypto: the keys.
        connection_id: where the packets go.
        spin_bit: what the header tells observers.
        octets: the longest datagram.
        packet_number: of the first packet.
    """

    __slots__ = ("_buffer", "_crypto", "_flight_room", "_head", "_packet", "_written", "packet_number", "room")

    quic_logger_frames: list[dict[str, Any]] | None = None

    def __init__(self, crypto: Any, *, connection_id: bytes, spin_bit: bool, octets: int, packet_number: int) -> None:
        first = _FIXED_BIT | (_NUMBER_OCTETS - 1)
        first |= (_SPIN_BIT if spin_bit else 0) | (_KEY_PHASE_BIT if crypto.key_phase else 0)
        self._crypto = crypto
        self._head = bytes([first]) + connection_id
        self._buffer = Buffer(octets)
        self.room: int = octets - len(self._head) - _NUMBER_OCTETS - _TAG_OCTETS
        """Octets of frames in a packet."""
        self._flight_room = 0
        self._written: list[tuple[bytes, bytes]] = []
        self.packet_number: int = packet_number
        self._packet = self._next_packet()

    def begin(self, flight_octets: int) -> None:
        """Begin a packet.

        Args:
            flight_octets: how long it may be, unless it only acknowledges.
        """
        self._flight_room = min(self.room, flight_octets - len(self._head) - _NUMBER_OCTETS - _TAG_OCTETS)

    def start_frame(
        self,
        frame_type: int,
        capacity: int = 1,
        handler: Callable[..., None] | None = None,
        handler_args: Sequence[Any] = (),
    ) -> Buffer:
        """Start a frame, and return where it is to be written.

        Raises:
            QuicPacketBuilderStop: there is no room for it.
        """
        packet = self._packet
        acknowledges = frame_type in _ACKS
        if self._buffer.tell() + capacity > (self.room if acknowledges else self._flight_room):
            raise QuicPacketBuilderStop
        if not acknowledges:
            packet.in_flight = packet.is_ack_eliciting = True
        if handler is not None:
            packet.delivery_handlers.append((handler, handler_args))
        self._buffer.push_uint_var(frame_type)
        return self._buffer

    @property
    def remaining_buffer_space(self) -> int:
        """Octets left in the packet."""
        return self.room - self._buffer.tell()

    @property
    def remaining_flight_space(self) -> int:
        """Octets left for frames that congestion control counts."""
        return self._flight_room - self._buffer.tell()

    def end(self, now: float) -> QuicSentPacket | None:
        """End the packet, and return what is to be known of it; ``None`` if it is empty."""
        buffer = self._buffer
        octets = buffer.tell()
        if not octets:
            return None
        if octets < _LEAST_PAYLOAD:
            buffer.push_bytes(bytes(_LEAST_PAYLOAD - octets))
            self._packet.in_flight = True
            octets = _LEAST_PAYLOAD
        payload = buffer.data_slice(0, octets)
        buffer.seek(0)
        return self._finish(payload, now)

    def end_with(
        self, frame: bytes, handler: Callable[..., None], handler_args: Sequence[Any], now: float
    ) -> QuicSentPacket:
        """End an empty packet with a frame that fills it, and return what is to be known of it."""
        packet = self._packet
        packet.in_flight = packet.is_ack_eliciting = True
        packet.delivery_handlers.append((handler, handler_args))
        return self._finish(frame, now)

    def take(self) -> list[bytes]:
        """Return the datagrams, their headers protected (RFC 9001 §5.4)."""
        written, self._written = self._written, []
        if not written:
            return []
        protection = self._crypto.send.hp
        if protection._is_chacha20:
            return [protection.apply(header, payload) for header, payload in written]
        # The masks of all of them in one go: in this mode each block is by itself.
        samples = [payload[_LEAST_PAYLOAD : _LEAST_PAYLOAD + _SAMPLE_OCTETS] for _, payload in written]
        masks = protection._mask(b"".join(samples))
        datagrams: list[bytes] = []
        at = 0
        for header, payload in written:
            datagram = bytearray(header)
            datagram[0] ^= masks[at] & 0x1F
            datagram[-2] ^= masks[at + 1]
            datagram[-1] ^= masks[at + 2]
            datagram += payload
            datagrams.append(bytes(datagram))
            at += _SAMPLE_OCTETS
        return datagrams

    def _finish(self, payload: bytes, now: float) -> QuicSentPacket:
        packet = self._packet
        number = self.packet_number
        header = self._head + (number & 0xFFFF).to_bytes(_NUMBER_OCTETS, "big")
        protected = self._crypto.send.aead.encrypt(payload, header, number)
        packet.sent_time = now
        packet.sent_bytes = len(header) + len(protected)
        self._written.append((header, protected))
        self.packet_number = number + 1
        self._packet = self._next_packet()
        return packet

    def _next_packet(self) -> QuicSentPacket:
        return QuicSentPacket(
            epoch=Epoch.ONE_RTT,
            in_flight=False,
            is_ack_eliciting=False,
            is_crypto_packet=False,
            packet_number=self.packet_number,
            packet_type=QuicPacketType.ONE_RTT,
        )
