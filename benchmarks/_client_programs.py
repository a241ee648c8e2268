"""The clients that are measured: ``python benchmarks/_client_programs.py NAME JOB`` is one, and prints its report as JSON.

Each keeps a number of small GETs under way, every one by a task of its own that makes the next when it has the whole answer:
first for a while that does not count, then for the time of the job. Clients have their defaults, but look neither at the
environment nor at files of the user's.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import ssl
import sys
import time
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from _application import BODY
from _programs import PROGRAMS, Program

__all__ = ["CLIENTS", "SUBJECTS", "ClientJob", "ClientReport"]

_WARM_UP_SECONDS = 0.3
_READ_OCTETS = 65536
_OK = 200


@dataclasses.dataclass(frozen=True)
class ClientJob:
    """What a client is to do.

    Args:
        url: what is asked for.
        http_version: the version to speak, and no other.
        cafile: what the server's certificate is held against.
        tasks: requests under way at once.
        seconds: how long that counts.
    """

    url: str
    http_version: str
    cafile: str
    tasks: int
    seconds: float


@dataclasses.dataclass
class ClientReport:
    """What came of it.

    Args:
        requests: completed.
        seconds: from the first to the last.
        processor_seconds: of the process meanwhile, user and system.
        latencies: of all requests, in seconds.
    """

    requests: int
    seconds: float
    processor_seconds: float
    latencies: list[float]


_Fetch: TypeAlias = Callable[[], Awaitable[None]]

CLIENTS = {
    "hface-trio": Program("hface_trio", "ours", "_client_programs:load_with_hface"),
    "hface-trio-httptools": Program(
        "hface_trio, httptools",
        "ours",
        "_client_programs:load_with_hface_httptools",
        ("httptools",),
        engine="httptools",
    ),
    "httpx": Program("httpx, trio", "peer", "_client_programs:load_with_httpx", ("httpx", "h2")),
    "niquests": Program("niquests, asyncio", "peer", "_client_programs:load_with_niquests", ("niquests",)),
    "bare-trio": Program("bare trio", "floor", "_client_programs:load_with_trio"),
}
"""By name."""

SUBJECTS = CLIENTS | PROGRAMS
"""Clients and servers, by the name of their row; of one name there is one label."""


def load_with_trio(job: ClientJob) -> ClientReport:
    """Send the same octets and receive, looking at no more than the end: what no client on trio can go below."""
    import trio  # noqa: PLC0415  # each client imports its own

    parts = urllib.parse.urlsplit(job.url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    idle: list[trio.socket.SocketType] = []

    async def fetch() -> None:
        if idle:
            connection = idle.pop()
        else:
            connection = trio.socket.socket()
            await connection.connect((parts.hostname, parts.port))
        await connection.send(request)
        received = b""
        while not received.endswith(BODY):
            data = await connection.recv(_READ_OCTETS)
            if not data:
                raise RuntimeError("the server closed the connection")
            received += data
        idle.append(connection)

    async def main() -> ClientReport:
        return await _load_on_trio(job, fetch)

    return trio.run(main)


def load_with_hface(job: ClientJob) -> ClientReport:
    """Use this package's client."""
    return _load_with_hface(job, "h11")


def load_with_hface_httptools(job: ClientJob) -> ClientReport:
    """Use this package's client with httptools."""
    return _load_with_hface(job, "httptools")


def _load_with_hface(job: ClientJob, http1_engine: str) -> ClientReport:
    import trio  # noqa: PLC0415

    import hface_trio  # noqa: PLC0415

    async def main() -> ClientReport:
        tls = hface_trio.ClientTLSConfig(cafile=job.cafile)
        engines = {"1.1": http1_engine}
        async with hface_trio.open_client(http_versions=[job.http_version], tls_config=tls, engines=engines) as client:

            async def fetch() -> None:
                response = await client.get(job.url)
                _check(response.status, response.body)

            return await _load_on_trio(job, fetch)

    return trio.run(main)


def load_with_httpx(job: ClientJob) -> ClientReport:
    """Use httpx on trio."""
    import httpx  # noqa: PLC0415
    import trio  # noqa: PLC0415

    async def main() -> ClientReport:
        async with httpx.AsyncClient(
            http1=job.http_version == "1.1",
            http2=job.http_version == "2",
            verify=ssl.create_default_context(cafile=job.cafile),
            trust_env=False,
        ) as client:

            async def fetch() -> None:
                response = await client.get(job.url)
                _check(response.status_code, response.content)

            return await _load_on_trio(job, fetch)

    return trio.run(main)


def load_with_niquests(job: ClientJob) -> ClientReport:
    """Use niquests, which has no trio, on asyncio; its HTTP/3 is qh3."""
    import asyncio  # noqa: PLC0415

    import niquests  # noqa: PLC0415

    others = {f"disable_http{each}": True for each in ("1", "2", "3") if each != job.http_version[0]}

    async def main() -> ClientReport:
        options: Any = others
        async with niquests.AsyncSession(pool_maxsize=job.tasks, **options) as session:
            session.verify = job.cafile
            session.trust_env = False
            if job.http_version == "3":  # without asking over another version first
                parts = urllib.parse.urlsplit(job.url)
                cache: Any = session.quic_cache_layer
                cache.add_domain(parts.hostname, parts.port)

            async def fetch() -> None:
                response = await session.get(job.url)
                _check(response.status_code, response.content)

            async def phase(seconds: float) -> list[float]:
                latencies: list[float] = []
                deadline = time.perf_counter() + seconds
                async with asyncio.TaskGroup() as group:
                    for _ in range(job.tasks):
                        group.create_task(_work(fetch, deadline, latencies))
                return latencies

            return await _in_phases(job, phase)

    return asyncio.run(main())


def _check(status: int | None, body: bytes | None) -> None:
    if status != _OK or body != BODY:
        raise RuntimeError(f"the answer is another one: {status}, {body!r}")


async def _work(fetch: _Fetch, deadline: float, latencies: list[float]) -> None:
    while (began := time.perf_counter()) < deadline:
        await fetch()
        latencies.append(time.perf_counter() - began)


async def _load_on_trio(job: ClientJob, fetch: _Fetch) -> ClientReport:
    import trio  # noqa: PLC0415

    async def phase(seconds: float) -> list[float]:
        latencies: list[float] = []
        deadline = time.perf_counter() + seconds
        async with trio.open_nursery() as nursery:
            for _ in range(job.tasks):
                nursery.start_soon(_work, fetch, deadline, latencies)
        return latencies

    return await _in_phases(job, phase)


async def _in_phases(job: ClientJob, phase: Callable[[float], Awaitable[list[float]]]) -> ClientReport:
    await phase(_WARM_UP_SECONDS)
    began, processor_seconds = time.perf_counter(), time.process_time()
    latencies = await phase(job.seconds)
    processor_seconds = time.process_time() - processor_seconds
    return ClientReport(len(latencies), time.perf_counter() - began, processor_seconds, latencies)


def _run(name: str, job: ClientJob) -> None:
    module, _, function = CLIENTS[name].source.partition(":")
    load: Callable[[ClientJob], ClientReport] = getattr(importlib.import_module(module), function)
    print(json.dumps(dataclasses.asdict(load(job))))


if __name__ == "__main__":
    _run(sys.argv[1], ClientJob(**json.loads(sys.argv[2])))
