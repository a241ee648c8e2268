"""Tripwires: each fails when h2 changes something that is relied on behind its public interface."""

from __future__ import annotations

import inspect

import h2.connection
import h2.exceptions
import h2.stream
import pytest
from h2.connection import AllowedStreamIDs, ConnectionInputs, ConnectionState, H2Connection
from h2.exceptions import H2Error
from h2.settings import SettingCodes
from h2.stream import H2Stream, StreamInputs, StreamState
from hpack.table import HeaderTable

from hface_trio.protocols._faults import ConnectionFault, StreamFault
from hface_trio.protocols._fields import SectionFacts, check_response
from hface_trio.protocols._outbound import OutboundSection
from hface_trio.protocols.http2._compat_h2 import H2Core, is_closed, may_send, may_send_head, received_all

from .raw_peer import REQUEST, RESPONSE


def section(fields, check=check_response):
    return OutboundSection(fields, SectionFacts(), check)


def core(*, client_side: bool = False) -> tuple[H2Core, list[bytes]]:
    written: list[bytes] = []
    return H2Core(client_side=client_side, write=written.append), written


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_prepare_for_sending", ["self", "frames"]),
        ("_begin_new_stream", ["self", "stream_id", "allowed_ids"]),
        ("_acknowledge_settings", ["self"]),
    ],
)
def test_private_methods_of_the_connection_are_there(name, parameters):
    assert list(inspect.signature(getattr(H2Connection, name)).parameters) == parameters


def test_all_output_passes_through_one_method():
    senders = [
        name
        for name, function in inspect.getmembers(H2Connection, inspect.isfunction)
        if "_data_to_send" in inspect.getsource(function)
    ]
    assert sorted(senders) == [
        "__init__",
        "_prepare_for_sending",
        "clear_outbound_data_buffer",
        "data_to_send",
        "initiate_connection",
    ]


def test_the_table_of_what_takes_frames_is_looked_up_where_nothing_comes():
    """It is emptied, as ``receive_data`` is never called."""
    users = [
        name
        for name, function in inspect.getmembers(H2Connection, inspect.isfunction)
        if "_frame_dispatch_table" in inspect.getsource(function)
    ]
    assert sorted(users) == ["__init__", "_receive_frame"]
    assert H2Connection()._frame_dispatch_table
    assert core()[0]._frame_dispatch_table == {}


def test_parts_that_are_told_what_was_received():
    assert list(inspect.signature(H2Stream.upgrade).parameters) == ["self", "client_side"]
    parameters = list(inspect.signature(H2Connection.push_stream).parameters)
    assert parameters == ["self", "stream_id", "promised_stream_id", "request_headers"]
    connection, _ = core()
    stream = connection.begin_peer_stream(1)
    assert stream.state_machine.state is StreamState.IDLE
    assert isinstance(stream.outbound_flow_control_window, int)
    assert connection.streams == {1: stream}
    assert connection.highest_inbound_stream_id == 1
    assert connection.state_machine.state is ConnectionState.SERVER_OPEN


def test_beginning_a_stream_counts_no_others():
    connection, _ = core()
    for i in range(1000):
        connection.begin_peer_stream(2 * i + 1)
    assert len(connection.streams) == 1000


def test_exchange_runs_through_the_states():
    connection, written = core()
    stream = connection.begin_peer_stream(1)
    connection.receive_head(stream)
    assert may_send(stream)
    assert may_send_head(stream)
    assert not received_all(stream)
    connection.receive_body(stream, end_stream=True)
    assert received_all(stream)
    assert not is_closed(stream)
    connection.send_section(stream, section(RESPONSE), end_stream=False)
    connection.enter_data(stream, 100, end_stream=True)
    assert is_closed(stream)
    assert connection.outbound_flow_control_window == 65_435
    assert stream.outbound_flow_control_window == 65_435
    assert len(written) == 1
    connection.drop(1)
    connection.drop(1)
    assert connection.streams == {}


def test_what_a_state_machine_refuses_is_a_fault_of_the_stream():
    connection, _ = core()
    stream = connection.begin_peer_stream(1)
    connection.receive_head(stream, end_stream=True)
    with pytest.raises(StreamFault) as caught:
        connection.receive_body(stream, end_stream=False)
    assert (caught.value.stream_id, caught.value.code) == (1, 5)
    ours, _ = core(client_side=True)
    stream = ours.begin_own_stream(1)
    ours.send_section(stream, section(REQUEST), end_stream=True)
    with pytest.raises(StreamFault) as caught:
        ours.receive_body(stream, end_stream=False)
    assert caught.value.code == 1


