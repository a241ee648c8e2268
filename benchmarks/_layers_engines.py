"""The engines without I/O, beside the codecs that are in them: a small request in, its answer out.

What is counted is the server's side alone. The peer's side is made by the clients of the benchmark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import h2.config
import h2.connection
import h2.events
import h11
from _application import BODY
from _client_http2 import HTTP2Client
from _client_http3 import HTTP3Client
from _layers import Layer, Stopwatch, best_of
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived as H3HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ProtocolNegotiated

from hface_trio.events import HeadersReceived
from hface_trio.models import ServerTLSConfig
from hface_trio.protocols import HTTP1ServerFactory, HTTP2ServerFactory, HTTPOverTCPProtocol, protocol_registry
from hface_trio.protocols.http3 import HTTP3ServerFactory

__all__ = ["measure_http1", "measure_http2", "measure_http3"]

GET = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: benchmark\r\nAccept: */*\r\n\r\n"
_LENGTH = b"%d" % len(BODY)
_RESPONSE = [(b":status", b"200"), (b"content-type", b"text/plain"), (b"content-length", _LENGTH)]
_AUTHORITY = "localhost:8080"
_COUNT = 3200
_BATCH = 16
_ADDRESS = ("127.0.0.1", 50000)


def _answer(protocol: Any) -> None:
    while (event := protocol.next_event()) is not None:
        if type(event) is HeadersReceived:
            protocol.submit_headers(event.stream_id, _RESPONSE)
            protocol.submit_data(event.stream_id, BODY, end_stream=True)


# HTTP/1.1


def _http1_engine(name: str) -> Callable[[int, Stopwatch], None]:
    def act(count: int, watch: Stopwatch) -> None:
        protocol: HTTPOverTCPProtocol = HTTP1ServerFactory(name)(None, None)
        sent = 0
        watch.start()
        for _ in range(count):
            protocol.clock(0.0)
            protocol.bytes_received(GET)
            _answer(protocol)
            sent += len(protocol.buffers_to_send()) > 0
            while protocol.next_event() is not None:
                pass
        watch.stop()
        if sent != count:
            raise RuntimeError(f"{name}: {sent} answers to {count} requests")

    return act


def _h11_alone(count: int, watch: Stopwatch) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", _LENGTH)]
    codec = h11.Connection(h11.SERVER)
    watch.start()
    for _ in range(count):
        codec.receive_data(GET)
        while type(codec.next_event()) is not h11.EndOfMessage:
            pass
        response = h11.Response(status_code=200, headers=headers, reason=b"OK")
        parts = [codec.send(response), codec.send(h11.Data(data=BODY)), codec.send(h11.EndOfMessage())]
        b"".join(part for part in parts if part)
        codec.start_next_cycle()
    watch.stop()


def _httptools_alone(count: int, watch: Stopwatch) -> None:
    import httptools  # noqa: PLC0415  # it may not be installed

    class Requests:
        def on_url(self, url: bytes) -> None: ...
        def on_header(self, name: bytes, value: bytes) -> None: ...
        def on_message_complete(self) -> None: ...

    parser = httptools.HttpRequestParser(Requests())
    watch.start()
    for _ in range(count):
        parser.feed_data(GET)
    watch.stop()


def measure_http1() -> Iterator[Layer]:
    """Measure HTTP/1.1: every engine that is registered."""
    group = "HTTP/1.1 without I/O"
    yield best_of(group, "h11 alone", _COUNT, _h11_alone)
    if find_spec("httptools") is not None:
        yield best_of(group, "httptools alone, parsing only", _COUNT, _httptools_alone)
    for name in protocol_registry.http1_servers.names():
        yield best_of(group, f"hface_trio, {name}", _COUNT, _http1_engine(name))


# HTTP/2


def _drive_http2(count: int, watch: Stopwatch, serve: Callable[[bytes], bytes]) -> None:
    client = HTTP2Client(_AUTHORITY, "https")
    complete = 0
    for _ in range(count // _BATCH):
        exchanges = [client.open("GET", "/") for _ in range(_BATCH)]
        data = b"".join(client.take_output())
        watch.start()
        output = serve(data)
        watch.stop()
        client.receive(output)
        complete += sum(exchange.outcome is not None and exchange.status == 200 for exchange in exchanges)
    if complete != count // _BATCH * _BATCH:
        raise RuntimeError(f"{complete} answers to {count} requests")


def _http2_engine(count: int, watch: Stopwatch) -> None:
    protocol = HTTP2ServerFactory()("TLSv1.3", "h2")

    def serve(data: bytes) -> bytes:
        protocol.clock(time.monotonic())
        protocol.bytes_received(data)
        _answer(protocol)
        return b"".join(protocol.buffers_to_send())

    _drive_http2(count, watch, serve)


def _h2_alone(count: int, watch: Stopwatch) -> None:
    codec = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
    codec.initiate_connection()

    def serve(data: bytes) -> bytes:
        for event in codec.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                codec.send_headers(event.stream_id, _RESPONSE)
                codec.send_data(event.stream_id, BODY, end_stream=True)
        return codec.data_to_send()

    _drive_http2(count, watch, serve)


def measure_http2() -> Iterator[Layer]:
    """Measure HTTP/2, sixteen requests at a time."""
    group = f"HTTP/2 without I/O, {_BATCH} requests at a time"
    yield best_of(group, "h2 alone", _COUNT, _h2_alone)
    yield best_of(group, "hface_trio, h2", _COUNT, _http2_engine)


# HTTP/3


class _HTTP3Network:
    """Carries datagrams between a client and a server in memory, and counts the server's time."""

    def __init__(self, cafile: str, watch: Stopwatch, serve: Callable[[list[bytes]], list[bytes]]) -> None:
        self.client = HTTP3Client(_AUTHORITY, cafile, _ADDRESS)
        self._watch = watch
        self._serve = serve

    def run(self, count: int) -> None:
        """Shake hands, then make requests in batches."""
        self._carry(lambda: self.client.ready, counted=False)
        for _ in range(count // _BATCH):
            for _ in range(_BATCH):
                self.client.open("GET", "/")
            self._carry(lambda: not self.client.exchanges, counted=True)

    def _carry(self, done: Callable[[], bool], *, counted: bool) -> None:
        for _ in range(1000):
            datagrams = self.client.take_output()
            if counted:
                self._watch.start()
            answers = self._serve(datagrams)
            if counted:
                self._watch.stop()
            for answer in answers:
                self.client.receive(answer)
            if done():
                return
            timer = self.client.get_timer()
            if not answers and timer is not None and timer <= time.monotonic():
                self.client.handle_timer()
        raise RuntimeError("HTTP/3 in memory came to a halt")


def _destination(datagram: bytes) -> bytes:
    return datagram[6 : 6 + datagram[5]]  # of a long header (RFC 9000 §17.2)


def _http3_engine(cafile: str, certificate: tuple[str, str]) -> Callable[[int, Stopwatch], None]:
    factory = HTTP3ServerFactory(ServerTLSConfig(*certificate))

    def act(count: int, watch: Stopwatch) -> None:
        protocols: list[Any] = []

        def serve(datagrams: list[bytes]) -> list[bytes]:
            if not protocols:
                protocols.append(factory(original_destination_connection_id=_destination(datagrams[0])))
            protocol = protocols[0]
            protocol.clock(time.monotonic())
            for datagram in datagrams:
                protocol.datagram_received((datagram, _ADDRESS))
            _answer(protocol)
            return [data for data, _ in protocol.datagrams_to_send()]

        _HTTP3Network(cafile, watch, serve).run(count)

    return act


def _aioquic_alone(cafile: str, certificate: tuple[str, str]) -> Callable[[int, Stopwatch], None]:
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    untyped: Any = configuration  # its annotations have gaps
    untyped.load_cert_chain(*certificate)

    def act(count: int, watch: Stopwatch) -> None:
        quic: list[QuicConnection] = []
        http: list[H3Connection] = []

        def serve(datagrams: list[bytes]) -> list[bytes]:
            if not quic:
                original = _destination(datagrams[0])
                quic.append(QuicConnection(configuration=configuration, original_destination_connection_id=original))
            now = time.monotonic()
            for datagram in datagrams:
                quic[0].receive_datagram(datagram, _ADDRESS, now)
            while (event := quic[0].next_event()) is not None:
                if isinstance(event, ProtocolNegotiated):
                    http.append(H3Connection(quic[0]))
                for http_event in http[0].handle_event(event) if http else ():
                    if isinstance(http_event, H3HeadersReceived):
                        http[0].send_headers(http_event.stream_id, _RESPONSE)
                        http[0].send_data(http_event.stream_id, BODY, end_stream=True)
            return [data for data, _ in quic[0].datagrams_to_send(now)]

        _HTTP3Network(cafile, watch, serve).run(count)

    return act


def measure_http3(cafile: str, certificate: tuple[str, str]) -> Iterator[Layer]:
    """Measure HTTP/3, sixteen requests at a time."""
    group = f"HTTP/3 without I/O, {_BATCH} requests at a time"
    yield best_of(group, "aioquic alone", _COUNT, _aioquic_alone(cafile, certificate))
    yield best_of(group, "hface_trio, aioquic", _COUNT, _http3_engine(cafile, certificate))
