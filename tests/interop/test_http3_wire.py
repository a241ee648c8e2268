"""What happens to the datagrams of a connection beside HTTP: a port that changes, and others' garbage."""

from __future__ import annotations

import hashlib
import random
import socket

from ._http3_wire import DATA, WireClient
from ._payload import MIB, digest
from ._process import ServerProcess

LARGE = 4 * MIB
GARBAGE_DATAGRAMS = 500


def body_of(client: WireClient, stream_id: int) -> bytes:
    return b"".join(payload for frame_type, payload in client.frames(stream_id) if frame_type == DATA)


def test_a_client_whose_port_changes_goes_on(server: ServerProcess) -> None:
    with WireClient(server.https_url, server.cafile) as client:
        assert client.fetch(b"/hello") == b"hello\n"
        client.rebind()
        assert client.fetch(b"/hello") == b"hello\n"
        assert server.statistics()["connections"] == 1


def test_a_download_goes_on_when_the_port_changes(server: ServerProcess) -> None:
    with WireClient(server.https_url, server.cafile) as client:
        stream_id = client.request(b"GET", b"/bytes?n=%d" % LARGE)
        for quarter in range(1, 4):
            client.pump(lambda: client.octets[stream_id] > LARGE * quarter // 4)  # noqa: B023  # called here and now
            client.rebind()
            client.quic.send_ping(quarter)
        client.pump(lambda: stream_id in client.ended)
        assert hashlib.sha256(body_of(client, stream_id)).hexdigest() == digest(LARGE)
        assert server.statistics()["connections"] == 1


def test_garbage_is_answered_with_silence(server: ServerProcess) -> None:
    chance = random.Random(3)
    with WireClient(server.https_url, server.cafile) as client, socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(client.address)
        sock.setblocking(False)
        for _ in range(GARBAGE_DATAGRAMS):
            # the fixed bit cleared: neither a long header, whose version would be negotiated, nor a short one
            sock.send(bytes([chance.randrange(0x40)]) + chance.randbytes(chance.randrange(1, 1400)))
        assert client.fetch(b"/hello") == b"hello\n"
        try:
            answer = sock.recv(2000)
        except BlockingIOError:
            answer = None
        assert answer is None
        assert server.statistics()["connections"] == 1
