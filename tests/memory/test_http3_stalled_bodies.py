"""Bodies over HTTP/3 that wait for somebody: they stop at a window, take next to no memory, and then go on, complete."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
from typing import Any

from aioquic.quic.connection import QuicConnection

from hface_trio import Limits

from ..interop._http3_wire import DATA, WireClient, frame
from ..interop._payload import CHUNK_OCTETS, MIB, chunks, digest
from ..interop._process import ServerProcess
from ._resident import highest_resident_octets, resident_octets

UPLOAD = 24 * MIB
DOWNLOAD = 128 * MIB
WARM_UP = 2 * MIB
ALLOWED_OCTETS = MIB
STALL_SECONDS = 0.7
SEND_BUFFER_OCTETS = 64 * 1024
CLIENT_WINDOW_OCTETS = 256 * 1024
FRAMING_OCTETS = 64
"""What may be left of a window, because another frame does not fit."""


def body_of(n_octets: int) -> bytes:
    return b"".join(frame(DATA, chunk) for chunk in chunks(n_octets))


def upload(client: WireClient, path: bytes, n_octets: int) -> dict[str, Any]:
    """Upload a body; return what the server says of it."""
    stream_id = client.request(b"POST", path, body_of(n_octets))
    client.pump(lambda: stream_id in client.ended, 60)
    answer = b"".join(payload for frame_type, payload in client.frames(stream_id) if frame_type == DATA)
    shown: dict[str, Any] = json.loads(answer)
    return shown


def test_an_upload_that_waits_for_its_handler(server: ServerProcess) -> None:
    with WireClient(server.https_url, server.cafile) as client:
        assert upload(client, b"/digest", WARM_UP)["sha256"] == digest(WARM_UP)
    server.wait_idle()
    key = server.new_key()
    with (
        WireClient(server.https_url, server.cafile) as client,
        concurrent.futures.ThreadPoolExecutor(1) as executor,
    ):
        client.fetch(b"/hello")
        server.collect()
        before = resident_octets(server.pid)
        server.trace()
        stream_id = client.new_stream()
        shown = executor.submit(upload, client, f"/hold?id={key}".encode(), UPLOAD)
        server.wait(key, "begin")
        server.wait_stalled(key)
        growth = highest_resident_octets(server.pid, STALL_SECONDS) - before
        peak = server.traced_peak()
        buffered = server.statistics()["buffered_octets"]
        sent = client.sent(stream_id)
        server.release(key)  # first of all: a failed assertion must not leave the thread waiting
        assert shown.result()["sha256"] == digest(UPLOAD)
    assert growth < ALLOWED_OCTETS
    assert peak < ALLOWED_OCTETS
    assert sent == Limits().stream_window_octets
    assert 0 < buffered <= Limits().stream_window_octets


def withhold_credit(quic: QuicConnection) -> None:
    """Make a client never raise a limit: it takes what it has promised to take, and nothing after it."""
    vars(quic).update(_write_connection_limits=lambda **_: None, _write_stream_limits=lambda **_: None)


def test_a_download_that_waits_for_its_peer(server: ServerProcess) -> None:
    with WireClient(server.https_url, server.cafile) as client:
        client.fetch(b"/bytes?n=%d" % WARM_UP)
    server.wait_idle()
    key = server.new_key()
    with WireClient(server.https_url, server.cafile, keep=False, max_stream_data=CLIENT_WINDOW_OCTETS) as client:
        client.fetch(b"/hello")
        server.collect()
        before = resident_octets(server.pid)
        server.trace()
        withhold_credit(client.quic)
        stream_id = client.request(b"GET", f"/bytes?n={DOWNLOAD}&id={key}".encode())
        client.pump(lambda: client.octets[stream_id] > CLIENT_WINDOW_OCTETS - FRAMING_OCTETS)
        client.pause(STALL_SECONDS)
        growth = highest_resident_octets(server.pid, STALL_SECONDS) - before
        peak = server.traced_peak()
        assert client.octets[stream_id] <= CLIENT_WINDOW_OCTETS
        buffered = server.statistics()["buffered_octets"]
        assert 0 < buffered <= SEND_BUFFER_OCTETS + CHUNK_OCTETS
        assert server.events(key) == ["begin", "flowing"]
    assert growth < ALLOWED_OCTETS
    assert peak < ALLOWED_OCTETS
    server.wait(key, "gone")


def test_a_download_that_went_on_is_complete(server: ServerProcess) -> None:
    """The same peer, which gives credit again."""
    key = server.new_key()
    with WireClient(server.https_url, server.cafile, max_stream_data=CLIENT_WINDOW_OCTETS) as client:
        withhold_credit(client.quic)
        stream_id = client.request(b"GET", f"/bytes?n={WARM_UP}&id={key}".encode())
        client.pump(lambda: client.octets[stream_id] > CLIENT_WINDOW_OCTETS - FRAMING_OCTETS)
        del client.quic._write_connection_limits, client.quic._write_stream_limits
        client.quic.send_ping(1)
        client.pump(lambda: stream_id in client.ended)
        body = b"".join(payload for frame_type, payload in client.frames(stream_id) if frame_type == DATA)
        assert hashlib.sha256(body).hexdigest() == digest(WARM_UP)
