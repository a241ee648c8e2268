"""What HTTP/3 and QUIC have beyond the common model: versions, keys, tickets, early data, datagrams, pings."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, LocalProtocolError
from hface_trio.events import DatagramReceived, GoawayReceived
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.quic import QUICSettings
from hface_trio.protocols.quic._codes import QUIC_VERSION_1, QUIC_VERSION_2

from .harness import URL, Outcomes, Served, connected, hello, serving3, started
from .raw import GET, POST, RawPeer, data, headers, pack_varint

Clock = trio.testing.MockClock


def quic(**options: object) -> HTTP3Settings:
    return HTTP3Settings(quic=QUICSettings(**options))  # type: ignore[arg-type]


async def fetch(connection: hface_trio.HTTPConnection) -> bytes:
    async with connection.open_stream(GET, end_stream=True) as stream:
        await stream.receive_response()
        return await stream.read_body()


# Versions and keys


@pytest.mark.parametrize(
    ("of_server", "of_client", "spoken"),
    [
        ((QUIC_VERSION_1,), (QUIC_VERSION_1,), QUIC_VERSION_1),
        ((QUIC_VERSION_2,), (QUIC_VERSION_2,), QUIC_VERSION_2),
        ((QUIC_VERSION_1,), (QUIC_VERSION_2, QUIC_VERSION_1), QUIC_VERSION_1),
        ((QUIC_VERSION_2, QUIC_VERSION_1), (QUIC_VERSION_2,), QUIC_VERSION_2),
    ],
)
async def test_versions_of_quic(
    autojump_clock: Clock, of_server: tuple[int, ...], of_client: tuple[int, ...], spoken: int
) -> None:
    async with serving3(hello, http3_settings=quic(versions=of_server)) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery, http3_settings=quic(versions=of_client)) as connection:
            assert connection.http3 is not None
            assert await fetch(connection) == b"hello"
            assert connection.http3.quic_version == spoken


async def test_no_version_in_common(autojump_clock: Clock) -> None:
    async with serving3(hello, http3_settings=quic(versions=(QUIC_VERSION_1,))) as s, trio.open_nursery() as nursery:
        with pytest.raises(hface_trio.ConnectError):
            await s.connect(nursery, http3_settings=quic(versions=(QUIC_VERSION_2,)))
        assert trio.current_time() < 1
        await trio.sleep(1)
        assert s.server.statistics().connections == 0


@pytest.mark.parametrize("side", ["client", "server", "both"])
async def test_keys_change_in_the_middle_of_transfers(autojump_clock: Clock, side: str) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        async for chunk in stream.iter_data():
            if side != "client" and stream.body_octets_received > 100_000 and not updated:
                updated.append(1)
                assert stream.connection.http3 is not None
                stream.connection.http3.update_keys()
            await stream.send_data(chunk)
        await stream.send_data(b"", end_stream=True)

    updated: list[int] = []
    async with serving3(handler) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery) as connection, connection.open_stream(POST) as stream:

            async def upload() -> None:
                for number in range(20):
                    if number == 5 and side != "server":
                        assert connection.http3 is not None
                        connection.http3.update_keys()
                    await stream.send_data(bytes(20_000))
                await stream.send_data(b"", end_stream=True)

            async with trio.open_nursery() as uploads:
                uploads.start_soon(upload)
                await stream.receive_response()
                assert len(await stream.read_body()) == 400_000


# Tickets and early data


async def resumed_of(stream: HTTPStream) -> None:
    http3 = stream.connection.http3
    assert http3 is not None
    if stream.path == b"/drain":
        stream.connection.drain()
    await stream.send_response(200, body=b"%d" % http3.resumed)


async def test_a_client_resumes_its_session_and_each_ticket_once(autojump_clock: Clock) -> None:
    async with serving3(resumed_of) as s, s.client() as client:
        found = []
        for _ in range(4):
            found.append((await client.get(f"{URL}/")).body)
            await client.get(f"{URL}/drain")
            await trio.sleep(5)
        assert found == [b"0", b"1", b"1", b"1"]


async def test_clients_do_not_share_tickets(autojump_clock: Clock) -> None:
    async with serving3(resumed_of) as s:
        for _ in range(2):
            async with s.client() as client:
                assert (await client.get(f"{URL}/")).body == b"0"


async def with_ticket(s: Served) -> tuple[RawPeer, RawPeer]:
    """A peer that has a ticket, and another that is about to resume with it."""
    first = await s.peer()
    await first.response(await first.request())
    await first.until(lambda: first.tickets)
    second = await s.raw_unstarted(session_ticket=first.tickets[-1])
    return first, second


async def test_early_data_is_off_by_default(autojump_clock: Clock) -> None:
    async with serving3(resumed_of) as s:
        first, second = await with_ticket(s)
        assert not first.tickets[-1].max_early_data_size
        second.put(0, headers(GET), end=True)
        s.nursery.start_soon(second.run)
        assert await second.response(0) == (200, b"1")
        await first.close()
        await second.close()


async def test_early_requests_are_served_if_they_are_safe_and_425_otherwise(autojump_clock: Clock) -> None:
    seen: list[tuple[bytes, float]] = []

    async def handler(stream: HTTPStream) -> None:
        seen.append((stream.method, trio.current_time()))
        await resumed_of(stream)

    async with serving3(handler, http3_settings=quic(early_data=True)) as s:
        first, second = await with_ticket(s)
        assert first.tickets[-1].max_early_data_size
        began = trio.current_time()
        seen.clear()
        second.put(2, pack_varint(0), b"\x04\x00")
        second.put(0, headers(GET), end=True)
        second.put(4, headers(POST), data(b"x"), end=True)
        s.nursery.start_soon(second.run)
        assert (await second.response(4))[0] == 425
        assert await second.response(0) == (200, b"1")
        assert [method for method, _ in seen] == [b"GET"]
        assert seen[0][1] - began < 0.02  # before the handshake was complete it was there
        later = second.next_id()
        await second.send(later, headers(POST), data(b"x"), end=True)
        assert (await second.response(later))[0] == 200
        await first.close()
        await second.close()


async def test_a_replayed_flight_of_early_data_is_served_no_second_time(autojump_clock: Clock) -> None:
    seen: list[bytes] = []

    async def handler(stream: HTTPStream) -> None:
        seen.append(stream.path)
        await hello(stream)

    async with serving3(handler, http3_settings=quic(early_data=True)) as s:
        first, second = await with_ticket(s)
        seen.clear()
        second.put(2, pack_varint(0), b"\x04\x00")
        second.put(0, headers(GET), end=True)
        flight = second.quic.datagrams_to_send(now=trio.current_time())
        second.socket.send_nowait(flight)
        s.nursery.start_soon(second.run)
        assert await second.response(0) == (200, b"hello")
        await second.close()
        await trio.sleep(5)
        replayer = await s.network.bind_udp(("localhost", 443))
        replayer.send_nowait(flight)
        await trio.sleep(5)
        assert seen == [b"/"]
        await first.close()


# Datagrams


async def test_datagrams_of_streams(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        async for event in stream:
            if isinstance(event, DatagramReceived):
                stream.submit_datagram(event.data.upper())
        await stream.send_data(b"", end_stream=True)

    async with serving3(handler) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery) as connection, connection.open_stream(POST) as stream:
            await stream.receive_response()
            largest = stream.max_datagram_octets
            assert 1000 < largest < 1232
            for payload in (b"a", b"", b"x" * largest):
                stream.submit_datagram(payload)
                event = await stream.receive()
                assert event == DatagramReceived(stream.stream_id, payload.upper())
            with pytest.raises(LocalProtocolError):
                stream.submit_datagram(b"x" * (largest + 1))
            await stream.send_data(b"", end_stream=True)
            assert await stream.read_body() == b""


async def test_datagrams_that_nobody_takes_make_room(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await trio.sleep(2)
        outcomes.note([event.data async for event in stream if isinstance(event, DatagramReceived)])
        outcomes.note(stream.statistics().datagrams_dropped)
        await hello(stream)

    async with serving3(handler) as s:
        peer = await s.peer({0x33: 1}, max_datagram_frame_size=65_535)
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        for number in range(100):
            peer.quic.send_datagram_frame(pack_varint(stream_id // 4) + b"%d" % number)
            peer.flush()
            await trio.sleep(0.001)
        await trio.sleep(1)
        await peer.send(stream_id, end=True)
        assert await outcomes.next() == [b"%d" % number for number in range(36, 100)]
        assert await outcomes.next() == 36
        await peer.response(stream_id)
        s.assert_nothing_left()
        await peer.close()


@pytest.mark.parametrize("versions", [["2"], ["1.1"]])
async def test_other_versions_have_no_datagrams(autojump_clock: Clock, versions: list[str]) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery, http_versions=versions) as connection:
            assert connection.http3 is None
            async with connection.open_stream(GET, end_stream=True) as stream:
                assert stream.max_datagram_octets < 0
                with pytest.raises(LocalProtocolError):
                    stream.submit_datagram(b"x")


async def test_a_peer_that_takes_no_datagrams(autojump_clock: Clock) -> None:
    async with connected() as (connection, _), connection.open_stream(POST) as stream:
        assert stream.max_datagram_octets < 0
        with pytest.raises(LocalProtocolError):
            stream.submit_datagram(b"x")


# Pings, settings, GOAWAY by hand


async def test_a_ping_tells_the_round_trip_however_long_it_was_quiet(autojump_clock: Clock) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery) as connection:
            assert connection.http3 is not None
            for quiet in (0, 5, 20):
                await trio.sleep(quiet)
                assert await connection.http3.ping() == pytest.approx(0.01, abs=0.002)
            assert connection.http3.round_trip_seconds == pytest.approx(0.01, abs=0.03)


async def test_the_round_trip_stays_what_it_is_on_a_connection_with_pauses(autojump_clock: Clock) -> None:
    """What is measured is the network, not how long this side was quiet before it sent."""
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery) as connection:
            assert connection.http3 is not None
            for _ in range(10):
                await trio.sleep(6)
                assert await fetch(connection) == b"hello"
            assert connection.http3.round_trip_seconds == pytest.approx(0.01, abs=0.03)


async def test_a_connection_is_kept_alive_by_pings_if_told_to(autojump_clock: Clock) -> None:
    settings = quic(idle_timeout_seconds=10, keep_alive_interval_seconds=4)
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery, http3_settings=settings) as connection:
            await trio.sleep(60)
            assert await fetch(connection) == b"hello"


async def test_settings_reach_the_other_side(autojump_clock: Clock) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery) as connection:
            assert connection.http3 is not None
            assert await fetch(connection) == b"hello"
            assert connection.http3.peer_settings[0x8] == 1  # ENABLE_CONNECT_PROTOCOL
            assert connection.http3.peer_settings[0x33] == 1  # H3_DATAGRAM


async def test_goaway_by_hand(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        assert stream.connection.http3 is not None
        stream.connection.http3.goaway(stream.stream_id)
        await hello(stream)

    async with serving3(handler) as s, trio.open_nursery() as nursery:
        connection = await s.connect(nursery)
        with connection.subscribe() as events:
            assert await fetch(connection) == b"hello"
            found = [event async for event in events if isinstance(event, GoawayReceived)]
        assert [event.last_stream_id for event in found] == [0]
        assert connection.has_expired()


async def test_a_traced_connection_writes_its_trace(autojump_clock: Clock, tmp_path) -> None:
    settings = quic(qlog_directory=str(tmp_path))
    async with serving3(hello, http3_settings=settings) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery) as connection:
            assert await fetch(connection) == b"hello"
    (trace,) = tmp_path.iterdir()
    assert b"packet_received" in trace.read_bytes()
