from __future__ import annotations

import pytest

from hface_trio.protocols._faults import ConnectionFault
from hface_trio.protocols.http2 import PREFACE, is_preface_prefix
from hface_trio.protocols.http2._frames import FrameReader, pack_frame

from .raw_peer import raw_frame

FRAMES = [(0, 1, 3, b"x" * 100), (4, 0, 0, b""), (8, 0, 5, b"\0\0\0\1"), (0xFA, 7, 9, b"y" * 16384)]


def read_all(reader: FrameReader, pieces: list[bytes]) -> list[tuple[int, int, int, bytes]]:
    frames = []
    for piece in pieces:
        reader.feed(piece)
        while (frame := reader.next_frame()) is not None:
            frames.append(frame)
    return frames


@pytest.mark.parametrize("size", [1, 2, 8, 9, 10, 13, 100, 20_000])
def test_any_cut_yields_the_same_frames(size):
    data = PREFACE + b"".join(pack_frame(*frame) for frame in FRAMES)
    reader = FrameReader(16384, PREFACE)
    assert read_all(reader, [data[i : i + size] for i in range(0, len(data), size)]) == FRAMES
    assert reader.partial_type is None


def test_reserved_bit_of_the_stream_id_is_ignored():
    assert read_all(FrameReader(16384), [raw_frame(6, 0, 0x80000000 | 7)]) == [(6, 0, 7, b"")]


@pytest.mark.parametrize("size", [1, 5, 9, 1000])
def test_a_frame_too_long_is_refused_by_its_header_alone(size):
    header = raw_frame(0, 0, 1, length=16385)
    reader = FrameReader(16384)
    with pytest.raises(ConnectionFault) as caught:
        read_all(reader, [header[i : i + size] for i in range(0, len(header), size)])
    assert caught.value.code == 6


def test_type_of_a_partial_frame_is_known_from_its_ninth_octet():
    reader = FrameReader(16384)
    data = raw_frame(1, 0, 1, b"abc")
    assert read_all(reader, [data[:8]]) == []
    assert reader.partial_type == -1
    assert read_all(reader, [data[8:10]]) == []
    assert reader.partial_type == 1
    assert len(read_all(reader, [data[10:]])) == 1
    assert reader.partial_type is None


@pytest.mark.parametrize("size", [1, 7, 24, 30])
def test_wrong_preface_is_refused(size):
    wrong = PREFACE[:-1] + b"X" + b"more"
    reader = FrameReader(16384, PREFACE)
    with pytest.raises(ConnectionFault) as caught:
        read_all(reader, [wrong[i : i + size] for i in range(0, len(wrong), size)])
    assert caught.value.code == 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (b"P", None),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
        (PREFACE, True),
        (PREFACE + b"more", True),
        (b"POST", False),
        (b"GET / HTTP/1.1\r\n", False),
        (PREFACE[:-1] + b"X", False),
    ],
)
def test_preface_is_told_from_other_protocols_as_early_as_possible(data, expected):
    assert is_preface_prefix(data) is expected
