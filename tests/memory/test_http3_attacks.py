"""What a hostile HTTP/3 client makes a server hold, for little: each under one MiB.

Each attack is made twice on a server of its own: once its resident memory is looked at, once every allocation is traced.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pylsqpack
import pytest

from ..interop._http3_wire import DATA, HEADERS, WireClient, frame, request_head, varint
from ..interop._payload import MIB
from ..interop._process import ServerProcess
from ._resident import highest_resident_octets, resident_octets

ALLOWED_OCTETS = MIB
SPARSE_STREAMS = 6
EXCESSIVE_LOAD, ENCODER_STREAM_ERROR, FLOW_CONTROL_ERROR = 0x107, 0x201, 0x3
LOOK_SECONDS = 0.5


class Attacks:
    """What is sent. Each returns how the server took it."""

    @staticmethod
    def sparse_streams(client: WireClient) -> object:
        """Of six bodies the last octet alone, at the far end of what the window allows."""
        window: int = client.quic._remote_max_stream_data_bidi_remote
        head = request_head(b"POST", b"/digest")
        body = b"x" * (window - 1000)
        framing = head + frame(DATA, b"", declared=len(body))
        held: dict[int, Any] = {}
        for _ in range(SPARSE_STREAMS):
            stream_id = client.new_stream()
            client.send(stream_id, framing, body, end=True)
            sender: Any = client.quic._streams[stream_id].sender
            sender._pending.subtract(0, len(framing) + len(body) - 1)
            held[stream_id] = sender
        client.pause(LOOK_SECONDS)
        for sender in held.values():
            sender._pending.add(0, len(framing) + len(body) - 1)
            sender.buffer_is_empty = False
        client.pump(lambda: held.keys() <= client.ended)
        return all(b'"octets": %d,' % len(body) in client.received[stream_id] for stream_id in held)

    @staticmethod
    def far_offsets(client: WireClient) -> object:
        """Octets at offsets far beyond any window."""
        client.quic._remote_max_data = 2**40
        for _ in range(SPARSE_STREAMS):
            stream_id = client.new_stream()
            client.send(stream_id, b"x")
            stream: Any = client.quic._streams[stream_id]
            stream.max_stream_data_remote = 2**40
            sender = stream.sender
            sender._buffer_start = sender._buffer_stop = 6 * MIB
            sender._pending.subtract(0, 1)
            client.send(stream_id, b"x")
        return client.wait_closed()

    @staticmethod
    def qpack_bomb(client: WireClient) -> object:
        """40 kB of references to one entry of 4 kB in the dynamic table: 156 MB."""
        encoder = pylsqpack.Encoder()
        fields = [(b"x" * 2_000, b"y" * 2_000)]
        instructions = encoder.apply_settings(max_table_capacity=4096, blocked_streams=16)
        for stream_id in (400, 404):  # an entry is made of what comes twice
            instructions += encoder.encode(stream_id, fields)[0]
        client.send(6, instructions)
        client.request(b"GET", b"/hello")
        client.send(client.new_stream(), frame(HEADERS, b"\x02\x00" + b"\x80" * 40_000), end=True)
        return client.wait_closed()

    @staticmethod
    def static_qpack_bomb(client: WireClient) -> object:
        """40 kB of references to the longest entry of the static table."""
        client.send(client.new_stream(), frame(HEADERS, b"\x00\x00" + b"\xff\x15" * 20_000), end=True)
        return client.wait_closed()

    @staticmethod
    def endless_headers(client: WireClient) -> object:
        """A HEADERS frame that declares a gibibyte, and comes."""
        stream_id = client.new_stream()
        client.send(stream_id, varint(HEADERS) + varint(2**30), b"x" * (24 * MIB))
        return client.wait_closed()

    @staticmethod
    def headers_without_end(client: WireClient) -> object:
        """Header sections of an acceptable length that do not come to their end, on many streams at once."""
        for _ in range(60):
            client.send(client.new_stream(), frame(HEADERS, b"\x00\x00" + b"x" * 5_000, declared=65_000))
        client.pause(LOOK_SECONDS)
        return client.closed is None


OUTCOMES: dict[str, object] = {
    "sparse_streams": True,
    "far_offsets": FLOW_CONTROL_ERROR,
    "qpack_bomb": ENCODER_STREAM_ERROR,
    "static_qpack_bomb": EXCESSIVE_LOAD,
    "endless_headers": EXCESSIVE_LOAD,
    "headers_without_end": True,
}


@contextmanager
def connected(server: ServerProcess) -> Generator[WireClient]:
    with WireClient(server.https_url, server.cafile) as client:
        client.fetch(b"/hello")
        server.collect()
        yield client


def warm_up(server: ServerProcess) -> None:
    """Use the server as it is meant to be used, so that what is made once and kept is made."""
    for _ in range(2):
        with connected(server) as client:
            client.fetch(b"/missing")
            client.fetch(b"/bytes?n=300000")
            stream_id = client.request(b"POST", b"/digest", frame(DATA, b"x" * 50_000))
            client.pump(lambda: stream_id in client.ended)  # noqa: B023  # called here and now
    server.wait_idle()


@pytest.mark.parametrize("attack", OUTCOMES)
def test_attacks_cost_little(server: ServerProcess, attack: str) -> None:
    make: Callable[[WireClient], object] = getattr(Attacks, attack)
    warm_up(server)
    with connected(server) as client, concurrent.futures.ThreadPoolExecutor(1) as executor:
        before = highest = resident_octets(server.pid)
        outcome = executor.submit(make, client)
        while not outcome.done():
            highest = max(highest, highest_resident_octets(server.pid, 0.1))
        assert outcome.result() == OUTCOMES[attack]
    growth = highest - before
    assert growth < ALLOWED_OCTETS

    with connected(server) as client:
        server.trace()
        assert make(client) == OUTCOMES[attack]
        peak = server.traced_peak()
    assert peak < ALLOWED_OCTETS
