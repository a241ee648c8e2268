from __future__ import annotations

import pytest

from hface_trio import ConfigurationError, Endpoint


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "again"),
    [
        ("http://localhost:8080", "http", "localhost", 8080, "http://localhost:8080"),
        ("https://localhost", "https", "localhost", 443, "https://localhost:443"),
        ("HTTP://localhost/", "http", "localhost", 80, "http://localhost:80"),
        ("http://*:0", "http", "", 0, "http://*:0"),
        ("https://[::1]:8443", "https", "::1", 8443, "https://[::1]:8443"),
        ("http://unix:/run/a.sock", "http", "unix:/run/a.sock", 0, "http://unix:/run/a.sock"),
    ],
)
def test_endpoints_are_read_and_written(text: str, scheme: str, host: str, port: int, again: str) -> None:
    endpoint = Endpoint.parse(text)
    assert endpoint == Endpoint(scheme, host, port)
    assert str(endpoint) == again
    assert Endpoint.parse(again) == endpoint


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("localhost:8080", "http://"),
        ("ftp://localhost", "http://"),
        ("http://", "host"),
        ("http://:80", "host"),
        ("http://localhost:x", "malformed"),
        ("http://localhost:99999", "malformed"),
        ("http://[::1", "malformed"),
        ("http://localhost/path", "only"),
        ("http://user@localhost", "only"),
        ("http://unix:", "path"),
    ],
)
def test_what_is_no_endpoint_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.parse(text)
    assert text in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
