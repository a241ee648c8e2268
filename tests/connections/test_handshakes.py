"""Who may make a handshake when many want to: owners of addresses take turns, and peers that stall give way."""

from __future__ import annotations

import contextlib
import itertools
from random import Random

import pytest
import trio
import trio.testing

from hface_trio.connections._handshakes import Handshakes

Clock = trio.testing.MockClock
NEVER = 3600.0

pytestmark = pytest.mark.timeout(30, method="signal")


class Peer:
    """Stands for a stream whose handshake takes a step more than its peer takes time for, each time."""

    def __init__(self, *waits_seconds: float, step_seconds: float = 0.0) -> None:
        self._waits = iter(waits_seconds)
        self._answers_at = 0.0
        self._step_seconds = step_seconds
        self.made: bool | None = None
        self.ended_at: float | None = None

    async def step_handshake(self) -> bool:
        await trio.sleep(self._step_seconds)
        wait = next(self._waits, None)
        self._answers_at = trio.current_time() + (wait or 0)
        return wait is None

    async def wait_handshake_peer(self) -> None:
        await trio.sleep_until(self._answers_at)

    async def shake_hands(self, handshakes: Handshakes, host: str) -> None:
        try:
            self.made = await handshakes.shake_hands(self, host)  # type: ignore[arg-type]
        finally:
            self.ended_at = trio.current_time()


async def start(nursery: trio.Nursery, handshakes: Handshakes, host: str, *peers: Peer) -> None:
    for peer in peers:
        nursery.start_soon(peer.shake_hands, handshakes, host)
        await trio.sleep(0.001)  # one after the other


def is_as_new(handshakes: Handshakes) -> bool:
    fresh = Handshakes(handshakes._limit)
    names = ("_under_way", "_by_owner", "_queues", "_stalled")
    return all(getattr(handshakes, name) == getattr(fresh, name) for name in names)


async def test_peers_that_stall_may_while_there_is_room(autojump_clock: Clock) -> None:
    handshakes, peers = Handshakes(10), [Peer(100) for _ in range(10)]
    async with trio.open_nursery() as nursery:
        await start(nursery, handshakes, "a", *peers)
    assert [peer.made for peer in peers] == [True] * 10
    assert is_as_new(handshakes)


async def test_a_peer_that_stalls_gives_way_at_once(autojump_clock: Clock) -> None:
    handshakes, stalled, newcomer = Handshakes(2), [Peer(NEVER), Peer(NEVER)], Peer(0.1)
    async with trio.open_nursery() as nursery:
        await start(nursery, handshakes, "a", *stalled)
        await trio.sleep(3.1)
        began = trio.current_time()
        await start(nursery, handshakes, "b", newcomer)
        await trio.sleep(0.2)
        assert newcomer.made is True
        assert newcomer.ended_at == pytest.approx(began + 0.1, abs=0.01)
        assert stalled[0].made is False  # the elder
        assert stalled[1].made is None
        nursery.cancel_scope.cancel()
    assert is_as_new(handshakes)


@pytest.mark.parametrize("waits", [(NEVER,), (0.25,) * 10_000], ids=["silent", "trickling"])
async def test_newcomers_wait_three_seconds_for_peers_that_stall(
    waits: tuple[float, ...], autojump_clock: Clock
) -> None:
    handshakes, newcomer = Handshakes(2), Peer()
    async with trio.open_nursery() as nursery:
        await start(nursery, handshakes, "a", Peer(*waits), Peer(*waits))
        began = trio.current_time()
        await start(nursery, handshakes, "b", newcomer)
        await trio.sleep(4)
        assert newcomer.made is True
        assert newcomer.ended_at == pytest.approx(began + 3, abs=0.01)
        nursery.cancel_scope.cancel()


async def test_patience_that_ends_with_an_octet_has_ended(autojump_clock: Clock) -> None:
    handshakes, trickling, newcomer = Handshakes(1), Peer(*[1.0] * 3, NEVER), Peer()

    async with trio.open_nursery() as nursery:
        await start(nursery, handshakes, "a", trickling)
        await trio.sleep(10)
        began = trio.current_time()
        await start(nursery, handshakes, "b", newcomer)
        assert newcomer.made is True
        assert newcomer.ended_at == pytest.approx(began, abs=0.01)
        nursery.cancel_scope.cancel()


async def test_octets_that_come_while_the_server_is_at_work_cost_patience(autojump_clock: Clock) -> None:
    """Thirty of them: peers that send one after the other are never waited for, and never done."""
    handshakes, newcomer = Handshakes(5), Peer()
    async with trio.open_nursery() as nursery:
        await start(nursery, handshakes, "a", *[Peer(*[0.0] * 10_000, step_seconds=0.05) for _ in range(5)])
        began = trio.current_time()
        await start(nursery, handshakes, "b", newcomer)
        await trio.sleep(5)
        assert newcomer.made is True
        assert newcomer.ended_at == pytest.approx(began + 30 * 0.05, abs=0.1)
        nursery.cancel_scope.cancel()


async def test_no_handshake_is_cut_off_in_the_middle_of_a_step(autojump_clock: Clock) -> None:
    handshakes, slow, newcomer = Handshakes(1), Peer(3.5, step_seconds=0.5), Peer()
    async with trio.open_nursery() as nursery:
        await start(nursery, handshakes, "a", slow)
        await trio.sleep(4.2)  # it has answered
        await start(nursery, handshakes, "b", newcomer)
    assert (slow.made, newcomer.made) == (True, True)
    assert is_as_new(handshakes)


