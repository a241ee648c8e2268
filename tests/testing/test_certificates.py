"""Certificates to throw away."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from hface_trio.errors import ConfigurationError
from hface_trio.testing import Authority, MemoryNetworking, throwaway_authority


def test_files_are_gone_when_the_block_ends():
    with throwaway_authority() as authority:
        config = authority.server_config()
        assert os.path.exists(config.certfile)
    assert not os.path.exists(config.certfile)
    assert not os.path.exists(authority.cafile)


def test_private_keys_are_for_nobody_else(tmp_path):
    authority = Authority(tmp_path)
    _, keyfile = authority.issue("localhost")
    assert stat.S_IMODE(Path(keyfile).stat().st_mode) == 0o600


def test_each_certificate_has_its_own_files(tmp_path):
    authority = Authority(tmp_path)
    assert len({*authority.issue("a.example"), *authority.issue("b.example")}) == 4


def test_a_client_trusts_the_authority_and_has_a_certificate_if_asked_for(tmp_path):
    authority = Authority(tmp_path)
    assert authority.client_config().certfile is None
    config = authority.client_config("user@example.org")
    assert config.cafile == authority.cafile
    assert os.path.exists(config.certfile)
    assert os.path.exists(config.keyfile)


def test_a_server_that_verifies_clients(tmp_path):
    authority = Authority(tmp_path)
    assert authority.server_config().client_cafile is None
    assert authority.server_config(verify_clients=True).client_cafile == authority.cafile


def test_without_trustme_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'hface-trio\[cli\]'"):
        Authority(tmp_path)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
async def test_a_server_certificate_is_for_this_machine_unless_told(host, tmp_path, nursery, autojump_clock):
    authority = Authority(tmp_path)
    network = MemoryNetworking()
    (listener,) = await network.listen_tcp_tls((host, 443), tls_config=authority.server_config(), alpn_protocols=[])

    async def serve() -> None:
        stream = await listener.accept()
        await stream.handshake()

    nursery.start_soon(serve)
    await network.connect_tcp_tls((host, 443), tls_config=authority.client_config(), alpn_protocols=[])
