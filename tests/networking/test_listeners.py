"""Listeners: accepting goes on, whatever befalls single connections or the process."""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket

import pytest
import trio
import trio.testing

from hface_trio.networking import SocketListener, TLSListener
from hface_trio.networking._tls_context import server_tls_context

from ._pairs import DEADLINE_SECONDS, Outcome


class FailingSocket:
    """A listening socket whose ``accept`` fails as told."""

    def __init__(self, sock: socket.socket, failures: list[OSError]) -> None:
        self._socket = sock
        self._failures = failures

    def __getattr__(self, name: str):
        return getattr(self._socket, name)

    def accept(self):
        if self._failures:
            raise self._failures.pop(0)
        return self._socket.accept()


@pytest.fixture
def sock():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def failure(code: int) -> OSError:
    return OSError(code, os.strerror(code))


async def test_it_accepts_and_knows_the_peer(sock):
    with trio.fail_after(DEADLINE_SECONDS):
        listener = SocketListener(sock)
        with socket.create_connection(listener.address) as client:
            stream = await listener.accept()
            assert stream.extra_attributes.remote_address == client.getsockname()
            assert stream.extra_attributes.local_address == listener.address
            await stream.aclose()
        await listener.aclose()


async def test_a_cancelled_accept_loses_no_connection(sock):
    with trio.fail_after(DEADLINE_SECONDS):
        listener = SocketListener(sock)
        with trio.move_on_after(0.001):
            await listener.accept()
        with socket.create_connection(listener.address):
            with trio.CancelScope() as scope:
                scope.cancel()
                await listener.accept()
            await (await listener.accept()).aclose()
        await listener.aclose()


async def test_closing_wakes_who_accepts(sock):
    with trio.fail_after(DEADLINE_SECONDS):
        listener = SocketListener(sock)
        async with trio.open_nursery() as nursery:
            outcome = Outcome()
            nursery.start_soon(outcome.run, listener.accept)
            await trio.testing.wait_all_tasks_blocked()
            await listener.aclose()
        assert isinstance(outcome.exception, trio.ClosedResourceError)


async def test_a_closed_listener_accepts_nothing(sock):
    listener = SocketListener(sock)
    address = listener.address
    await listener.aclose()
    await listener.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert listener.address == address


async def test_two_who_accept_are_one_too_many(sock):
    listener = SocketListener(sock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.accept)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await listener.accept()
        nursery.cancel_scope.cancel()
    await listener.aclose()


@pytest.mark.parametrize("code", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH])
async def test_a_connection_that_is_lost_before_it_is_accepted_is_passed_over(code, sock):
    with trio.fail_after(DEADLINE_SECONDS):
        listener = SocketListener(FailingSocket(sock, [failure(code)]))
        with socket.create_connection(listener.address):
            await (await listener.accept()).aclose()
        await listener.aclose()


async def test_readiness_for_nothing_is_passed_over(sock):
    with trio.fail_after(DEADLINE_SECONDS):
        listener = SocketListener(FailingSocket(sock, [BlockingIOError()]))
        with socket.create_connection(listener.address):
            await (await listener.accept()).aclose()
        await listener.aclose()


async def test_an_error_that_will_not_pass_is_raised(sock):
    with trio.fail_after(DEADLINE_SECONDS):
        listener = SocketListener(FailingSocket(sock, [failure(errno.EINVAL)]))
        with socket.create_connection(listener.address), pytest.raises(OSError, match="Invalid argument"):
            await listener.accept()
        await listener.aclose()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_a_lack_of_resources_is_waited_out_and_logged_once_an_episode(code, sock, caplog):
    with trio.fail_after(DEADLINE_SECONDS):
        failures = [failure(code) for _ in range(3)]
        listener = SocketListener(FailingSocket(sock, failures))
        for _ in range(2):
            started = trio.current_time()
            with socket.create_connection(listener.address):
                await (await listener.accept()).aclose()
            assert trio.current_time() - started >= 0.2
            failures.extend(failure(code) for _ in range(2))
        await listener.aclose()
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("hface_trio.networking", logging.ERROR)
    ] * 2
    assert os.strerror(code) in caplog.records[0].getMessage()


async def test_a_process_without_descriptors_accepts_when_it_has_some_again(sock, caplog):
    with trio.fail_after(DEADLINE_SECONDS):
        listener = SocketListener(sock)
        client = socket.create_connection(listener.address)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        async with trio.open_nursery() as nursery:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
            try:
                accepted = []

                async def accept() -> None:
                    accepted.append(await listener.accept())

                nursery.start_soon(accept)
                await trio.sleep(0.05)
                assert not accepted
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await accepted[0].aclose()
        client.close()
        await listener.aclose()
    assert len(caplog.records) == 1


async def test_tls_is_put_on_what_is_accepted(sock, authority):
    with trio.fail_after(DEADLINE_SECONDS):
        listener = TLSListener(SocketListener(sock), server_tls_context(authority.server_config(), []))
        assert listener.address == sock.getsockname()
        with socket.create_connection(listener.address):
            stream = await listener.accept()
            with pytest.raises(RuntimeError, match="handshake"):
                await stream.receive_some()
            await stream.aclose()
        await listener.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await listener.accept()


async def test_what_waits_is_accepted_without_waiting(sock: socket.socket) -> None:
    async with SocketListener(sock) as listener:
        assert listener.accept_nowait() is None
        with trio.fail_after(5):
            clients = [await trio.open_tcp_stream("127.0.0.1", listener.address[1]) for _ in range(3)]
            first = await listener.accept()
            others = [listener.accept_nowait() for _ in range(3)]
        accepted = [first, *(stream for stream in others if stream is not None)]
        assert len(accepted) == 3
        ports = {client.socket.getsockname()[1] for client in clients}
        assert {stream.extra_attributes.remote_address[1] for stream in accepted} == ports
        for stream in [*accepted, *clients]:
            await stream.aclose()
    assert listener.accept_nowait() is None
