"""An ack is a frozen dataclass, though it is made by hand."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from freshwell import Ack

ACK = Ack("memory", 7, "ab")


def test_it_is_equal_to_another_of_the_same_parts() -> None:
    same = Ack(durability="memory", sequence=7, idempotency_id="ab")
    assert (same, hash(same)) == (ACK, hash(ACK))
    assert dataclasses.replace(ACK, sequence=8) == Ack("memory", 8, "ab") != ACK


def test_it_can_be_copied_pickled_and_told() -> None:
    assert copy.copy(ACK) == pickle.loads(pickle.dumps(ACK)) == ACK
    assert dataclasses.astuple(ACK) == ("memory", 7, "ab")
    assert repr(ACK) == "Ack(durability='memory', sequence=7, idempotency_id='ab')"


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ACK.sequence = 8  # type: ignore[misc]
