"""Which connection a datagram belongs to, and what is done with those that belong to none.

The router looks at what is in the clear and at nothing else. The rules:

- Datagrams are routed by the connection id, never by the address they come from, so that peers may move.
- A protocol is made for an Initial packet only, and where Retry is required, only once the address was proven.
- Nothing that arrives makes it raise, and all that is remembered is bounded: by connections, which are counted, and by
  rates of answers.
- An answer is shorter than what it answers: half as long at most, except for a reset. So nothing is amplified.

Whoever uses it feeds what is delivered to the connection, and calls ``update`` after each feed, after each
``datagrams_to_send`` and when the connection has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ...errors import ConfigurationError
from ...limits import address_owner
from ...models import AddressType
from .._factory_interfaces import HTTPOverQUICServerFactory
from .._interfaces import HTTPOverQUICProtocol
from ._codes import QUIC_VERSION_1, QUIC_VERSION_2, QUICErrorCode
from ._ids import ConnectionIdSource
from ._router_actions import Accept, Deliver, Drop, DropReason, QUICRouterStatistics, Reply, RouterAction
from ._router_limits import AnswerRate, OwnerCounts
from ._router_packets import (
    FIXED_BIT,
    FORM_BIT,
    INITIAL,
    LongHeader,
    long_packet_type,
    read_initial_token_untrusted,
    read_long_header_untrusted,
    refusal_packet,
    retry_packet,
    stateless_reset_packet,
    version_negotiation_packet,
)
from ._router_settings import QUICRouterSettings
from ._router_tokens import AddressTokens, TokenFault

__all__ = ["QUICRouter"]

_SMALLEST_INITIAL_DATAGRAM = 1200  # RFC 9000 §14.1
_SHORTEST_FIRST_ID = 8  # RFC 9000 §7.2


class _Route:
    """What is known of one connection."""

    __slots__ = ("deliver", "half_open", "ids", "owner")

    def __init__(self, connection: HTTPOverQUICProtocol, owner: str) -> None:
        self.deliver = Deliver(connection)
        self.owner = owner
        self.half_open = True
        self.ids: set[bytes] = set()


class QUICRouter:
    """Routes the datagrams of a server's sockets; one for all of them.

    Args:
        factory: makes the protocols of connections.
        connection_id_source: the source that these take their ids from, whose length all ids have.
        versions: QUIC versions that are spoken, most preferred first.
        settings: how strangers are met.
        reset_token: finds the stateless reset token of an id that there is no connection for; ``None`` when it has
            none. Without it nothing is reset.
        token_key: secret of 16 to 64 octets for the tokens of Retry packets; random by default.
        admits: says of a host whether another connection from it is welcome, where others than the router count them too.

    Raises:
        ConfigurationError: a version is unknown, or the key's length is out of its range.
    """

    def __init__(
        self,
        factory: HTTPOverQUICServerFactory,
        *,
        connection_id_source: ConnectionIdSource,
        versions: Sequence[int] = (QUIC_VERSION_1, QUIC_VERSION_2),
        settings: QUICRouterSettings | None = None,
        reset_token: Callable[[bytes], bytes | None] | None = None,
        token_key: bytes | None = None,
        admits: Callable[[str], bool] | None = None,
    ) -> None:
        if not versions or not set(versions) <= {QUIC_VERSION_1, QUIC_VERSION_2}:
            raise ConfigurationError("QUICRouter.versions must be of versions 1 and 2")
        if token_key is not None and not 16 <= len(token_key) <= 64:
            raise ConfigurationError("QUICRouter.token_key must be of 16 to 64 octets")
        self._settings = settings = settings or QUICRouterSettings()
        self._factory = factory
        self._source = connection_id_source
        self._id_end = 1 + connection_id_source.length
        self._versions = tuple(versions)
        self._reset_token = reset_token
        self._admits = admits
        self._tokens = AddressTokens(token_key, lifetime_seconds=settings.token_seconds)
        self._negotiation_rate = AnswerRate(settings.negotiations_per_second, settings.negotiations_per_address)
        self._refusal_rate = AnswerRate(settings.refusals_per_second, settings.refusals_per_address)
        self._reset_rate = AnswerRate(settings.resets_per_second, settings.resets_per_address)
        self._by_id: dict[bytes, _Route] = {}
        self._routes: dict[HTTPOverQUICProtocol, _Route] = {}
        self._open = OwnerCounts()
        self._half_open = OwnerCounts()
        self._draining = False
        self._accepted = 0
        self._delivered = 0
        self._retries = 0
        self._negotiations = 0
        self._refusals = 0
        self._resets = 0
        self._drops: dict[DropReason, int] = dict.fromkeys(DropReason, 0)

    # Datagrams

    def datagram_received(self, data: bytes, address: AddressType, now: float) -> RouterAction:
        """Say what is to be done with a datagram.

        Args:
            data: its payload.
            address: where it came from.
            now: the time, of one clock for all calls.

        Source: RFC 9000 §5.2.2, §6.1, §8.1, §14.1.
        """
        if not data:
            return self._drop(DropReason.MALFORMED)
        if data[0] & FORM_BIT:
            return self._long_header_received(data, address, now)
        route = self._by_id.get(data[1 : self._id_end])
        if route is not None:
            self._delivered += 1
            return route.deliver
        return self._stranger_received(data, address, now)

    def _long_header_received(self, data: bytes, address: AddressType, now: float) -> RouterAction:
        header = read_long_header_untrusted(data)
        if header is None:
            return self._drop(DropReason.MALFORMED)
        if not header.version:
            return self._drop(DropReason.VERSION_NEGOTIATION)
        route = self._by_id.get(header.destination_id)
        if header.version not in self._versions:
            if route is not None or len(data) < _SMALLEST_INITIAL_DATAGRAM:
                return self._drop(DropReason.UNKNOWN_VERSION)
            return self._negotiate(header, address, now)
        initial = long_packet_type(data[0], header.version) == INITIAL
        if initial and len(data) < _SMALLEST_INITIAL_DATAGRAM:
            return self._drop(DropReason.SMALL_INITIAL)
        if route is not None:
            self._delivered += 1
            return route.deliver
        if not initial:
            return self._drop(DropReason.UNKNOWN_CONNECTION)
        return self._initial_received(data, header, address, now)

    def _initial_received(self, data: bytes, header: LongHeader, address: AddressType, now: float) -> RouterAction:
        token = read_initial_token_untrusted(data, header)
        if token is None:
            return self._drop(DropReason.MALFORMED)
        if self._draining:
            return self._refuse(DropReason.DRAINING, header, address, now)
        proof = self._tokens.check_untrusted(token, address, header.destination_id, now)
        if proof is TokenFault.INVALID:
            return self._refuse(DropReason.INVALID_TOKEN, header, address, now)
        original_id = None if isinstance(proof, TokenFault) else proof
        if original_id is None and len(header.destination_id) < _SHORTEST_FIRST_ID:
            return self._drop(DropReason.MALFORMED)
        owner = address_owner(address[0])
        settings = self._settings
        if (
            self._open.total >= settings.connections
            or self._open.of(owner) >= settings.connections_per_address
            or (self._admits is not None and not self._admits(address[0]))
        ):
            return self._refuse(DropReason.CONNECTION_LIMIT, header, address, now)
        if self._half_open.total >= settings.half_open or self._half_open.of(owner) >= settings.half_open_per_address:
            return self._drop(DropReason.HALF_OPEN_LIMIT)
        if original_id is None and self._requires_retry(owner):
            return self._retry(header, address, now)
        return self._accept(header.destination_id, original_id, owner)

    def _requires_retry(self, owner: str) -> bool:
        settings = self._settings
        if settings.retry != "auto":
            return settings.retry == "always"
        return (
            self._half_open.total >= settings.retry_half_open
            or self._half_open.of(owner) >= settings.retry_half_open_per_address
        )

    def _accept(self, destination_id: bytes, original_id: bytes | None, owner: str) -> Accept:
        if original_id is None:
            connection = self._factory()
        else:
            connection = self._factory(
                original_destination_connection_id=original_id, retry_source_connection_id=destination_id
            )
        route = self._routes[connection] = _Route(connection, owner)
        # The client sends to the id it chose until it has learnt one of ours, and again when it repeats itself.
        self._add_ids(route, [destination_id, *connection.connection_ids])
        self._open.add(owner)
        self._half_open.add(owner)
        self._accepted += 1
        return Accept(connection, address_validated=original_id is not None)

    # Answers

    def _negotiate(self, header: LongHeader, address: AddressType, now: float) -> RouterAction:
        if self._draining:
            return self._drop(DropReason.DRAINING)
        if not self._negotiation_rate.allows(address[0], now):
            return self._drop(DropReason.NEGOTIATION_LIMIT)
        self._negotiations += 1
        return Reply((version_negotiation_packet(header, self._versions), address))

    def _retry(self, header: LongHeader, address: AddressType, now: float) -> Reply:
        retry_id = self._source.issue().connection_id
        token = self._tokens.issue(address, header.destination_id, retry_id, now)
        self._retries += 1
        return Reply((retry_packet(header, retry_id, token), address))

    def _refuse(self, reason: DropReason, header: LongHeader, address: AddressType, now: float) -> RouterAction:
        """Tell a client at once, as long as there are not too many to tell."""
        drop = self._drop(reason)
        if not self._refusal_rate.allows(address[0], now):
            return drop
        self._refusals += 1
        invalid = reason is DropReason.INVALID_TOKEN
        code = QUICErrorCode.INVALID_TOKEN if invalid else QUICErrorCode.CONNECTION_REFUSED
        return Reply((refusal_packet(header, code), address))

    def _stranger_received(self, data: bytes, address: AddressType, now: float) -> RouterAction:
        if not data[0] & FIXED_BIT or len(data) < self._id_end:
            return self._drop(DropReason.MALFORMED)
        token = None if self._reset_token is None else self._reset_token(data[1 : self._id_end])
        if token is not None:
            packet = stateless_reset_packet(token, len(data))
            if packet is not None and self._reset_rate.allows(address[0], now):
                self._resets += 1
                return Reply((packet, address))
        return self._drop(DropReason.UNKNOWN_CONNECTION)

    def _drop(self, reason: DropReason) -> Drop:
        self._drops[reason] += 1
        return _DROPS[reason]

    # Connections

    def update(self, connection: HTTPOverQUICProtocol) -> None:
        """See what has become of a connection: its ids, its handshake, its end. Harmless for one that is forgotten."""
        route = self._routes.get(connection)
        if route is None:
            return
        if connection.is_closed:
            self.forget(connection)
            return
        issued, retired = connection.take_connection_id_changes()
        if issued:
            self._add_ids(route, issued)
        for connection_id in retired:
            if connection_id in route.ids:
                route.ids.remove(connection_id)
                del self._by_id[connection_id]
        if route.half_open and connection.handshake_complete:
            route.half_open = False
            self._half_open.remove(route.owner)

    def forget(self, connection: HTTPOverQUICProtocol) -> None:
        """Route nothing to a connection any more, which has lost its network by that. Harmless for one that is forgotten."""
        route = self._routes.pop(connection, None)
        if route is None:
            return
        connection.connection_lost()
        for connection_id in route.ids:
            del self._by_id[connection_id]
        self._open.remove(route.owner)
        if route.half_open:
            self._half_open.remove(route.owner)

    def drain(self) -> None:
        """Accept no new connections; those that there are go on."""
        self._draining = True

    def _add_ids(self, route: _Route, connection_ids: Sequence[bytes]) -> None:
        for connection_id in connection_ids:
            # An id that another connection has stays where it is: a client may choose, by chance or not, what is taken.
            if self._by_id.setdefault(connection_id, route) is route:
                route.ids.add(connection_id)

    @property
    def connections(self) -> Sequence[HTTPOverQUICProtocol]:
        """The connections that there are."""
        return tuple(self._routes)

    def statistics(self) -> QUICRouterStatistics:
        """Return what is held, and what was done so far."""
        return QUICRouterStatistics(
            connections=self._open.total,
            half_open=self._half_open.total,
            connection_ids=len(self._by_id),
            accepted=self._accepted,
            delivered=self._delivered,
            retries=self._retries,
            negotiations=self._negotiations,
            refusals=self._refusals,
            resets=self._resets,
            drops=MappingProxyType(dict(self._drops)),
        )


_DROPS: Mapping[DropReason, Drop] = MappingProxyType({reason: Drop(reason) for reason in DropReason})
