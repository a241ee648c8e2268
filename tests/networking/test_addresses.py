from __future__ import annotations

import pytest

from hface_trio.errors import ConfigurationError
from hface_trio.networking._addresses import (
    address_from_system,
    check_port,
    format_address,
    is_ip_address,
    tls_server_name,
    unix_path,
)


@pytest.mark.parametrize(
    ("system", "address"),
    [
        (("127.0.0.1", 80), ("127.0.0.1", 80)),
        (("::1", 80, 0, 0), ("::1", 80)),
        (("fe80::1%lo", 80, 0, 1), ("fe80::1%lo", 80)),
        (("::ffff:192.0.2.1", 80, 0, 0), ("192.0.2.1", 80)),
        ("/run/app.sock", ("unix:/run/app.sock", 0)),
        ("", ("unix:", 0)),
        (b"", ("unix:", 0)),
        (b"\0abstract", ("unix:@abstract", 0)),
    ],
)
def test_what_the_system_says_becomes_an_address(system, address):
    assert address_from_system(system) == address


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("localhost", 80), "localhost:80"),
        (("::1", 80), "[::1]:80"),
        (("unix:/run/app.sock", 0), "unix:/run/app.sock"),
    ],
)
def test_an_address_is_written_as_in_a_url(address, text):
    assert format_address(address) == text


@pytest.mark.parametrize(("host", "path"), [("unix:/a", "/a"), ("unix:", ""), ("localhost", None), ("/a", None)])
def test_a_unix_path_begins_with_unix(host, path):
    assert unix_path((host, 0)) == path


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist_is_refused(port):
    with pytest.raises(ConfigurationError, match=f"port {port} of 'localhost' is not in the range"):
        check_port(("localhost", port))


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_a_port_that_exists_is_accepted(port):
    check_port(("localhost", port))


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("fe80::1%eth0", True), ("1.2.3", False), ("a.b", False)]
)
def test_ip_addresses_are_told_from_names(host, expected):
    assert is_ip_address(host) is expected


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("example.org", "example.org"),
        ("example.org.", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_the_name_for_tls(host, name):
    assert tls_server_name(host) == name


@pytest.mark.parametrize(
    "host", ["", ".", ".example.org", "a\0b", "a b", "a." * 127 + "a", "a" * 64 + ".example", "ü" * 70, "a..b"]
)
def test_a_host_that_cannot_be_a_name_is_refused(host):
    with pytest.raises(ConfigurationError, match="is not a host name"):
        tls_server_name(host)
