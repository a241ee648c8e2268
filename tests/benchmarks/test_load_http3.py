"""The HTTP/3 load and the soak, against a server of this package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from _load_http3 import HTTP3Job, HTTP3Load, HTTP3Report
from _servers import ServerProcess, running_server
from soak import ALLOWED_OBJECTS, ALLOWED_OCTETS, Memory, judge

from hface_trio.testing import Authority


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[ServerProcess]:
    with running_server("hface-trio", None, authority.issue("localhost", "127.0.0.1")) as server:
        yield server


def test_the_load_makes_the_requests_it_was_told_to(server: ServerProcess, authority: Authority) -> None:
    report = HTTP3Load(HTTP3Job(*server.address, authority.cafile, connections=2, streams=8, requests=300)).run()
    assert (report.requests, report.failures, report.connections) == (300, 0, 2)
    assert len(report.latencies) == 300


def test_the_load_ends_in_time(server: ServerProcess, authority: Authority) -> None:
    report = HTTP3Load(HTTP3Job(*server.address, authority.cafile, streams=2, seconds=0.2)).run()
    assert report.requests > 0
    assert report.seconds < 5


def test_large_bodies_arrive_whole(server: ServerProcess, authority: Authority) -> None:
    down = HTTP3Job(*server.address, authority.cafile, path="/download/1000000", requests=1)
    assert HTTP3Load(down).run().octets == 1_000_000
    up = HTTP3Job(*server.address, authority.cafile, path="/upload", requests=1, upload_octets=1_000_000)
    assert HTTP3Load(up).run().last_body == "1000000"


def test_an_answer_other_than_200_is_a_failure(server: ServerProcess, authority: Authority) -> None:
    report = HTTP3Load(HTTP3Job(*server.address, authority.cafile, path="/nowhere", requests=1)).run()
    assert (report.requests, report.failures) == (0, 1)


FLAT = [Memory(number, 1000, 10_000_000) for number in range(8)]
GROWN_OBJECTS = [*FLAT, *[Memory(8, 1001 + ALLOWED_OBJECTS, 10_000_000)] * 5]
GROWN_OCTETS = [*FLAT, *[Memory(8, 1000, 10_000_001 + ALLOWED_OCTETS)] * 5]


@pytest.mark.parametrize(
    ("report", "samples", "faults"),
    [
        (HTTP3Report(requests=10), FLAT, 0),
        (HTTP3Report(requests=9, failures=1), FLAT, 1),
        (HTTP3Report(requests=10), GROWN_OBJECTS, 1),
        (HTTP3Report(requests=10), GROWN_OCTETS, 1),
        (HTTP3Report(requests=10), FLAT[:1], 1),
    ],
    ids=["flat", "a failed request", "objects", "octets", "not looked at"],
)
def test_the_soak_finds_what_fails_and_what_grows(report: HTTP3Report, samples: list[Memory], faults: int) -> None:
    assert len(judge(10, report, samples)) == faults
