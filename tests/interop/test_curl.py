"""curl against the server: the forms of a message."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ._commands import curl
from ._process import ServerProcess

SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])


@SCHEMES
def test_get(server: ServerProcess, scheme: str) -> None:
    output, _ = curl("--cacert", server.cafile, f"{server.url(scheme)}/hello")
    assert output == b"hello\n"


def test_unix_socket(server: ServerProcess) -> None:
    output, _ = curl("--unix-socket", server.socket_path, "-d", "hello", "http://localhost/echo")
    assert output == b"hello"


def test_a_certificate_of_an_unknown_authority_is_refused_and_the_server_goes_on(server: ServerProcess) -> None:
    with pytest.raises(AssertionError, match="certificate"):
        curl(f"{server.https_url}/hello")
    assert curl("--cacert", server.cafile, f"{server.https_url}/hello")[0] == b"hello\n"


def test_the_request_arrives_in_the_form_of_http2(server: ServerProcess) -> None:
    output, _ = curl("-H", "X-Mixed-Case: Value", f"{server.http_url}/headers?a=b%20c")
    shown: dict[str, Any] = json.loads(output)
    assert shown["http_version"] == "1.1"
    assert shown["headers"][:4] == [
        [":method", "GET"],
        [":scheme", "http"],
        [":authority", server.http_url.removeprefix("http://")],
        [":path", "/headers?a=b%20c"],
    ]
    assert ["x-mixed-case", "Value"] in shown["headers"]


def test_an_unknown_path_is_404(server: ServerProcess) -> None:
    output, _ = curl("-o", "/dev/null", "-w", "%{http_code}", f"{server.http_url}/missing")
    assert output == b"404"


def test_post(server: ServerProcess) -> None:
    output, _ = curl("-d", "a=1&b=2", f"{server.http_url}/echo")
    assert output == b"a=1&b=2"


@SCHEMES
def test_two_hundred_requests_share_one_connection(server: ServerProcess, scheme: str) -> None:
    output, _ = curl(
        *("--cacert", server.cafile, "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n"),
        f"{server.url(scheme)}/hello?[1-200]",
    )
    assert output.split() == [b"200", b"1"] + [b"200", b"0"] * 199


def test_requests_with_bodies_share_one_connection(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"x" * 5000)
    body = f"@{tmp_path / 'body'}"
    output, _ = curl(
        *("-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n", "--data-binary", body),
        f"{server.http_url}/digest?[1-50]",
    )
    assert output.split() == [b"200", b"1"] + [b"200", b"0"] * 49


def test_http10_get_is_answered_and_closed(server: ServerProcess) -> None:
    output, log = curl("-v", "--http1.0", f"{server.http_url}/hello")
    assert output == b"hello\n"
    assert "> GET /hello HTTP/1.0\n" in log
    assert "* Closing connection" in log


def test_http10_without_a_length_ends_with_the_connection(server: ServerProcess) -> None:
    output, log = curl("-v", "--http1.0", f"{server.http_url}/bytes?n=300000&length=no")
    assert len(output) == 300_000
    assert "chunked" not in log.lower()


def test_http10_post(server: ServerProcess) -> None:
    output, _ = curl("--http1.0", "-d", "hello", f"{server.http_url}/echo")
    assert output == b"hello"


def test_head_has_the_headers_of_get_and_no_body(server: ServerProcess) -> None:
    output, _ = curl("-I", f"{server.http_url}/hello", f"{server.http_url}/hello")
    heads = output.lower().split(b"\r\n\r\n")
    assert heads.pop() == b""
    assert len(heads) == 2  # the second request found the connection in order
    for head in heads:
        assert head.startswith(b"http/1.1 200")
        assert b"content-length: 6" in head


def test_204_has_no_body_and_no_length(server: ServerProcess) -> None:
    output, _ = curl("-i", f"{server.http_url}/empty")
    assert output.startswith(b"HTTP/1.1 204 ")
    assert output.endswith(b"\r\n\r\n")
    assert b"content-length" not in output.lower()
    assert b"transfer-encoding" not in output.lower()


def test_options_of_the_server_itself(server: ServerProcess) -> None:
    output, _ = curl("-i", "-X", "OPTIONS", "--request-target", "*", server.http_url)
    assert output.startswith(b"HTTP/1.1 204 ")
    assert b"allow: get, head, options, post" in output.lower()


def test_trailers_follow_the_body(server: ServerProcess) -> None:
    # curl writes trailers where it writes headers, behind the body
    output, _ = curl("-i", f"{server.http_url}/trailers")
    head, body = output.lower().split(b"\r\n\r\n", 1)
    assert b"transfer-encoding: chunked" in head.split(b"\r\n")
    digest = hashlib.sha256(b"with trailers\n").hexdigest()
    assert body == b"with trailers\n" + f"x-sha256: {digest}\r\n".encode()


def test_103_comes_before_the_response(server: ServerProcess) -> None:
    output, log = curl("-v", f"{server.http_url}/hints")
    assert output == b"hinted\n"
    assert log.index("< HTTP/1.1 103 ") < log.index("< HTTP/1.1 200 ")
    assert "< link: </style.css>; rel=preload" in log.lower()


def test_connect_makes_a_tunnel(server: ServerProcess) -> None:
    """TLS to the server's other endpoint, through the server as a proxy."""
    output, log = curl(
        *("-v", "--proxytunnel", "--proxy", server.http_url, "--cacert", server.cafile), f"{server.https_url}/hello"
    )
    assert output == b"hello\n"
    assert "CONNECT tunnel established, response 200" in log
