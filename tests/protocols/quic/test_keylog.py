"""The file for TLS secrets: written line by line, kept open by nobody."""

from __future__ import annotations

import dataclasses
import gc
import inspect
import re
import warnings
from pathlib import Path

import pytest
from aioquic.quic.connection import QuicConnection

from hface_trio.protocols.quic import QUICSettings, RandomConnectionIdSource, client_configuration

from .network import ALPN, client_connection, client_tls, server_connection, server_tls, shake_hands


def test_connections_leave_no_file_open(tmp_path: Path) -> None:
    keys = str(tmp_path / "keys")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        tls = dataclasses.replace(client_tls(), keylog_filename=keys)
        for _ in range(3):
            client_configuration(tls, QUICSettings(), ALPN, RandomConnectionIdSource().length)
        shake_hands(client_connection(tls=tls), server_connection())
        gc.collect()


def test_both_sides_append_to_one_file(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# before\n")
    client = client_connection(tls=dataclasses.replace(client_tls(), keylog_filename=str(keys)))
    server = server_connection(tls=dataclasses.replace(server_tls(), keylog_filename=str(keys)))
    shake_hands(client, server)
    first, *lines = keys.read_text().splitlines()
    assert first == "# before"
    assert len(lines) == 8
    assert len(set(lines)) == 4
    assert all(re.fullmatch(r"[A-Z_]+_SECRET(_0)? [0-9a-f]{64} [0-9a-f]+", line) for line in lines)


def test_a_file_that_cannot_be_written_any_more_is_told_once_and_ends_no_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    client = client_connection(tls=dataclasses.replace(client_tls(), keylog_filename=str(directory / "keys")))
    (directory / "keys").unlink()
    directory.rmdir()
    shake_hands(client, server_connection())
    assert len(caplog.records) == 1
    assert "secrets are not written" in caplog.text


def test_aioquic_asks_no_more_of_the_file_than_there_is() -> None:
    source = inspect.getsource(inspect.getmodule(QuicConnection))  # type: ignore[arg-type]
    assert set(re.findall(r"\bsecrets_log_file\.(\w+)", source)) == {"write", "flush"}
