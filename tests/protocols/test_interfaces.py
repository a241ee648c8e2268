"""The interfaces: what they do themselves, and that the layer keeps away from I/O."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

import hface_trio.protocols
from hface_trio.protocols import ALPNHTTPFactory, HTTPOverTCPFactory, HTTPOverTCPProtocol, OutputEnd
from hface_trio.protocols.http1 import H11ServerProtocol


class StandInFactory(HTTPOverTCPFactory):
    def __init__(self, *names: str) -> None:
        self._names = names
        self.calls: list[tuple[str | None, str | None]] = []

    @property
    def alpn_protocols(self) -> Sequence[str]:
        return self._names

    def __call__(self, tls_version: str | None, alpn_protocol: str | None) -> HTTPOverTCPProtocol:
        self.calls.append((tls_version, alpn_protocol))
        return H11ServerProtocol(secure=tls_version is not None)


def test_alpn_names_are_those_of_all_factories_in_order() -> None:
    factory = ALPNHTTPFactory([StandInFactory("h2"), StandInFactory("http/1.1", "h2")])
    assert factory.alpn_protocols == ("h2", "http/1.1")


@pytest.mark.parametrize(("negotiated", "chosen"), [("h2", 0), ("http/1.1", 1), (None, 1), ("other", 1)])
def test_alpn_chooses_the_factory(negotiated: str | None, chosen: int) -> None:
    factories = [StandInFactory("h2"), StandInFactory("http/1.1")]
    ALPNHTTPFactory(factories)("TLSv1.3", negotiated)
    assert [factory.calls for factory in factories][chosen] == [("TLSv1.3", negotiated)]
    assert factories[1 - chosen].calls == []


def test_alpn_needs_a_factory() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ALPNHTTPFactory([])


def test_output_as_one_run_of_octets_is_the_buffers_joined() -> None:
    protocol = H11ServerProtocol(secure=False)
    protocol.bytes_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    protocol.submit_headers(1, [(b":status", b"200")])
    protocol.submit_data(1, memoryview(b"abc"))
    octets = protocol.bytes_to_send()
    assert type(octets) is bytes
    assert octets.endswith(b"3\r\nabc\r\n")
    assert protocol.bytes_to_send() == b""


def test_a_new_protocol_wants_its_transport_open() -> None:
    assert H11ServerProtocol(secure=False).output_end is OutputEnd.OPEN


@pytest.mark.parametrize("package", [hface_trio.protocols, hface_trio.protocols.http1])
def test_every_exported_name_is_there_once(package: ModuleType) -> None:
    assert len(package.__all__) == len(set(package.__all__))
    assert all(hasattr(package, name) for name in package.__all__)


def test_no_module_asserts_anything_of_what_a_peer_sent() -> None:
    root = Path(hface_trio.protocols.__file__).parent
    for path in [*root.glob("*.py"), *(root / "http1").glob("*.py")]:
        assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)], path
