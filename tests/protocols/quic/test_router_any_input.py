"""Any input: nothing makes a router raise, and all is counted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hface_trio.protocols.quic import IssuedConnectionId, RandomConnectionIdSource
from hface_trio.protocols.quic._router import QUICRouter
from hface_trio.protocols.quic._router_actions import Accept, Reply
from hface_trio.protocols.quic._router_settings import QUICRouterSettings

from .routing import NOW, VERSION_1, VERSION_2, FakeFactory, long_header


class CountingSource(RandomConnectionIdSource):
    """Issues ids that tests can guess."""

    def __init__(self):
        super().__init__(8)
        self.count = 0

    def issue(self):
        self.count += 1
        return IssuedConnectionId(self.count.to_bytes(8, "big"), bytes(16))


ids = st.one_of(st.integers(0, 5).map(lambda number: number.to_bytes(8, "big")), st.binary(max_size=22))

packets = st.one_of(
    st.binary(max_size=64),
    st.builds(
        lambda first, version, destination, source, rest, octets: long_header(
            version, destination, source, first=first, rest=rest
        ).ljust(octets, b"\0"),
        st.integers(0x80, 0xFF),
        st.sampled_from([0, VERSION_1, VERSION_2, 0x1A2A3A4A]),
        ids,
        ids,
        st.binary(max_size=40),
        st.sampled_from([0, 1199, 1200, 1500]),
    ),
    st.builds(lambda connection_id, rest: b"\x40" + connection_id + rest, ids, st.binary(max_size=50)),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(packets, st.sampled_from(["192.0.2.1", "2001:db8::1", "odd"]), st.integers(0, 65_535)), max_size=20
    ),
    st.sampled_from(["auto", "always", "never"]),
)
def test_no_input_makes_it_raise_and_all_is_counted(received, retry):
    source = CountingSource()
    factory = FakeFactory(source)
    options = QUICRouterSettings(retry=retry, retry_half_open=2, half_open=4, connections=5)
    router = QUICRouter(factory, connection_id_source=source, settings=options, reset_token=lambda _: bytes(16))
    replies = 0
    for number, (data, host, port) in enumerate(received):
        action = router.datagram_received(data, (host, port), NOW + number / 10)
        if isinstance(action, Reply):
            replies += 1
            assert len(action.datagram[0]) < max(len(data), 22)
            assert action.datagram[1] == (host, port)
        elif isinstance(action, Accept):
            router.update(action.connection)
    statistics = router.statistics()
    assert statistics.connections == len(factory.made) <= 4
    sent = statistics.retries + statistics.negotiations + statistics.resets + statistics.refusals
    assert replies == sent
    counted = statistics.accepted + statistics.delivered + sum(statistics.drops.values()) + sent - statistics.refusals
    assert counted == len(received)
    for connection in router.connections:
        router.forget(connection)
    assert router.statistics().connection_ids == 0