async def test_none_is_cut_off_for_who_has_gone(autojump_clock: Clock) -> None:
    handshakes, stalling, gone = Handshakes(1), Peer(3.5), Peer()
    async with trio.open_nursery() as nursery:
        await start(nursery, handshakes, "a", stalling)
        with trio.move_on_after(1):
            await gone.shake_hands(handshakes, "b")
    assert (stalling.made, gone.made) == (True, None)
    assert is_as_new(handshakes)


async def test_whoever_has_most_places_loses_one_first(autojump_clock: Clock) -> None:
    handshakes, few, many = Handshakes(4), Peer(NEVER), [Peer(NEVER) for _ in range(3)]
    async with trio.open_nursery() as nursery:
        await start(nursery, handshakes, "few", few)
        await start(nursery, handshakes, "many", *many)
        await trio.sleep(4)
        await start(nursery, handshakes, "new", Peer(), Peer())
        assert few.made is None
        assert [peer.made for peer in many] == [False, None, None]
        await start(nursery, handshakes, "new", Peer(NEVER), Peer(NEVER))
        assert few.made is None
        assert [peer.made for peer in many] == [False, False, None]
        nursery.cancel_scope.cancel()


async def test_owners_take_turns(autojump_clock: Clock) -> None:
    handshakes, order = Handshakes(1), list[str]()

    class Noting(Peer):
        async def shake_hands(self, handshakes: Handshakes, host: str) -> None:
            await super().shake_hands(handshakes, host)
            order.append(host)

    async with trio.open_nursery() as nursery:
        await start(nursery, handshakes, "2001:db8::1", Noting(0.1))
        await start(nursery, handshakes, "2001:db8::2", *[Noting(0.1) for _ in range(5)])  # of the same owner
        await start(nursery, handshakes, "192.0.2.1", Noting(0.1), Noting(0.1))
        await start(nursery, handshakes, "192.0.2.2", Noting(0.1))
    assert (
        order
        == ["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "2001:db8::2", "192.0.2.1"] + ["2001:db8::2"] * 3
    )
    assert is_as_new(handshakes)


async def test_no_prompt_peer_is_cut_off_by_a_storm(autojump_clock: Clock) -> None:
    """However long the server takes: steps of half a second, and peers that take 2.8 s in all, from one address."""
    handshakes, peers = Handshakes(100), [Peer(1.4, 1.4, step_seconds=0.5) for _ in range(1000)]
    async with trio.open_nursery() as nursery:
        for peer in peers:
            nursery.start_soon(peer.shake_hands, handshakes, "a")
    assert all(peer.made for peer in peers)
    assert is_as_new(handshakes)


async def test_those_that_stall_are_cut_off_when_the_server_shuts_down(autojump_clock: Clock) -> None:
    handshakes, prompt, stalled, soon = Handshakes(3), Peer(0.5), Peer(NEVER), Peer(NEVER)
    waiting = [Peer(NEVER) for _ in range(20)]
    async with trio.open_nursery() as nursery:
        await start(nursery, handshakes, "a", stalled)
        await trio.sleep(3.1)
        await start(nursery, handshakes, "a", prompt, soon)
        for peer in waiting:
            nursery.start_soon(peer.shake_hands, handshakes, "b")
        began = trio.current_time()
        handshakes.cut_off_stalled()
        await trio.sleep(0.1)
        assert (stalled.made, prompt.made, soon.made) == (False, None, None)
    assert (prompt.made, soon.made) == (True, False)
    assert [peer.made for peer in waiting] == [False] * 20
    assert trio.current_time() == pytest.approx(began + 3, abs=0.01)
    assert handshakes._under_way == 0


@pytest.mark.parametrize("in_the_same_pass", [False, True])
async def test_a_place_does_not_go_to_who_stopped_waiting_for_it(in_the_same_pass: bool, autojump_clock: Clock) -> None:
    handshakes, holder, waiter, behind = Handshakes(1), Peer(NEVER), Peer(), Peer()
    holding, waiting = trio.CancelScope(), trio.CancelScope()

    async def shake_hands(peer: Peer, host: str, scope: trio.CancelScope) -> None:
        with scope:
            await peer.shake_hands(handshakes, host)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shake_hands, holder, "a", holding)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(shake_hands, waiter, "b", waiting)
        await trio.testing.wait_all_tasks_blocked()
        await start(nursery, handshakes, "c", behind)
        waiting.cancel()
        if not in_the_same_pass:
            await trio.testing.wait_all_tasks_blocked()
        holding.cancel()
    assert (holder.made, waiter.made, behind.made) == (None, None, True)
    assert is_as_new(handshakes)


@pytest.mark.parametrize("seed", range(40))
async def test_no_place_is_lost_or_given_twice(seed: int, autojump_clock: Clock) -> None:
    """Whatever comes at once: arrivals, ends, stalls, cancellations, failures."""
    random = Random(seed)
    limit = random.randint(1, 5)
    handshakes = Handshakes(limit)
    working = itertools.count()

    class Wild(Peer):
        async def step_handshake(self) -> bool:
            assert 1 <= handshakes._under_way <= limit
            assert handshakes._under_way == sum(handshakes._by_owner.values())
            next(working)
            if random.random() < 0.1:
                raise trio.BrokenResourceError
            return await super().step_handshake()

    async def arrive() -> None:
        await trio.sleep(random.randint(0, 20) / 10)
        peer = Wild(*random.choices([0, 0.1, 0.5, 1, 3, 5], k=random.randint(0, 3)))
        with trio.move_on_after(random.choice([0, 0.1, 0.5, 1, 4, 10])):
            with contextlib.suppress(trio.BrokenResourceError):
                await peer.shake_hands(handshakes, random.choice("abc"))

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(arrive)
    assert next(working) > 10
    assert is_as_new(handshakes)
