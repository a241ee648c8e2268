"""The factories: what they offer by ALPN, and what they hand to the protocols they make."""

from __future__ import annotations

import pytest

from hface_trio.errors import ConfigurationError
from hface_trio.events import ConnectionTerminated, HeadersReceived
from hface_trio.limits import Limits, Timeouts
from hface_trio.protocols import HTTP1ClientFactory, HTTP1ServerFactory, HTTPOverTCPProtocol
from hface_trio.protocols.http1 import H11ClientProtocol, H11ServerProtocol
from hface_trio.protocols.http1.httptools import HttpToolsClientProtocol, HttpToolsServerProtocol

from .drive import GET, Engine, feed


@pytest.mark.parametrize(
    ("factory", "protocol"),
    [
        (HTTP1ServerFactory(), H11ServerProtocol),
        (HTTP1ServerFactory("h11"), H11ServerProtocol),
        (HTTP1ServerFactory("httptools"), HttpToolsServerProtocol),
        (HTTP1ClientFactory(), H11ClientProtocol),
        (HTTP1ClientFactory("h11"), H11ClientProtocol),
        (HTTP1ClientFactory("httptools"), HttpToolsClientProtocol),
    ],
)
def test_a_factory_makes_protocols_of_its_side_and_engine(
    factory: HTTP1ServerFactory | HTTP1ClientFactory, protocol: type[HTTPOverTCPProtocol]
) -> None:
    assert factory.alpn_protocols == ("http/1.1",)
    made = factory(None, None)
    assert type(made) is protocol
    assert factory(None, None) is not made


@pytest.mark.parametrize(("tls_version", "scheme"), [(None, b"http"), ("TLSv1.3", b"https")])
def test_tls_makes_the_scheme(tls_version: str | None, scheme: bytes) -> None:
    head = feed(HTTP1ServerFactory(Engine.name)(tls_version, "http/1.1"), GET)[0]
    assert isinstance(head, HeadersReceived)
    assert (b":scheme", scheme) in head.headers


def test_limits_and_timeouts_reach_the_protocol() -> None:
    factory = HTTP1ServerFactory(
        Engine.name, limits=Limits(header_section_octets=5), timeouts=Timeouts(request_head_seconds=3)
    )
    protocol = factory(None, None)
    protocol.clock(1)
    assert protocol.get_timer() == 4
    assert feed(protocol, GET) == [ConnectionTerminated(431, "section of more than 10 octets")]


@pytest.mark.parametrize("factory", [HTTP1ServerFactory, HTTP1ClientFactory])
def test_an_unknown_engine_is_told_when_the_factory_is_made(
    factory: type[HTTP1ServerFactory | HTTP1ClientFactory],
) -> None:
    with pytest.raises(ConfigurationError, match="no engine 'x'"):
        factory("x")
