"""curl over HTTP/2 against the server."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ._commands import curl
from ._payload import MIB, chunks, digest
from ._process import ServerProcess

WIRES = pytest.mark.parametrize(
    ("scheme", "version"),
    [("https", "--http2"), ("http", "--http2-prior-knowledge"), ("http", "--http2")],
    ids=["tls", "prior knowledge", "upgrade"],
)


def request(server: ServerProcess, scheme: str, version: str, path: str, *arguments: str | Path) -> tuple[bytes, str]:
    return curl(version, "--cacert", server.cafile, *arguments, f"{server.url(scheme)}{path}")


@WIRES
def test_get_speaks_http2(server: ServerProcess, scheme: str, version: str) -> None:
    output, _ = request(server, scheme, version, "/hello", "-w", "%{http_version} %{http_code}")
    assert output == b"hello\n2 200"


@WIRES
def test_the_request_as_the_handler_sees_it(server: ServerProcess, scheme: str, version: str) -> None:
    output, _ = request(server, scheme, version, "/headers?a=b", "-H", "X-Mixed-Case: Value", "-b", "a=1; b=2")
    shown: dict[str, Any] = json.loads(output)
    assert shown["http_version"] == "2"
    assert {tuple(field) for field in shown["headers"]} >= {
        (":method", "GET"),
        (":scheme", scheme),
        (":authority", server.url(scheme).partition("://")[2]),
        (":path", "/headers?a=b"),
        ("x-mixed-case", "Value"),
        ("cookie", "a=1; b=2"),
    }


@WIRES
def test_trailers_and_103(server: ServerProcess, scheme: str, version: str) -> None:
    output, _ = request(server, scheme, version, "/trailers", "-i")
    assert hashlib.sha256(b"with trailers\n").hexdigest().encode() in output
    output, _ = request(server, scheme, version, "/hints", "-i")
    assert b"HTTP/2 103" in output
    assert b"rel=preload" in output
    assert b"HTTP/2 200" in output


@WIRES
def test_head_and_204_have_no_body(server: ServerProcess, scheme: str, version: str) -> None:
    output, _ = request(server, scheme, version, "/hello", "-I")
    assert b"HTTP/2 200" in output
    assert b"content-length: 6" in output
    output, _ = request(server, scheme, version, "/empty", "-i")
    assert b"HTTP/2 204" in output


# curl 7.88 sends nothing on a connection of prior knowledge that it uses again: several requests are for TLS alone.


def test_two_hundred_requests_share_one_connection(server: ServerProcess) -> None:
    output, _ = request(
        server, "https", "--http2", "/hello?[1-200]", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n"
    )
    assert output.split() == [b"200", b"1"] + [b"200", b"0"] * 199


def test_fifty_transfers_at_once(server: ServerProcess) -> None:
    output, _ = request(
        *(server, "https", "--http2", "/bytes?n=100000&i=[1-50]"),
        *("--parallel", "--parallel-max", "50", "-o", "/dev/null", "-w", "%{http_code} %{size_download}\n"),
    )
    assert output.split() == [b"200", b"100000"] * 50


def test_an_upload_of_128_mib(server: ServerProcess, large_file: Path) -> None:
    output, _ = request(server, "https", "--http2", "/digest", "-T", large_file)
    shown: dict[str, Any] = json.loads(output)
    assert (shown["octets"], shown["sha256"]) == (128 * MIB, digest(128 * MIB))


def test_a_download_of_128_mib(server: ServerProcess, tmp_path: Path) -> None:
    request(server, "https", "--http2", f"/bytes?n={128 * MIB}", "-o", tmp_path / "out")
    with (tmp_path / "out").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest(128 * MIB)


@WIRES
def test_echo_is_full_duplex(server: ServerProcess, scheme: str, version: str, tmp_path: Path) -> None:
    body = b"".join(chunks(2 * MIB))
    (tmp_path / "in").write_bytes(body)
    output, _ = request(server, scheme, version, "/echo", "--data-binary", f"@{tmp_path / 'in'}")
    assert output == body
