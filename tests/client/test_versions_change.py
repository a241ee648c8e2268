"""A client and an origin whose versions change while the client lives. Real sockets: versions are negotiated in TLS."""

from __future__ import annotations

import functools

import pytest
import trio

import hface_trio
from hface_trio import HTTPStream
from hface_trio.testing import Authority

SECONDS = 30


async def hello(stream: HTTPStream) -> None:
    await trio.sleep(0.01)
    await stream.send_response(200, body=stream.http_version.encode())


@pytest.mark.parametrize("at_once", [1, 8])
async def test_an_origin_that_comes_to_speak_http2_gets_one_connection(authority: Authority, at_once: int) -> None:
    tls = authority.server_config("localhost")
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            serve = functools.partial(hface_trio.serve, tls_config=tls)
            first: hface_trio.Server = await nursery.start(
                functools.partial(serve, http_versions=["1.1"]), hello, "https://localhost:0"
            )
            url = f"https://localhost:{first.endpoints[0].port}"
            async with hface_trio.open_client(tls_config=authority.client_config()) as client:
                assert (await client.get(f"{url}/")).body == b"1.1"
                await first.shutdown(1)
                second: hface_trio.Server = await nursery.start(
                    functools.partial(serve, http_versions=["2", "1.1"]), hello, url
                )

                async def get() -> None:
                    assert (await client.get(f"{url}/")).body == b"2"

                for _ in range(3):
                    async with trio.open_nursery() as requests:
                        for _ in range(at_once):
                            requests.start_soon(get)
                while second.statistics().connections > 1:  # those that were made at once come to an end
                    await trio.sleep(0.01)
                await get()
                assert second.statistics().connections == 1
            await second.shutdown(1)
