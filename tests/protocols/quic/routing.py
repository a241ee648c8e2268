"""Routers with fake connections behind them, and the datagrams that clients send to them."""

from __future__ import annotations

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from hface_trio.protocols import HTTPOverQUICProtocol, HTTPOverQUICServerFactory
from hface_trio.protocols.http3 import HTTP3ServerFactory
from hface_trio.protocols.quic import RandomConnectionIdSource
from hface_trio.protocols.quic._router import QUICRouter
from hface_trio.protocols.quic._router_settings import QUICRouterSettings

from .network import authority, server_tls

CLIENT = ("192.0.2.1", 50_000)
SERVER = ("192.0.2.2", 443)
VERSION_1 = 1
VERSION_2 = 0x6B3343CF
NOW = 1000.0


class FakeConnection(HTTPOverQUICProtocol):
    """Has ids and a handshake, and nothing else."""

    is_closed = False
    handshake_complete = False
    connection_ids = ()

    def __init__(self, ids, arguments):
        self.connection_ids = tuple(ids)
        self.arguments = arguments
        self.changes = ([], [])

    def take_connection_id_changes(self):
        changes, self.changes = self.changes, ([], [])
        return changes


FakeConnection.__abstractmethods__ = frozenset()


class FakeFactory(HTTPOverQUICServerFactory):
    """Counts what it makes."""

    alpn_protocols = ("h3",)

    def __init__(self, source):
        self.source = source
        self.made: list[FakeConnection] = []

    def __call__(self, **arguments):
        self.made.append(FakeConnection([self.source.issue().connection_id], arguments))
        return self.made[-1]


def make_router(*, fake=True, versions=(VERSION_1, VERSION_2), length=8, reset_token=None, token_key=None, **options):
    source = RandomConnectionIdSource(length)
    factory = FakeFactory(source) if fake else HTTP3ServerFactory(server_tls(), connection_id_source=source)
    router = QUICRouter(
        factory,
        connection_id_source=source,
        versions=versions,
        settings=QUICRouterSettings(**options),
        reset_token=reset_token,
        token_key=token_key,
    )
    return router, factory


def make_client(version=VERSION_1):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost")
    configuration.load_verify_locations(cadata=authority().client_config().cadata)
    if authority().client_config().cafile:
        configuration.load_verify_locations(cafile=authority().client_config().cafile)
    configuration.original_version = version
    client = QuicConnection(configuration=configuration)
    client.connect(SERVER, NOW)
    return client


def initial(version=VERSION_1) -> bytes:
    return make_client(version).datagrams_to_send(NOW)[0][0]


def drops(router):
    return {reason: count for reason, count in router.statistics().drops.items() if count}


def long_header(version, destination=b"d" * 8, source=b"s" * 8, *, first=0xC0, rest=bytes(1200)):
    return b"".join(
        (
            bytes([first]),
            version.to_bytes(4, "big"),
            bytes([len(destination)]),
            destination,
            bytes([len(source)]),
            source,
            rest,
        )
    )


def short_header(connection_id, octets=40):
    return (b"\x41" + connection_id).ljust(octets, b"x")


def accepted(**options):
    router, factory = make_router(**options)
    router.datagram_received(initial(), CLIENT, NOW)
    return router, factory.made[0]