def reference(*inputs: StreamInputs) -> dict[str, object]:
    """What h2 makes of a stream by itself."""
    machine = h2.stream.H2StreamStateMachine(1)
    for input_ in inputs:
        machine.process_input(input_)
    return vars(machine)


@pytest.mark.parametrize("at_once", [True, False])
def test_the_steps_of_a_server_lead_where_h2s_would(at_once):
    connection, _ = core()
    stream = connection.begin_peer_stream(1)
    connection.receive_head(stream, end_stream=at_once)
    inputs = [StreamInputs.RECV_HEADERS]
    if not at_once:
        assert vars(stream.state_machine) == reference(*inputs)
        connection.receive_body(stream, end_stream=False)
        assert vars(stream.state_machine) == reference(*inputs, StreamInputs.RECV_DATA)
        connection.receive_body(stream, end_stream=True)
    inputs.append(StreamInputs.RECV_END_STREAM)
    assert vars(stream.state_machine) == reference(*inputs)
    connection.send_interim_section(stream, section([(b":status", b"103")]))
    connection.send_section(stream, section(RESPONSE), end_stream=False)
    inputs.append(StreamInputs.SEND_HEADERS)
    assert vars(stream.state_machine) == reference(*inputs)
    connection.enter_data(stream, 1, end_stream=False)
    assert vars(stream.state_machine) == reference(*inputs, StreamInputs.SEND_DATA)
    if at_once:
        connection.enter_data(stream, 1, end_stream=True)
    else:
        connection.send_section(stream, section([(b"a", b"b")]), end_stream=True)
        inputs.append(StreamInputs.SEND_HEADERS)
    assert vars(stream.state_machine) == reference(*inputs, StreamInputs.SEND_END_STREAM)


def test_the_steps_of_an_answer_before_the_request_lead_where_h2s_would():
    connection, _ = core()
    stream = connection.begin_peer_stream(1)
    connection.receive_head(stream)
    connection.send_section(stream, section(RESPONSE), end_stream=True)
    inputs = [StreamInputs.RECV_HEADERS, StreamInputs.SEND_HEADERS, StreamInputs.SEND_END_STREAM]
    assert vars(stream.state_machine) == reference(*inputs)
    connection.receive_body(stream, end_stream=True)
    assert vars(stream.state_machine) == reference(*inputs, StreamInputs.RECV_DATA, StreamInputs.RECV_END_STREAM)


def test_the_steps_of_a_client_lead_where_h2s_would():
    connection, _ = core(client_side=True)
    stream = connection.begin_own_stream(1)
    connection.send_section(stream, section(REQUEST), end_stream=False)
    assert vars(stream.state_machine) == reference(StreamInputs.SEND_HEADERS)
    connection.enter_data(stream, 1, end_stream=True)
    inputs = [StreamInputs.SEND_HEADERS, StreamInputs.SEND_END_STREAM]
    assert vars(stream.state_machine) == reference(*inputs)
    connection.receive_head(stream)
    connection.receive_body(stream, end_stream=True)
    inputs += [StreamInputs.RECV_HEADERS, StreamInputs.RECV_DATA, StreamInputs.RECV_END_STREAM]
    assert vars(stream.state_machine) == reference(*inputs)


def test_a_stream_has_what_h2_reads_of_it():
    connection, _ = core()
    stock = h2.stream.H2Stream(1, connection.config, 65_535, 65_535)
    kept = {"_inbound_window_manager", "_expected_content_length", "_actual_content_length"}  # of what is received
    assert vars(connection.begin_peer_stream(1)).keys() == vars(stock).keys() - kept


@pytest.mark.parametrize("state", list(StreamState))
@pytest.mark.parametrize("input_", [i for i in StreamInputs if i.name.startswith("RECV_")])
def test_no_input_in_any_state_raises_anything_else(state, input_):
    connection, _ = core()
    stream = connection.begin_peer_stream(1)
    stream.state_machine.state = state
    stream.state_machine.stream_closed_by = h2.stream.StreamClosedBy.RECV_END_STREAM
    stream.state_machine.client = False
    try:
        connection._step(stream, input_)
    except StreamFault as fault:
        assert fault.code in {1, 5}  # noqa: PT017


