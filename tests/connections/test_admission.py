"""Connections count for whoever has their address."""

from __future__ import annotations

import pytest

from hface_trio import Limits
from hface_trio.connections._admission import Admission


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("/run/a.sock", "/run/a.sock", True),
    ],
)
def test_an_owner_has_so_many_connections_and_no_more(first: str, second: str, same: bool) -> None:
    admission = Admission(Limits(connections_per_address=1))
    assert admission.admit(first)
    assert admission.admit(second) is not same
    assert admission.refused == same
    admission.release(first)
    assert admission.admit(first)
