"""aioquic's HTTP/3 client against the server."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from aioquic.h3.connection import ErrorCode
from aioquic.quic.packet import QuicProtocolVersion
from aioquic.tls import SessionTicket

from ._http3_aioquic import AioquicClient, aioquic_client, run
from ._payload import MIB, chunks, digest
from ._process import ServerProcess

LARGE = 16 * MIB
_Run: TypeAlias = Callable[[Callable[[AioquicClient], Awaitable[None]]], None]


@pytest.fixture
def connected(server: ServerProcess) -> _Run:
    """Runs a test with a connection to the server."""
    return lambda test: run(test, server.https_url, server.cafile)


def test_get(connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        exchange = await client.fetch("GET", "/hello")
        assert (exchange.status, exchange.body) == (200, b"hello\n")
        assert dict(exchange.head or [])[b"content-length"] == b"6"

    connected(test)


def test_methods_and_statuses(connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        assert (await client.fetch("GET", "/missing")).status == 404
        assert (await client.fetch("GET", "/empty")).status == 204
        # no HEAD: aioquic takes its content-length for a promise, and closes the connection
        assert (await client.fetch("POST", "/echo", [b"hello"])).body == b"hello"
        assert json.loads((await client.fetch("GET", "/headers")).body)["http_version"] == "3"

    connected(test)


def test_trailers_both_ways(connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        exchange = client.open("POST", "/digest", end=False)
        exchange.send(b"abc")
        exchange.send_trailers([(b"x-up", b"here")])
        shown = json.loads((await exchange.finish()).body)
        assert (shown["octets"], shown["trailers"]) == (3, [["x-up", "here"]])
        exchange = await client.fetch("GET", "/trailers")
        assert exchange.trailers == [(b"x-sha256", hashlib.sha256(b"with trailers\n").hexdigest().encode())]

    connected(test)


def test_early_hints(connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        exchange = await client.fetch("GET", "/hints")
        assert exchange.informational == [[(b":status", b"103"), (b"link", b"</style.css>; rel=preload")]]
        assert (exchange.status, exchange.body) == (200, b"hinted\n")

    connected(test)


def test_upload(connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        shown = json.loads((await client.fetch("POST", "/digest", chunks(LARGE))).body)
        assert (shown["octets"], shown["sha256"]) == (LARGE, digest(LARGE))

    connected(test)


def test_download(connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        exchange = await client.fetch("GET", f"/bytes?n={LARGE}")
        assert (exchange.octets, exchange.sha256) == (LARGE, digest(LARGE))

    connected(test)


def test_both_ways_at_once(connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        exchange = await client.fetch("POST", "/echo", chunks(4 * MIB))
        assert (exchange.octets, exchange.sha256) == (4 * MIB, digest(4 * MIB))

    connected(test)


def test_three_hundred_requests_at_once_wait_for_their_turns(server: ServerProcess, connected: _Run) -> None:
    """Surplus streams queue in aioquic until the server gives credit for them."""

    async def test(client: AioquicClient) -> None:
        bodies = [b"%d" % i * 500 for i in range(300)]
        done = await asyncio.gather(*(client.fetch("POST", "/echo", [body]) for body in bodies))
        assert [exchange.body for exchange in done] == bodies
        assert server.statistics()["connections"] == 1

    connected(test)


def test_a_download_cancelled_in_the_middle(server: ServerProcess, connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        key = server.new_key()
        exchange = client.open("GET", f"/bytes?n={64 * MIB}&id={key}")
        await exchange.wait(lambda: exchange.octets > MIB)
        exchange.cancel()
        await asyncio.to_thread(server.wait, key, "gone")
        assert (await client.fetch("GET", "/hello")).body == b"hello\n"
        assert exchange.reset_code == ErrorCode.H3_REQUEST_CANCELLED

    connected(test)


def test_an_upload_cancelled_in_the_middle(server: ServerProcess, connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        key = server.new_key()
        exchange = client.open("POST", f"/digest?id={key}", end=False)
        exchange.send(b"x" * MIB)
        await asyncio.to_thread(server.wait, key, "flowing")
        exchange.cancel()
        await asyncio.to_thread(server.wait, key, "gone")
        assert (await client.fetch("GET", "/hello")).body == b"hello\n"

    connected(test)


def test_a_client_that_only_stops_reading_is_gone_too(server: ServerProcess, connected: _Run) -> None:
    """Of a complete request nothing is left to reset, so that STOP_SENDING is all that says it."""

    async def test(client: AioquicClient) -> None:
        key = server.new_key()
        exchange = client.open("GET", f"/sleep?seconds=60&id={key}")
        await asyncio.to_thread(server.wait, key, "begin")
        client.quic.stop_stream(exchange.stream_id, ErrorCode.H3_REQUEST_CANCELLED)
        client.transmit()
        await asyncio.to_thread(server.wait, key, "gone")

    connected(test)


def test_a_connection_that_closes_takes_its_requests_along(server: ServerProcess, connected: _Run) -> None:
    keys = [server.new_key() for _ in range(5)]

    async def test(client: AioquicClient) -> None:
        for key in keys:
            client.open("GET", f"/sleep?seconds=60&id={key}")
        await asyncio.to_thread(server.wait, keys[-1], "begin")

    connected(test)
    for key in keys:
        server.wait(key, "gone")


def test_an_answer_before_the_end_of_the_upload(connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        exchange = client.open("POST", "/refuse", end=False)
        exchange.send(b"x" * (8 * MIB))
        await exchange.finish()
        assert (exchange.status, exchange.body) == (403, b"no\n")
        await exchange.wait(lambda: exchange.stop_code is not None)
        assert exchange.stop_code == ErrorCode.H3_NO_ERROR
        assert (await client.fetch("GET", "/hello")).body == b"hello\n"

    connected(test)


def test_keys_and_connection_ids_may_change(connected: _Run) -> None:
    async def test(client: AioquicClient) -> None:
        assert (await client.fetch("GET", "/hello")).body == b"hello\n"
        client.request_key_update()
        assert (await client.fetch("POST", "/digest", chunks(MIB))).status == 200
        client.change_connection_id()
        assert (await client.fetch("GET", "/hello")).body == b"hello\n"

    connected(test)


@pytest.mark.parametrize("version", [QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2])
def test_versions_of_quic(server: ServerProcess, version: QuicProtocolVersion) -> None:
    async def test(client: AioquicClient) -> None:
        assert (await client.fetch("GET", "/hello")).body == b"hello\n"

    run(test, server.https_url, server.cafile, original_version=version, supported_versions=[version])


def test_a_session_is_resumed(server: ServerProcess) -> None:
    tickets: list[SessionTicket] = []

    async def fetch(**configuration: Any) -> bool:
        async with aioquic_client(server.https_url, server.cafile, tickets.append, **configuration) as client:
            assert (await client.fetch("GET", "/hello")).body == b"hello\n"
            return client.quic.tls.session_resumed

    assert not asyncio.run(fetch())
    assert asyncio.run(fetch(session_ticket=tickets[0]))
