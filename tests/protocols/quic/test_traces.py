"""Traces of connections: when they are written, what they are called, and how much they hold."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
from aioquic.quic.logger import QuicLogger, QuicLoggerTrace

from hface_trio.errors import ConfigurationError
from hface_trio.protocols.quic import QUICSettings
from hface_trio.protocols.quic._compat_aioquic import _traces
from hface_trio.protocols.quic._compat_aioquic._traces import Trace, TraceLogger

from ..taken import events_of
from .network import SERVER_ADDRESS, Network, client_connection, server_connection


def traced(directory: Path) -> tuple[QUICSettings, QUICSettings]:
    client = QUICSettings(qlog_directory=str(directory), bidirectional_streams=0)
    return client, QUICSettings(qlog_directory=str(directory))


def shaken(directory: Path) -> Network:
    of_client, of_server = traced(directory)
    net = Network(client_connection(of_client), server_connection(of_server))
    net.client.connect(SERVER_ADDRESS)
    net.run(1)
    assert net.server.handshake is not None
    assert list(directory.iterdir()) == []
    return net


def events(path: Path) -> list[dict]:
    (trace,) = json.loads(path.read_text())["traces"]
    assert path.name.startswith(trace["common_fields"]["ODCID"] + "-")
    return trace["events"]


def frames(path: Path, name: str) -> list[str]:
    return [f["frame_type"] for event in events(path) if event["name"] == name for f in event["data"]["frames"]]


def test_both_sides_write_to_one_directory_under_the_id_that_both_know(tmp_path):
    net = shaken(tmp_path)
    net.client.submit_close(0)
    net.run(1)
    first, second = tmp_path.iterdir()
    assert first.name.split("-")[0] == second.name.split("-")[0]
    kinds = {json.loads(path.read_text())["traces"][0]["vantage_point"]["type"] for path in (first, second)}
    assert kinds == {"client", "server"}


def test_the_last_word_is_in_the_trace_of_who_says_it_and_of_who_hears_it(tmp_path):
    net = shaken(tmp_path)
    net.server.submit_close(1)
    assert list(tmp_path.iterdir()) == []
    net.flush()
    (said,) = tmp_path.iterdir()
    assert "connection_close" in frames(said, "transport:packet_sent")
    net.run(0.1)
    (heard,) = set(tmp_path.iterdir()) - {said}
    assert "connection_close" in frames(heard, "transport:packet_received")


@pytest.mark.parametrize("how", ["lost", "closed and lost", "idle", "reset"])
def test_a_trace_is_written_however_the_connection_ends(tmp_path, how):
    net = shaken(tmp_path)
    if how == "closed and lost":
        net.client.submit_close(1)
    if how == "idle":
        net.cut = True
        net.run(40)
    elif how == "reset":
        token = net.client._machine._peer_cid.stateless_reset_token
        net.client.datagram_received((b"\x41" + bytes(30) + token, SERVER_ADDRESS))
    else:
        net.client.connection_lost()
    assert len(list(tmp_path.iterdir())) == (2 if how == "idle" else 1)
    for path in tmp_path.iterdir():
        path.unlink()
    net.client.connection_lost()
    net.run(40)
    assert len(list(tmp_path.iterdir())) <= 1  # the client's is not written again


def test_connections_of_one_server_do_not_overwrite_one_another(tmp_path):
    _, settings = traced(tmp_path)
    for _ in range(3):
        net = Network(client_connection(), server_connection(settings))
        net.client.connect(SERVER_ADDRESS)
        net.run(1)
        net.client.submit_close(0)
        net.run(1)
    assert len(list(tmp_path.iterdir())) == 3


def test_one_client_cannot_choose_the_name_of_anothers_trace(tmp_path):
    _, settings = traced(tmp_path)
    client = client_connection()
    client.clock(0.0)
    client.connect(SERVER_ADDRESS)
    ((initial, _), *_) = client.datagrams_to_send()
    for _ in range(2):
        server = server_connection(settings)
        server.clock(0.0)
        server.datagram_received((initial, SERVER_ADDRESS))
        server.connection_lost()
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_is_written_where_nothing_happened(tmp_path):
    _, settings = traced(tmp_path)
    server_connection(settings).connection_lost()
    assert list(tmp_path.iterdir()) == []


def test_a_forgotten_connection_leaves_no_trace_in_memory(tmp_path):
    net = shaken(tmp_path)
    logger = net.server._machine.configuration.quic_logger
    del net
    gc.collect()
    assert [o for o in gc.get_objects() if isinstance(o, Trace)] == []
    assert logger._traces == []


def test_of_a_long_trace_the_middle_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(_traces, "TRACED", 200)
    net = shaken(tmp_path)
    stream_id = net.client.next_stream_id()
    for _ in range(500):
        net.client.submit_data(stream_id, b"x")
        net.run(0.05)
        events_of(net.server)
    trace = net.server._machine._quic_logger
    assert len(trace.to_dict()["events"]) <= 202
    net.client.submit_close(0)
    net.run(1)
    for path in tmp_path.iterdir():
        found = events(path)
        notes = [event["data"]["message"] for event in found if event["name"] == "loglevel:info"]
        assert len(notes) == 1
        assert int(notes[0].split()[0]) > 300
        size = sum(1 + len(event["data"].get("frames", ())) for event in found)
        assert 150 < size < 250
        assert [event["time"] for event in found] == sorted(event["time"] for event in found)


def test_a_packet_of_many_frames_counts_as_many(monkeypatch):
    monkeypatch.setattr(_traces, "TRACED", 200)
    trace = Trace(is_client=False, odcid=b"x")
    for _ in range(50):
        found: list[dict] = []
        trace.log_event(category="transport", event="packet_received", data={"frames": found})
        found += [{"frame_type": "ping"}] * 90
    assert sum(len(event["data"].get("frames", ())) for event in trace.to_dict()["events"]) <= 400


def test_what_cannot_be_written_is_told_and_ends_nothing(tmp_path, caplog):
    directory = tmp_path / "traces"
    directory.mkdir()
    net = shaken(directory)
    directory.rmdir()
    net.client.submit_close(0)
    net.run(1)
    assert net.server.close_reason.code == 0
    assert [record.message.split(" to ")[0] for record in caplog.records] == ["a trace is not written"] * 2


def test_the_directory_has_to_be_there():
    with pytest.raises(ConfigurationError, match="qlog_directory"):
        TraceLogger("/nonexistent")


def test_aioquic_keeps_events_as_expected():
    trace = QuicLoggerTrace(is_client=True, odcid=b"x")
    trace.log_event(category="a", event="b", data={"c": 1})
    event = trace._events.popleft()
    assert set(event) == {"data", "name", "time"}
    assert set(trace.to_dict()) == {"common_fields", "events", "vantage_point"}
    assert QuicLogger()._traces == []
