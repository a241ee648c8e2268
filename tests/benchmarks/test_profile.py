"""The profile of a request names the part of the program that a sample belongs to."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
from _profile import _PARTS, shares

from hface_trio.networking import SocketByteStream, UDPSocket, _socket_watch
from hface_trio.networking._delivery import SocketDelivery

_RUN = "run (trio/_core/_run.py:2500)"


def test_each_stack_counts_for_the_part_of_its_innermost_function() -> None:
    found = shares(
        [
            f"<module> (_programs.py:9);{_RUN};unrolled_run (trio/_core/_run.py:2800) 10",
            f"{_RUN};SerialDriver.pump (hface_trio/connections/_serial_input.py:113) 20",
            f"{_RUN};SerialDriver.pump (hface_trio/connections/_serial_input.py:113);find (hface_trio/protocols/http1/_recent.py:9) 30",
            f"{_RUN};SocketByteStream.send_nowait (hface_trio/networking/_socket.py:115) 15",
            f"{_RUN};EpollIOManager.get_events (trio/_core/_io_epoll.py:243) 5",
            f"{_RUN};handler (_application.py:78) 20",
        ]
    )
    assert found == {"system": 0.2, "loop": 0.1, "server": 0.2, "protocol": 0.3, "application": 0.2}


@pytest.mark.parametrize(
    "function",
    [
        SocketByteStream.send_nowait,
        SocketByteStream.receive_some,
        SocketDelivery._receive,
        _socket_watch._Registry.fire,
        UDPSocket.send_nowait,
    ],
)
def test_where_the_product_calls_the_system_is_known(function: Callable[..., object]) -> None:
    path = inspect.getsourcefile(function)
    assert path is not None
    file = path[path.rindex("hface_trio") :]
    assert shares([f"{function.__qualname__} ({file}:1) 1"]) == {**dict.fromkeys(_PARTS, 0.0), "system": 1.0}


def test_a_function_of_no_known_file_counts_for_its_caller() -> None:
    found = shares(["parse (h11/_connection.py:3);sub (re/__init__.py:1) 1"])
    assert found["protocol"] == 1


def test_no_samples_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="nothing"):
        shares([""])
