"""Which names wait is known by their sequences, whether they have one or several."""

from __future__ import annotations

from freshwell.engines.pending_names import PendingNames


def test_a_name_waits_until_the_last_of_its_sequences_has_gone() -> None:
    names = PendingNames()
    names.change([("a", 1), ("b", 2), ("a", 3), ("a", 4)], [])
    assert names.known("a") == [1, 3, 4]
    names.change([], [("a", 3), ("a", 1), ("b", 2), ("b", 9), ("c", 1)])
    assert ("a" in names, "b" in names) == (True, False)
    assert names.known("a") == [4]
    names.change([("a", 5)], [])
    assert names.known("a") == [4, 5]
    names.forget("a", [4, 5])
    assert "a" not in names
    assert names.known("a") == []


def test_one_that_is_known_from_the_journal_may_be_added_to() -> None:
    names = PendingNames()
    names.replace({"a": [1]})
    names.change([("a", 2)], [])
    names.change([], [("a", 1)])
    assert names.known("a") == [2]
    names.change([], [("a", 2)])
    assert "a" not in names


def test_how_many_there_are_is_counted() -> None:
    names = PendingNames()
    names.change([("a", n) for n in range(2_001)], [])
    assert names.exceeds(500)
    names.change([], [("a", n) for n in range(2_001)])
    assert not names.exceeds(0)
