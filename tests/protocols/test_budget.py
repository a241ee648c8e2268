"""The budget for what brings no exchange forward."""

from __future__ import annotations

import pytest

from hface_trio.protocols._budget import AbuseBudget
from hface_trio.protocols._faults import ConnectionFault


def test_what_is_spent_ends_the_connection_with_the_code_of_its_version():
    budget = AbuseBudget(2, 1, code=0x107)
    budget.spend("this")
    budget.spend("that")
    with pytest.raises(ConnectionFault) as caught:
        budget.spend("another")
    assert caught.value.code == 0x107
    assert "another" in caught.value.message


def test_tokens_come_back_with_time_up_to_the_most_there_can_be():
    budget = AbuseBudget(10, 2, code=1)
    budget.clock(5.0)
    budget.spend("this", 8)
    budget.clock(6.0)
    assert budget.tokens == 4
    budget.clock(100.0)
    assert budget.tokens == 10


def test_an_exchange_brings_one_back():
    budget = AbuseBudget(10, 0, code=1)
    budget.exchange_completed()
    assert budget.tokens == 10
    budget.spend("this", 2)
    budget.exchange_completed()
    assert budget.tokens == 9
