"""Requests leave nothing behind: neither on the server nor on the client, which share this process."""

from __future__ import annotations

import gc

import pytest
import trio

import hface_trio
from hface_trio import HTTPStream

CONNECTIONS = 4
REQUESTS = 10_000
ALLOWED_OBJECTS = 200
SECONDS = 100


async def handler(stream: HTTPStream) -> None:
    body = await stream.read_body()
    await stream.send_response(200, [(b"content-type", b"text/plain")], b"hello " + body)


def count_objects() -> int:
    gc.collect()
    return len(gc.get_objects())


@pytest.mark.parametrize("body", [b"", b"world"])
async def test_the_number_of_objects_stays_the_same(body: bytes) -> None:
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            server: hface_trio.Server = await nursery.start(hface_trio.serve, handler, "http://127.0.0.1:0")
            url = str(server.endpoints[0])

            async def fetch(client: hface_trio.Client, n_requests: int) -> None:
                for _ in range(n_requests):
                    response = await client.request("POST", url, content=body)
                    assert response.body == b"hello " + body

            async def fetch_on_all_connections(n_requests: int) -> int:
                async with trio.open_nursery() as fetchers:
                    for _ in range(CONNECTIONS):
                        fetchers.start_soon(fetch, client, n_requests // CONNECTIONS)
                return count_objects()

            # A warm-up first, for what is made once and kept.
            async with hface_trio.open_client() as client:
                before = await fetch_on_all_connections(400)
                after = await fetch_on_all_connections(REQUESTS)
                assert abs(after - before) < ALLOWED_OBJECTS
                assert server.statistics().connections == CONNECTIONS
                assert server.statistics().buffered_octets == 0
            nursery.cancel_scope.cancel()
