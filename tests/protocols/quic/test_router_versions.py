"""Version negotiation: who is answered, with what, and how often."""

from __future__ import annotations

from hface_trio.protocols.quic._router_actions import Accept, Drop, DropReason, Reply
from hface_trio.protocols.quic._router_packets import read_long_header_untrusted

from .routing import CLIENT, NOW, SERVER, VERSION_1, VERSION_2, drops, initial, long_header, make_client, make_router


def test_a_version_that_is_not_spoken_is_negotiated():
    router, _ = make_router()
    reply = router.datagram_received(long_header(0x1A2A3A4A, b"d" * 9, b"s" * 5), CLIENT, NOW)
    data, address = reply.datagram
    assert address == CLIENT
    header = read_long_header_untrusted(data)
    assert (header.version, header.destination_id, header.source_id) == (0, b"s" * 5, b"d" * 9)
    assert data[header.end :] == VERSION_1.to_bytes(4, "big") + VERSION_2.to_bytes(4, "big")
    assert router.statistics().negotiations == 1


def test_a_client_takes_the_negotiation():
    router, _ = make_router(versions=(VERSION_2,))
    client = make_client(VERSION_1)
    reply = router.datagram_received(client.datagrams_to_send(NOW)[0][0], CLIENT, NOW)
    client.receive_datagram(reply.datagram[0], SERVER, NOW)
    action = router.datagram_received(client.datagrams_to_send(NOW)[0][0], CLIENT, NOW)
    assert isinstance(action, Accept)


def test_ids_of_other_versions_may_be_longer():
    router, _ = make_router()
    reply = router.datagram_received(long_header(0x1A2A3A4A, b"d" * 255, b"s" * 255), CLIENT, NOW)
    assert read_long_header_untrusted(reply.datagram[0]).destination_id == b"s" * 255


def test_version_0_is_never_answered():
    router, _ = make_router()
    assert router.datagram_received(long_header(0), CLIENT, NOW) == Drop(DropReason.VERSION_NEGOTIATION)


def test_what_we_answer_with_is_not_answered():
    router, _ = make_router()
    reply = router.datagram_received(long_header(0x1A2A3A4A), CLIENT, NOW)
    assert isinstance(router.datagram_received(reply.datagram[0] + bytes(1200), CLIENT, NOW), Drop)


def test_small_datagrams_are_not_negotiated():
    router, _ = make_router()
    data = long_header(0x1A2A3A4A)[:1199]
    assert router.datagram_received(data, CLIENT, NOW) == Drop(DropReason.UNKNOWN_VERSION)


def test_a_connection_keeps_its_version():
    router, _ = make_router()
    data = initial()
    router.datagram_received(data, CLIENT, NOW)
    destination = read_long_header_untrusted(data).destination_id
    assert router.datagram_received(long_header(0x1A2A3A4A, destination), CLIENT, NOW) == Drop(
        DropReason.UNKNOWN_VERSION
    )


def test_negotiation_is_limited_in_all_and_per_address():
    router, _ = make_router(negotiations_per_second=5, negotiations_per_address=2)
    data = long_header(0x1A2A3A4A)

    def answered(address, now=NOW):
        return isinstance(router.datagram_received(data, address, now), Reply)

    assert [answered(CLIENT) for _ in range(3)] == [True, True, False]
    assert [answered((f"192.0.2.{number}", 1)) for number in range(10, 14)] == [True, True, True, False]
    assert drops(router) == {DropReason.NEGOTIATION_LIMIT: 2}
    assert answered(CLIENT, NOW + 1)
