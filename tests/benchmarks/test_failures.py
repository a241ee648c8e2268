"""Servers that hang, end or answer wrongly: the run goes on, and remembers it of this package's own."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Iterator

import _attacks
import _cancel
import _crosstalk
import _drain
import _requests
import _servers
import _wire
import pytest
import trio
import trio.testing
from _client_http1 import HTTP1Client
from _clients import read_report
from _figures import Measurement
from _gates import Gate, judge
from _load import Load
from _servers import ServerProcess, running_server
from _setting import Setting
from _wire import Target, Wire, connecting, fetch

from hface_trio.testing import Authority


@pytest.fixture
def setting(authority: Authority) -> Setting:
    certificate = authority.issue("localhost", "127.0.0.1")
    return Setting(certificate, authority.cafile, None, None, 2, 0.1, quick=True, http_versions=["1.1"])


class HangingWire(Wire):
    """Sends nothing and receives nothing."""

    async def _read(self) -> None:
        await trio.sleep_forever()

    async def _send(self, output: list[bytes]) -> None:
        await trio.sleep_forever()

    def _sent(self) -> None:
        pass

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_a_request_that_is_never_answered_fails(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(RuntimeError, match="no answer within"):
        await fetch(HangingWire(HTTP1Client("localhost", "http")))


async def test_a_connection_that_is_never_made_fails(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(_: Target) -> Wire:
        await trio.sleep_forever()

    monkeypatch.setattr(Target, "connect", connect)
    with pytest.raises(OSError, match="no connection within"):
        async with connecting(Target(("127.0.0.1", 1), "1.1", "")):
            pass


@pytest.fixture
def hanging_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every server hang as soon as it has shown that it answers; nobody waits for it as long as for others."""
    serves = Setting.serves

    def serve_and_stop(self: Setting, server: ServerProcess, http_version: str) -> bool:
        monkeypatch.setattr(_wire, "_CONNECT_SECONDS", 5.0)
        served = serves(self, server, http_version)
        os.kill(server.pid, signal.SIGSTOP)
        monkeypatch.setattr(_wire, "_CONNECT_SECONDS", 0.3)
        return served

    monkeypatch.setattr(Setting, "serves", serve_and_stop)
    monkeypatch.setattr(_servers, "_EXIT_SECONDS", 0.1)
    monkeypatch.setattr(_wire, "_ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(_drain, "_EXIT_SECONDS", 0.3)
    monkeypatch.setattr(_attacks, "attack_names", lambda _: ["Endless head"])


async def fail_in_a_task() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)


async def fail() -> None:
    raise ConnectionResetError


def test_what_fails_in_a_task_of_a_connection_fails_for_its_server(setting: Setting) -> None:
    with running_server("hface-trio", None, None) as server, setting.watching(server, "1.1"):
        trio.run(fail_in_a_task)
    assert len(setting.failures) == 1


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("measure", "http_version"),
    [
        (_crosstalk.measure_crosstalk, "1.1"),
        (_crosstalk.measure_crosstalk, "3"),
        (_cancel.measure_cancel, "1.1"),
        (_cancel.measure_cancel, "3"),
        (_attacks.measure_attacks, "1.1"),
        (_attacks.measure_attacks, "3"),
        (_drain.measure_drain, "1.1"),
    ],
)
def test_a_server_that_hangs_ends_no_run(
    setting: Setting,
    hanging_servers: None,
    measure: Callable[[Setting], Iterator[Measurement]],
    http_version: str,
) -> None:
    (measurement,) = measure(dataclasses.replace(setting, http_versions=[http_version]))
    assert measurement.rounds == {}
    assert setting.failures


def end(server: ServerProcess) -> None:
    """Kill a server; whoever started it has not waited for it then."""
    os.kill(server.pid, signal.SIGKILL)
    while server.read_line(5):
        pass


@pytest.mark.parametrize("ask", [ServerProcess.resident_octets, ServerProcess.peak_octets])
def test_a_server_that_has_ended_has_no_memory(ask: Callable[[ServerProcess], int]) -> None:
    with running_server("bare-trio", None, None) as server:
        assert ask(server) > 0
        end(server)
        with pytest.raises(RuntimeError, match="has ended"):
            ask(server)


@pytest.mark.parametrize(("name", "failures"), [("hypercorn", 0), ("hface-trio", 1)], ids=["a peer", "ours"])
def test_servers_that_an_attack_ends_fail_for_themselves(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, name: str, failures: int
) -> None:
    servers: list[ServerProcess] = []
    serves = Setting.serves

    def remember(self: Setting, server: ServerProcess, http_version: str) -> bool:
        servers.append(server)
        return serves(self, server, http_version)

    @contextlib.contextmanager
    def attacking(*_: object) -> Iterator[None]:
        end(servers[-1])
        yield

    monkeypatch.setattr(Setting, "serves", remember)
    monkeypatch.setattr(_attacks, "attacking", attacking)
    monkeypatch.setattr(_attacks, "attack_names", lambda _: ["Endless head"])
    monkeypatch.setattr(_attacks, "_ESSENTIAL", (name,))
    (measurement,) = _attacks.measure_attacks(setting)
    assert len(servers) == 1
    assert measurement.rounds == {}
    assert len(setting.failures) == failures


def test_a_round_that_fails_leaves_those_after_it_beside_each_other(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def load(server: ServerProcess, *_: object) -> Load:
        calls.append(server.name)
        fails = calls.count(server.name) == 2 and server.name == "hface-trio"  # the first one is to warm up
        return Load(100, int(fails), 0.1, (0.0, 0.0, 0.0))

    scenario = dataclasses.replace(_requests._SCENARIOS["1.1"], generator=load)
    monkeypatch.setattr(_requests, "_FLOOR_LOAD", scenario)
    monkeypatch.setitem(_requests._SCENARIOS, "1.1", scenario)
    (measurement,) = _requests.measure_requests(setting)
    assert [bool(sample) for sample in measurement.rounds["bare-trio"]] == [True, True]
    assert [bool(sample) for sample in measurement.rounds["hface-trio"]] == [False, True]
    assert len(setting.failures) == 1
    (verdict,) = judge(
        [Gate("requests-1.1", "hface-trio", "processor_us", 1e9, "bare-trio")], {"requests-1.1": measurement}, {}
    )
    assert not verdict.kept


@pytest.mark.parametrize(
    "output",
    [
        "",
        "a warning",
        "[]",
        "{}",
        '{"requests": 1, "seconds": 1, "processor_seconds": 1}',
        '{"requests": 0, "seconds": 1, "processor_seconds": 1, "latencies": []}',
        '{"requests": 1, "seconds": 0, "processor_seconds": 1, "latencies": [1]}',
        '{"requests": 1, "seconds": 1, "processor_seconds": NaN, "latencies": [1]}',
    ],
)
def test_what_is_no_report_of_a_client_fails_for_this_client(output: str) -> None:
    with pytest.raises(RuntimeError, match="client"):
        read_report(output)


def test_what_a_client_prints_before_its_report_does_not_matter() -> None:
    report = read_report('a warning\n{"requests": 1, "seconds": 2, "processor_seconds": 1.5, "latencies": [0.1]}\n')
    assert (report.requests, report.processor_seconds) == (1, 1.5)
