"""Openers over QUIC: racing the addresses of a host (RFC 8305), a handshake each."""

from __future__ import annotations

import dataclasses
import math
import ssl
from collections.abc import Callable, Sequence

import trio

from ..errors import ConfigurationError, ConnectError, TLSHandshakeError
from ..models import AddressType, ClientTLSConfig
from ..networking import SystemNetworking, UDPClientNetworking
from ..networking._addresses import format_address, tls_server_name
from ..protocols import HTTPOverQUICClientFactory, HTTPOverQUICProtocol, OutputEnd
from ._connection import HTTPConnection
from ._context import ConnectionContext
from ._openers import HTTPOpener
from ._quic_link import SocketLink

__all__ = ["HTTPOverQUICOpener", "system_trust"]

ATTEMPT_DELAY_SECONDS = 0.25  # RFC 8305 §5


def system_trust(tls_config: ClientTLSConfig) -> ClientTLSConfig:
    """Return a configuration that trusts the authorities of the system where it names none, as over TCP."""
    if tls_config.insecure or tls_config.cafile or tls_config.capath or tls_config.cadata:
        return tls_config
    paths = ssl.get_default_verify_paths()
    return dataclasses.replace(tls_config, cafile=paths.cafile, capath=paths.capath)


class HTTPOverQUICOpener(HTTPOpener):
    """Opens connections over QUIC.

    Args:
        make_factory: makes a factory of protocols for a TLS configuration; called once for each configuration.
        networking: the system's unless given.
        context: limits and accounts; those of this opener alone unless given.
    """

    needs_tls = True

    def __init__(
        self,
        make_factory: Callable[[ClientTLSConfig], HTTPOverQUICClientFactory],
        *,
        networking: UDPClientNetworking | None = None,
        context: ConnectionContext | None = None,
    ) -> None:
        self._make_factory = make_factory
        self._networking = networking or SystemNetworking()
        self._context = context or ConnectionContext()
        self._factories: dict[ClientTLSConfig, HTTPOverQUICClientFactory] = {}

    async def __call__(
        self, address: AddressType, *, tls_config: ClientTLSConfig | None = None, server_name: str | None = None
    ) -> HTTPConnection:
        """Connect; see :meth:`HTTPOpener.__call__`. Without a TLS configuration there is no QUIC."""
        if tls_config is None:
            raise ConfigurationError("HTTP/3 needs https: there is no QUIC without TLS")
        factory = self._factories.get(tls_config)
        if factory is None:
            self._factories.clear()  # one client has one configuration, hardly ever another
            factory = self._factories[tls_config] = self._make_factory(system_trust(tls_config))
        name = tls_server_name(server_name or address[0])
        race = _Race(factory, self._networking, address, name)
        seconds = self._context.timeouts.handshake_seconds
        with trio.move_on_after(seconds):
            protocol, link = await race.run(await self._networking.resolve_udp(address))
            return HTTPConnection(protocol, link, client_side=True, context=self._context)
        raise ConnectError(f"cannot connect to {format_address(address)} over QUIC: no answer in {seconds:g} s")


class _Race:
    """Attempts to connect to several addresses, of which one may win."""

    def __init__(
        self, factory: HTTPOverQUICClientFactory, networking: UDPClientNetworking, address: AddressType, name: str
    ) -> None:
        self._factory = factory
        self._networking = networking
        self._address = address
        self._name = name
        self._winner: tuple[HTTPOverQUICProtocol, SocketLink] | None = None
        self._failures: list[tuple[AddressType, ConnectError]] = []
        self._mistake: Exception | None = None

    async def run(self, targets: Sequence[AddressType]) -> tuple[HTTPOverQUICProtocol, SocketLink]:
        """Try one address after the other, without waiting long for any.

        Raises:
            ConnectError: all have failed.

        Cancellation: all attempts are closed.
        """
        try:
            async with trio.open_nursery() as nursery:
                for target in targets:
                    failed = trio.Event()
                    nursery.start_soon(self._attempt, target, failed, nursery.cancel_scope)
                    with trio.move_on_after(ATTEMPT_DELAY_SECONDS):
                        await failed.wait()
        except BaseException:
            if self._winner is not None:
                protocol, link = self._winner
                await _abandon(protocol, link)
            raise
        if self._winner is None:
            raise self._mistake or self._describe()
        return self._winner

    async def _attempt(self, target: AddressType, failed: trio.Event, race: trio.CancelScope) -> None:
        try:
            attempt = await self._shake_hands(target)
        except ConnectError as exc:
            self._failures.append((target, exc))
            failed.set()
            return
        except Exception as exc:  # noqa: BLE001  # would be the same for every address, and is raised as itself
            self._mistake = exc
            race.cancel()
            return
        if self._winner is not None:
            await _abandon(*attempt)
            return
        self._winner = attempt
        race.cancel()

    async def _shake_hands(self, target: AddressType) -> tuple[HTTPOverQUICProtocol, SocketLink]:
        protocol = self._factory(remote_address=target, server_name=self._name)
        socket = await self._networking.bind_udp(target)
        link = SocketLink(protocol, socket, self._factory.alpn_protocols[0])
        try:
            protocol.clock(trio.current_time())
            while not protocol.handshake_complete:
                socket.send_nowait(protocol.datagrams_to_send())  # what does not leave is sent again, as if lost
                if protocol.output_end is not OutputEnd.OPEN:
                    raise self._failure(protocol)
                timer = protocol.get_timer()
                with trio.CancelScope(deadline=math.inf if timer is None else timer):
                    await link.receive()
                protocol.clock(trio.current_time())
                while link.waiting:
                    protocol.datagram_received(link.take())
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            await _abandon(protocol, link)
            raise ConnectError(f"cannot connect to {format_address(self._address)} over QUIC: {exc}") from exc
        except BaseException:
            await _abandon(protocol, link)
            raise
        return protocol, link

    def _failure(self, protocol: HTTPOverQUICProtocol) -> ConnectError:
        kind = TLSHandshakeError if protocol.tls_failed else ConnectError
        what = "TLS handshake with" if protocol.tls_failed else "cannot connect to"
        return kind(f"{what} {format_address(self._address)} over QUIC: {protocol.handshake_failure or 'no answer'}")

    def _describe(self) -> ConnectError:
        if not self._failures:
            return ConnectError(f"cannot connect to {format_address(self._address)}: the host has no address")
        _, first = self._failures[0]
        if len(self._failures) > 1:
            first.__cause__ = ExceptionGroup("all addresses failed", [exc for _, exc in self._failures[1:]])
        return first


async def _abandon(protocol: HTTPOverQUICProtocol, link: SocketLink) -> None:
    protocol.submit_close()
    link.close_at_once(protocol.datagrams_to_send())
    with trio.move_on_after(1, shield=True):  # a deadline, though closing does not wait
        await link.aclose()
