"""Measure what an attack on one HTTP/2 connection costs a neighbour's requests, on the real clock and real sockets.

The server runs as a process of its own. The attackers reconnect as often as they are cut off, for a bounded time. What
is printed is the time of a small request on another connection: alone, and while each attack goes on. The exit code is 1
when a median under attack is more than twice that of the time alone and 5 ms.

    python benchmarks/neighbour.py --seconds 2
"""

from __future__ import annotations

import argparse
import functools
import statistics
import subprocess
import sys
from collections.abc import Callable

import trio
from hpack import Encoder

import hface_trio
from hface_trio.client import RequestURL, request_headers

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SERVER = """
import trio, hface_trio
async def hello(stream):
    await stream.send_response(200, body=b"hello")
async def main():
    async with trio.open_nursery() as nursery:
        server = await nursery.start(hface_trio.serve, hello, "http://127.0.0.1:0")
        print(server.endpoints[0].port, flush=True)
trio.run(main)
"""


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return an HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


def rapid_resets() -> bytes:
    """Return requests, each reset right away (CVE-2023-44487)."""
    head = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
    block = Encoder().encode(head)
    pair = [frame(1, 5, i, block) + frame(3, 0, i, bytes(4)) for i in range(1, 4001, 2)]
    return b"".join(pair)


def wide_sections() -> bytes:
    """Return requests of as many fields as are allowed, an octet each on the wire."""
    encoder = Encoder()
    head = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"), ("x-a", "b")]
    first = frame(1, 5, 1, encoder.encode(head))
    block = encoder.encode(head + [("x-a", "b")] * 120)
    return first + b"".join([frame(1, 5, i, block) for i in range(3, 2001, 2)])


def dribble() -> bytes:
    """Return a body in frames of an octet each."""
    head = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
    return frame(1, 4, 1, Encoder().encode(head)) + frame(0, 0, 1, b"x") * 6000


ATTACKS: dict[str, Callable[[], bytes]] = {
    "rapid resets": rapid_resets,
    "pings": lambda: frame(6, 0, 0, bytes(8)) * 5000,
    "settings": lambda: frame(4, 0, 0) * 5000,
    "wide sections": wide_sections,
    "dribble": dribble,
    "priorities": lambda: frame(2, 0, 1, bytes(5)) * 5000,
}


async def attack(port: int, octets: bytes) -> None:
    """Attack until cancelled."""
    while True:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        try:
            await stream.send_all(PREFACE + frame(4, 0, 0) + octets)
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass  # cut off, as it should be
        finally:
            await trio.aclose_forcefully(stream)


async def neighbour(url: str, seconds: float) -> list[float]:
    """Return the times of requests on one connection, one after the other, with a pause in between."""
    times: list[float] = []
    headers = request_headers("GET", RequestURL.parse(url))
    async with (
        trio.open_nursery() as nursery,
        await hface_trio.connect(nursery, url, http_versions=["2"]) as connection,
    ):
        end = trio.current_time() + seconds
        while trio.current_time() < end:
            began = trio.current_time()
            async with connection.open_stream(headers, end_stream=True) as stream:
                await stream.receive_response()
                await stream.read_body()
            times.append(trio.current_time() - began)
            await trio.sleep(0.005)
    return times


def report(name: str, times: list[float]) -> float:
    """Print median, 95th percentile and maximum in milliseconds; return the median."""
    ordered = sorted(1000 * time for time in times)
    median, p95 = statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
    print(f"{name:14} median {median:6.2f}  p95 {p95:6.2f}  max {ordered[-1]:6.2f} ms")
    return median


async def measure(port: int, seconds: float) -> bool:
    """Measure alone, and under each attack; return whether all is well."""
    url = f"http://127.0.0.1:{port}/"
    await neighbour(url, 0.5)
    limit = 2 * report("alone", await neighbour(url, seconds)) + 5
    well = True
    for name, make in ATTACKS.items():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(attack, port, make())
            await trio.sleep(0.2)
            if report(name, await neighbour(url, seconds)) > limit:
                print(f"{name}: the median is above {limit:.2f} ms, twice what it is alone and 5 ms")
                well = False
            nursery.cancel_scope.cancel()
    return well


def main() -> int:
    """Start the server, measure, and end it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=2, help="length of each measurement (default: 2)")
    seconds = parser.parse_args().seconds
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            return 0 if trio.run(functools.partial(measure, port, seconds)) else 1
        finally:
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())
