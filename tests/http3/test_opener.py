"""Racing the addresses of a host over QUIC, and what may be wrong with each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import ConfigurationError, ConnectError, TLSHandshakeError
from hface_trio.connections import HTTPOverQUICOpener
from hface_trio.connections._quic_link import SocketLink
from hface_trio.models import AddressType, ClientTLSConfig, DatagramType
from hface_trio.networking import DatagramSocket, DatagramStatistics
from hface_trio.protocols.http3 import HTTP3ClientFactory
from hface_trio.testing import MemoryNetworking

from ..protocols.quic.network import client_tls
from .harness import LATENCY, URL, hello, serving3
from .raw import GET

Clock = trio.testing.MockClock
THERE = ("localhost", 443)
NOBODY = ("192.0.2.1", 443)
NO_ROUTE = ("192.0.2.2", 443)
BREAKS = ("192.0.2.3", 443)


class Addresses(MemoryNetworking):
    """A host of several addresses, of which some are of no use."""

    def __init__(self, *targets: AddressType) -> None:
        super().__init__(to_servers=LATENCY, to_clients=LATENCY)
        self.targets = targets
        self.wrap = lambda socket: socket

    async def resolve_udp(self, address: AddressType) -> Sequence[AddressType]:
        await trio.lowlevel.checkpoint()
        return self.targets

    async def bind_udp(self, remote_address: AddressType) -> DatagramSocket:
        if remote_address == NO_ROUTE:
            await trio.lowlevel.checkpoint()
            raise ConnectError("cannot connect to 192.0.2.2:443: no route")
        socket = await super().bind_udp(remote_address)
        return Breaking(socket) if remote_address == BREAKS else self.wrap(socket)


class Wrapped(DatagramSocket):
    """Does as another socket does."""

    def __init__(self, socket: DatagramSocket) -> None:
        self.socket = socket

    @property
    def local_address(self) -> AddressType:
        return self.socket.local_address

    def statistics(self) -> DatagramStatistics:
        return self.socket.statistics()

    def send_nowait(self, datagrams: Sequence[DatagramType]) -> int:
        return self.socket.send_nowait(datagrams)

    async def wait_writable(self) -> None:
        await self.socket.wait_writable()

    async def receive(self) -> list[DatagramType]:
        return await self.socket.receive()

    async def aclose(self) -> None:
        await self.socket.aclose()


class Breaking(Wrapped):
    """Cannot receive."""

    async def receive(self) -> list[DatagramType]:
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError("the socket broke")


class Full(Wrapped):
    """Takes nothing at first."""

    refusals = 0

    def send_nowait(self, datagrams: Sequence[DatagramType]) -> int:
        if self.refusals < 2:
            self.refusals += 1
            return 0
        return super().send_nowait(datagrams)


async def connect_and_fetch(s) -> float:
    """Return how long it took to connect."""
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        connection = await s.connect(nursery)
        took = trio.current_time() - began
        async with connection, connection.open_stream(GET, end_stream=True) as stream:
            await stream.receive_response()
            assert await stream.read_body() == b"hello"
            assert connection.remote_address == THERE
    return took


@pytest.mark.parametrize(
    ("before", "seconds"),
    [((), 0), ((NOBODY,), 0.25), ((NO_ROUTE,), 0), ((BREAKS,), 0), ((NOBODY, NO_ROUTE, NOBODY), 0.5)],
    ids=["at once", "behind nobody", "behind no route", "behind a socket that breaks", "behind three"],
)
async def test_an_address_that_answers_is_found(
    autojump_clock: Clock, before: tuple[AddressType, ...], seconds: float
) -> None:
    network = Addresses(*before, THERE)
    async with serving3(hello, network=network) as s:
        assert await connect_and_fetch(s) == pytest.approx(seconds, abs=0.1)
        assert list(network._links.sockets) == [THERE]


async def test_the_faster_of_two_that_answer_wins_and_the_other_is_closed(autojump_clock: Clock) -> None:
    network = Addresses(THERE, THERE)
    async with serving3(hello, network=network) as s:
        await connect_and_fetch(s)
        await trio.sleep(5)
        assert list(network._links.sockets) == [THERE]
        assert s.server.statistics().connections == 0


@pytest.mark.parametrize("targets", [(NO_ROUTE,), (BREAKS,), (BREAKS, NO_ROUTE), ()], ids=str)
async def test_where_no_address_is_of_use_one_error_says_so(
    autojump_clock: Clock, targets: tuple[AddressType, ...]
) -> None:
    network = Addresses(*targets)
    async with trio.open_nursery() as nursery:
        with pytest.raises(ConnectError):
            await hface_trio.connect(nursery, URL, http_versions=["3"], tls_config=client_tls(), networking=network)
    assert trio.current_time() < 1
    assert network._links.sockets == {}


async def test_a_socket_that_takes_nothing_at_first_delays_and_nothing_more(autojump_clock: Clock) -> None:
    network = Addresses(THERE)
    network.wrap = Full
    async with serving3(hello, network=network) as s:
        assert await connect_and_fetch(s) < 2


async def test_a_protocol_that_cannot_be_made_leaves_no_socket(autojump_clock: Clock) -> None:
    class Factory(HTTP3ClientFactory):
        def __call__(self, **arguments):
            raise ConfigurationError("no")

    network = Addresses(THERE)
    opener = HTTPOverQUICOpener(Factory, networking=network)
    with pytest.raises(ConfigurationError):
        await opener(THERE, tls_config=client_tls())
    assert network._links.sockets == {}


async def test_without_tls_there_is_no_quic(autojump_clock: Clock) -> None:
    opener = HTTPOverQUICOpener(HTTP3ClientFactory, networking=Addresses(THERE))
    with pytest.raises(ConfigurationError):
        await opener(THERE)


@pytest.mark.parametrize("name", ["other.test", "127.0.0.9"])
async def test_the_name_in_the_certificate_has_to_be_the_hosts(autojump_clock: Clock, name: str) -> None:
    network = Addresses(THERE)
    async with serving3(hello, network=network):
        opener = HTTPOverQUICOpener(HTTP3ClientFactory, networking=network)
        with pytest.raises(TLSHandshakeError, match=r"(?i)hostname|name|certificate"):
            await opener(THERE, tls_config=client_tls(), server_name=name)
        connection = await opener(THERE, tls_config=ClientTLSConfig(insecure=True), server_name=name)
        async with connection:
            assert connection.http_version == "3"


async def test_what_is_sent_while_everything_ends_still_leaves(autojump_clock: Clock) -> None:
    """The task that sends later may be cancelled before the connection has said its last word."""
    network = MemoryNetworking()
    (server,) = await network.listen_udp(THERE)
    protocol = HTTP3ClientFactory(client_tls())(remote_address=THERE, server_name="localhost")
    link = SocketLink(protocol, await network.bind_udp(THERE), "h3")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert link.send([(b"the last word", THERE)])
    assert [payload for payload, _ in await server.receive()] == [b"the last word"]
    await link.aclose()
    await server.aclose()