def test_every_public_exception_of_h2_is_an_h2_error():
    exceptions = [value for _, value in inspect.getmembers(h2.exceptions, inspect.isclass)]
    assert all(issubclass(e, H2Error) for e in exceptions if e.__module__ == "h2.exceptions")


def test_windows_are_guarded():
    connection, _ = core()
    stream = connection.begin_peer_stream(1)
    connection.receive_head(stream)
    with pytest.raises(StreamFault):
        connection.widen_stream(stream, 2**31 - 1)
    with pytest.raises(ConnectionFault):
        connection.widen_connection(2**31 - 1)
    assert stream.outbound_flow_control_window == connection.outbound_flow_control_window == 65_535


def test_peer_settings_are_applied_at_once():
    connection, written = core()
    stream = connection.begin_peer_stream(1)
    connection.apply_peer_settings({1: 2**20, 4: 100, 5: 20_000, 0xABCD: 7}, encoder_table_octets=4096)
    assert stream.outbound_flow_control_window == 100
    assert connection.max_outbound_frame_size == 20_000
    assert connection.sections.table_octets == 4096
    assert 0xABCD not in connection.remote_settings
    assert written == []  # the acknowledgement is written elsewhere


def test_settings_that_h2_knows_are_those_that_are_checked_here():
    assert sorted(int(code) for code in SettingCodes) == [1, 2, 3, 4, 5, 6, 8]


def test_settings_out_of_range_are_faults():
    connection, _ = core()
    for identifier, value, code in ((2, 2, 1), (4, 2**31, 3), (5, 1, 1), (8, 2, 1)):
        with pytest.raises(ConnectionFault) as caught:
            connection.check_peer_setting(identifier, value)
        assert caught.value.code == code
    connection.check_peer_setting(0xABCD, 2**32 - 1)


def test_promised_streams():
    connection, written = core()
    parent = connection.begin_peer_stream(1)
    connection.receive_head(parent, end_stream=True)
    promised = connection.send_promise(1, 2, REQUEST)
    assert promised.stream_id == 2
    assert may_send_head(promised)
    assert not may_send(promised)
    assert len(written) == 1
    ours, _ = core(client_side=True)
    request = ours.begin_own_stream(1)
    ours.send_section(request, section(REQUEST), end_stream=True)
    pushed = ours.begin_pushed_stream(request, 2)
    ours.receive_head(pushed, end_stream=True)
    assert is_closed(pushed)


def test_upgraded_streams():
    connection, _ = core()
    assert received_all(connection.begin_upgraded_stream())
    ours, _ = core(client_side=True)
    stream = ours.begin_upgraded_stream()
    assert not may_send(stream)
    ours.receive_head(stream, end_stream=True)
    assert is_closed(stream)


def test_h2s_own_ways_in_are_not_used():
    """What they would do: end the connection. If they no longer did, much here could go."""
    connection = H2Connection(config=h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    connection.receive_data(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    with pytest.raises(h2.exceptions.ProtocolError):
        connection.receive_data(b"\0\0\1\1\5\0\0\0\1\x82")  # no :path
    assert connection.state_machine.state is ConnectionState.CLOSED


def test_enumerations_are_there():
    assert AllowedStreamIDs(True) is AllowedStreamIDs.ODD
    assert AllowedStreamIDs(False) is AllowedStreamIDs.EVEN
    assert ConnectionInputs.RECV_HEADERS
    assert ConnectionInputs.SEND_HEADERS


def test_h2_encodes_by_what_it_has_as_its_encoder():
    connection, written = core()
    connection.receive_head(connection.begin_peer_stream(1), end_stream=True)
    connection.send_promise(1, 2, [(b":method", b"GET")])
    assert written[0].endswith(b"\x82")
    assert connection.encoder.encode([(b":method", b"GET")]) == b"\x82"


def test_hpacks_table():
    table = HeaderTable()
    assert table.get_by_index(2) == (b":method", b"GET")
    table.add(b"a", b"b")
    assert table.get_by_index(62) == (b"a", b"b")
    table.maxsize = 10
    with pytest.raises(h2.connection.HPACKError):
        table.get_by_index(62)
