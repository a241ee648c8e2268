"""The adapter: what it makes of streams that can do less."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio.networking import ExtraAttributes, StreamAdapter

from ._pairs import Outcome

# Without a deadline, a test in virtual time in which everybody waits would wait for ever.
pytestmark = pytest.mark.timeout(20, method="signal")


class PlainStream(trio.abc.Stream):
    """Neither half-closeable nor closeable without waiting; its sends wait until they are let through."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.gate = trio.Event()
        self.closed = False
        self.closed_forcefully = False

    async def receive_some(self, max_bytes=None):
        await trio.sleep_forever()

    async def send_all(self, data):
        await self.gate.wait()
        self.sent.append(bytes(data))

    async def wait_send_all_might_not_block(self):
        await trio.lowlevel.checkpoint()

    async def aclose(self):
        self.closed = True
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            self.closed_forcefully = True
            raise


@pytest.fixture
def stream(virtual_time) -> PlainStream:
    return PlainStream()


async def test_it_is_known_what_was_told(stream):
    attributes = ExtraAttributes(local_address=("here", 1))
    assert StreamAdapter(stream, extra_attributes=attributes).extra_attributes is attributes
    assert StreamAdapter(stream).extra_attributes == ExtraAttributes()


async def test_data_wait_here_within_bounds_until_they_are_flushed(stream):
    adapter = StreamAdapter(stream)
    assert adapter.send_nowait([bytes(40_000), bytes(40_000)]) == 65536
    assert adapter.send_nowait([b"x"]) == 0
    assert adapter.unsent_octets == 65536
    assert stream.sent == []
    stream.gate.set()
    await adapter.flush()
    assert stream.sent == [bytes(65536)]
    assert adapter.unsent_octets == 0


async def test_what_waits_goes_first(stream):
    stream.gate.set()
    adapter = StreamAdapter(stream)
    adapter.send_nowait([b"first"])
    await adapter.send_all(b"second")
    assert stream.sent == [b"first", b"second"]


async def test_waiting_for_writability_sends_what_waits(stream):
    stream.gate.set()
    adapter = StreamAdapter(stream)
    adapter.send_nowait([b"first"])
    await adapter.wait_writable()
    assert stream.sent == [b"first"]


async def test_a_cancelled_send_ends_the_output(stream, virtual_time):
    adapter = StreamAdapter(stream)
    with trio.move_on_after(1) as scope:
        await adapter.send_all(b"x")
    assert scope.cancelled_caught
    with pytest.raises(trio.BrokenResourceError, match="an earlier send failed or was cancelled"):
        await adapter.send_all(b"y")


async def test_a_send_that_was_cancelled_before_it_began_ends_nothing(stream):
    adapter = StreamAdapter(stream)
    with trio.CancelScope() as scope:
        scope.cancel()
        await adapter.send_all(b"x")
    assert scope.cancelled_caught
    stream.gate.set()
    await adapter.send_all(b"y")
    assert stream.sent == [b"y"]


async def test_the_end_of_a_stream_that_has_none_is_kept_here(stream):
    stream.gate.set()
    adapter = StreamAdapter(stream)
    adapter.send_nowait([b"last"])
    await adapter.send_eof()
    await adapter.send_eof()
    assert stream.sent == [b"last"]
    assert not stream.closed
    with pytest.raises(trio.ClosedResourceError):
        await adapter.send_all(b"x")


async def test_the_end_of_a_stream_that_has_one_is_passed_on(virtual_time):
    near, far = trio.testing.memory_stream_pair()
    adapter = StreamAdapter(near)
    adapter.send_nowait([b"last"])
    await adapter.send_eof()
    assert await far.receive_some() == b"last"
    assert await far.receive_some() == b""
    await far.send_all(b"answer")
    assert await adapter.receive_some() == b"answer"


async def test_an_abort_fails_all_calls_at_once_and_the_close_closes(stream):
    adapter = StreamAdapter(stream)
    async with trio.open_nursery() as nursery:
        outcomes = Outcome(), Outcome()
        nursery.start_soon(outcomes[0].run, adapter.receive_some)
        nursery.start_soon(outcomes[1].run, adapter.send_all, b"x")
        await trio.testing.wait_all_tasks_blocked()
        adapter.abort()
    for outcome in outcomes:
        assert isinstance(outcome.exception, trio.ClosedResourceError)
    assert not stream.closed
    await adapter.aclose()
    assert stream.closed_forcefully


async def test_an_abort_closes_what_closes_without_waiting(virtual_time):
    near, far = trio.testing.memory_stream_pair()
    StreamAdapter(near).abort()
    with pytest.raises(trio.BrokenResourceError):
        await far.send_all(b"x")
    assert await far.receive_some() == b""


async def test_a_close_sends_what_waits(stream, virtual_time):
    stream.gate.set()
    adapter = StreamAdapter(stream)
    adapter.send_nowait([b"last words"])
    await adapter.aclose()
    assert stream.sent == [b"last words"]
    assert not stream.closed_forcefully


async def test_a_close_that_the_peer_holds_up_can_be_cancelled(stream, virtual_time):
    adapter = StreamAdapter(stream)
    adapter.send_nowait([b"last words"])
    with trio.move_on_after(1) as scope:
        await adapter.aclose()
    assert scope.cancelled_caught
    assert stream.closed_forcefully


async def test_more_can_be_taken_while_a_flush_waits(stream, virtual_time):
    adapter = StreamAdapter(stream)
    adapter.send_nowait([b"first"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(adapter.flush)
        await trio.testing.wait_all_tasks_blocked()
        assert adapter.send_nowait([b"second"]) == 6
        with pytest.raises(trio.BusyResourceError):
            await adapter.send_all(b"third")
        stream.gate.set()
    assert stream.sent == [b"first", b"second"]


async def test_a_close_closes(stream):
    await StreamAdapter(stream).aclose()
    assert stream.closed
    assert not stream.closed_forcefully


async def test_departures_are_not_told(virtual_time):
    near, far = trio.testing.memory_stream_pair()
    adapter = StreamAdapter(near)
    called = []
    adapter.watch_departure(lambda: called.append(1))
    await far.aclose()
    await trio.sleep(10)
    adapter.unwatch_departure()
    assert not called


async def test_bytearrays_become_bytes(virtual_time):
    near, far = trio.testing.memory_stream_pair()
    await far.send_all(b"abc")
    data = await StreamAdapter(near).receive_some()
    assert type(data) is bytes
