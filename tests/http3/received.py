"""What comes on a stream of HTTP/3, taken apart into frames."""

from __future__ import annotations

from hface_trio.protocols.http3._frames import read_varint

__all__ = ["Received"]


class Received:
    """What came on one stream, taken apart as it comes."""

    def __init__(self, *, typed: bool) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.body = bytearray()
        self.ended = False
        self._typed = typed  # the type of a unidirectional stream comes first
        self._rest = b""
        self._left = 0  # of a DATA frame

    def feed(self, octets: bytes) -> None:
        rest = self._rest + octets if self._rest else octets
        while rest:
            if self._left:
                part, rest = rest[: self._left], rest[self._left :]
                self._left -= len(part)
                self.body += part
                continue
            if self._typed:
                if (found := read_varint(rest)) is None:
                    break
                self._typed, rest = False, rest[found[1] :]
                continue
            kind = read_varint(rest)
            length = None if kind is None else read_varint(rest, kind[1])
            if kind is None or length is None:
                break
            if kind[0] == 0:
                self.frames.append((0, b""))
                self._left, rest = length[0], rest[length[1] :]
                continue
            if len(rest) < length[0] + length[1]:
                break
            self.frames.append((kind[0], rest[length[1] : length[0] + length[1]]))
            rest = rest[length[0] + length[1] :]
        self._rest = rest
