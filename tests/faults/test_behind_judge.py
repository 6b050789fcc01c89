"""The judge of the kill tests finds what must not be, and nothing in what may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from freshwell import Ack
from tests.faults.behind.diary import Acked, Diary, Read
from tests.faults.behind.judge import Delivered, Kept, disordered, false_values, outdated

ONE, TWO = Acked(1, "0:1", 10, "a"), Acked(1, "0:2", 20, "b")
MEANT = {(1, "0:1"), (1, "0:2"), (1, "0:3")}


def given(write: Acked, *, applied: bool = True) -> Delivered:
    return Delivered(*write, 1, applied)


@pytest.mark.parametrize(
    ("logged", "count"),
    [
        ([given(ONE), given(TWO)], 0),
        ([given(ONE), given(ONE, applied=False), given(TWO)], 0),
        ([given(ONE), given(ONE)], 1),
        ([given(TWO), given(ONE), given(TWO)], 1),
    ],
    ids=["in order", "again, and refused", "applied again", "back and forth"],
)
def test_rows_that_go_back_are_counted(logged: list[Delivered], count: int) -> None:
    assert disordered(logged) == count


@pytest.mark.parametrize(
    ("delivered", "row", "count"),
    [
        (TWO, Kept("0:2", 20), 0),
        (Acked(1, "0:3", 30, "c"), Kept("0:3", 30), 0),
        (Acked(1, "0:2", 10, "a"), Kept("0:2", 20), 1),
        (Acked(1, "9:9", 30, "c"), Kept("0:2", 20), 1),
        (TWO, Kept("0:1", 20), 1),
    ],
    ids=["as acknowledged", "not acknowledged", "of another write", "of nobody", "stored falsely"],
)
def test_values_that_are_not_those_of_their_writes_are_counted(
    delivered: Acked, row: Kept, count: int
) -> None:
    assert false_values([ONE, TWO], [given(delivered)], {1: row}, MEANT) == count


def test_reads_of_what_is_older_than_acknowledged_are_counted() -> None:
    later = Read(1, 10, "0:2")
    unknown = Read(1, 20, "0:3")
    older = Read(1, 20, "0:1")
    nothing = Read(1, 20, "None")
    assert outdated([later, unknown], [ONE, TWO], [given(ONE)]) == 0
    assert outdated([older, nothing], [TWO], [given(ONE)]) == 2


def test_a_diary_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "diary"
    for number in (0, 1):
        diary = Diary(path)
        assert diary.next_number() == number
        values = {7: f"3:{number}"}
        diary.mean(values)
        diary.acknowledge(values, {7: Ack("local", 5 + number, "f")})
        diary.read(7, Ack("local", 5 + number, "f"), None)
        diary.close()
    assert list(diary.meant()) == [(7, "3:0"), (7, "3:1")]
    assert list(diary.acked()) == [Acked(7, "3:0", 5, "f"), Acked(7, "3:1", 6, "f")]
    assert list(diary.reads()) == [Read(7, 5, "None"), Read(7, 6, "None")]
