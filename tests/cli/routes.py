"""What the command line is tried out on."""

from __future__ import annotations

import trio

from hface_trio import HTTPStream

ALL_OCTETS = bytes(range(256)) * 512


async def handler(stream: HTTPStream) -> None:
    path, _, argument = stream.path[1:].partition(b"/")
    await ROUTES[path](stream, argument)


async def greet(stream: HTTPStream, name: bytes) -> None:
    await stream.send_response(200, [(b"content-type", b"text/plain")], b"Hello %b\n" % name)


async def answer_status(stream: HTTPStream, status: bytes) -> None:
    await stream.send_response(int(status), [], b"body of %b\n" % status)


async def echo(stream: HTTPStream, _: bytes) -> None:
    await stream.send_headers([(b":status", b"200")])
    async for octets in stream.iter_data():
        await stream.send_data(octets)
    await stream.send_data(b"", end_stream=True)


async def show_request(stream: HTTPStream, _: bytes) -> None:
    lines = [b"%b: %b\n" % field for field in stream.headers]
    await stream.send_response(200, [], b"".join(lines) + b"body: " + await stream.read_body() + b"\n")


async def send_all_octets(stream: HTTPStream, _: bytes) -> None:
    await stream.send_response(200, [], ALL_OCTETS)


async def send_hints_and_trailers(stream: HTTPStream, _: bytes) -> None:
    await stream.send_informational([(b":status", b"103"), (b"link", b"</style.css>")])
    await stream.send_headers([(b":status", b"200")])
    await stream.send_data(b"body\n")
    await stream.send_trailers([(b"checksum", b"0")])


async def cut_off(stream: HTTPStream, _: bytes) -> None:
    await stream.send_headers([(b":status", b"200"), (b"content-length", b"1000")])
    await stream.send_data(b"x" * 400)
    await stream.flush()
    await trio.sleep(0.2)  # so that the octets are not lost to the reset
    stream.reset()


async def drip(stream: HTTPStream, count: bytes) -> None:
    """Send a line ten times a second."""
    await stream.send_headers([(b":status", b"200"), (b"content-length", b"%d" % (int(count) * 6))])
    for number in range(int(count)):
        await stream.send_data(b"%05d\n" % number)
        await trio.sleep(0.1)
    await stream.send_data(b"", end_stream=True)


async def sip(stream: HTTPStream, _: bytes) -> None:
    """Take the body slowly: for a second at least."""
    taken = 0
    started_at = trio.current_time()
    async for octets in stream.iter_data():
        taken += len(octets)
        if trio.current_time() < started_at + 1:
            await trio.sleep(0.05)
    await stream.send_response(200, [], b"%d\n" % taken)


async def wait_for_ever(stream: HTTPStream, _: bytes) -> None:
    await stream.send_headers([(b":status", b"200")])
    await stream.send_data(b"waiting\n")
    await trio.sleep_forever()


async def wait_for_drain(stream: HTTPStream, _: bytes) -> None:
    await stream.send_headers([(b":status", b"200")])
    await stream.send_data(b"waiting\n")
    await stream.draining.wait()
    await stream.send_data(b"drained\n", end_stream=True)


async def fail(stream: HTTPStream, _: bytes) -> None:
    raise RuntimeError(f"stream {stream.stream_id} fails on purpose")


ROUTES = {
    b"hello": greet,
    b"status": answer_status,
    b"echo": echo,
    b"request": show_request,
    b"octets": send_all_octets,
    b"hints": send_hints_and_trailers,
    b"cut": cut_off,
    b"drip": drip,
    b"sip": sip,
    b"forever": wait_for_ever,
    b"drain": wait_for_drain,
    b"fail": fail,
}
