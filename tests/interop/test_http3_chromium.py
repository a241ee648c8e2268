"""Headless Chromium against the server.

Nothing here has trailers: they fail a body that the browser has read to its end already (``ERR_CONNECTION_CLOSED``), if they arrive in a packet of their own.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator

import pytest

from ._http3_chromium import Page, browser_page
from ._payload import MIB, digest
from ._process import ServerProcess

LARGE = 4 * MIB
LOADS = 20

# What a page does with the server: all that `fetch` can. Its result is what the tests look at.
EXCHANGES = """(async () => {
    const hex = buffer => [...new Uint8Array(buffer)].map(octet => octet.toString(16).padStart(2, '0')).join('')
    const sha256 = async buffer => hex(await crypto.subtle.digest('SHA-256', buffer))
    const text = async (path, options) => await (await fetch(path, options)).text()
    const shown = {}

    const payload = crypto.getRandomValues(new Uint8Array(65536))
    const upload = new Blob(Array(16).fill(payload))
    shown.uploaded = JSON.parse(await text('/digest', {method: 'POST', body: upload}))
    shown.upload = await sha256(await upload.arrayBuffer())
    shown.download = await sha256(await (await fetch('/bytes?n=%(octets)d')).arrayBuffer())

    const bodies = [...Array(60).keys()].map(number => `${number} `.repeat(1000))
    const echoes = await Promise.all(bodies.map(body => text('/echo', {method: 'POST', body})))
    shown.echoed = echoes.every((echo, number) => echo == bodies[number])

    const controller = new AbortController()
    const response = await fetch('/bytes?n=%(endless)d&id=%(key)s', {signal: controller.signal})
    await response.body.getReader().read()
    controller.abort()
    shown.hello = await text('/hello')
    shown.protocols = [...new Set(performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol))]
    return shown
})()"""


@pytest.fixture
def page(server: ServerProcess) -> Iterator[Page]:
    """A page in a browser that speaks nothing but HTTP/3 with the server."""
    origin = urllib.parse.urlsplit(server.https_url).netloc
    with browser_page(server.certfile, f"--origin-to-force-quic-on={origin}") as page:
        yield page


def test_a_page(server: ServerProcess, page: Page) -> None:
    page.load(f"{server.https_url}/hello")
    assert page.protocol() == "h3"
    assert page.evaluate("document.body.innerText") == "hello\n"


def test_early_hints(server: ServerProcess, page: Page) -> None:
    page.load(f"{server.https_url}/hints")
    assert page.protocol() == "h3"
    assert page.evaluate("performance.getEntriesByType('navigation')[0].firstInterimResponseStart") > 0
    assert page.evaluate("document.body.innerText") == "hinted\n"


def test_exchanges_of_a_page(server: ServerProcess, page: Page) -> None:
    key = server.new_key()
    page.load(f"{server.https_url}/hello")
    shown = page.evaluate(EXCHANGES % {"octets": LARGE, "endless": 64 * MIB, "key": key})
    server.wait(key, "gone")
    assert (shown["uploaded"]["octets"], shown["uploaded"]["sha256"]) == (MIB, shown["upload"])
    assert shown["download"] == digest(LARGE)
    assert shown["echoed"]
    assert shown["hello"] == "hello\n"
    assert shown["protocols"] == ["h3"]
    assert server.statistics()["connections"] == 1


def test_a_page_over_http_2_leads_to_http_3(server: ServerProcess) -> None:
    """By Alt-Svc. The option names another port: it makes the browser take a private authority over QUIC on that host."""
    port = urllib.parse.urlsplit(server.https_url).port
    url = f"https://localhost:{port}/hello"
    with browser_page(server.certfile, "--origin-to-force-quic-on=localhost:1") as page:
        page.load(url)
        assert page.protocol() == "h2"
        for _ in range(LOADS):  # what was opened before may serve for a while yet
            page.load(url)
            if page.protocol() == "h3":
                return
        pytest.fail("the browser stays with HTTP/2")
