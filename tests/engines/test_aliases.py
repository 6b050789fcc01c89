"""By which arguments a cached function finds its entries, and what those cost."""

from __future__ import annotations

import pytest

from freshwell.engines.entry import AliasedEntry, Aliases
from freshwell.engines.wrapper import alias_of
from freshwell.testing import FakeClock
from tests.engines.parts import fill, make_table


def test_entries_found_by_arguments_of_the_same_types_keep_these_once(clock: FakeClock) -> None:
    table, aliases = make_table(clock), Aliases()
    calls: tuple[tuple[object, ...], ...] = ((1, "a"), (2, "b"), ("3", 4))
    for number, arguments in enumerate(calls):
        alias = alias_of(arguments)
        assert alias is not None
        fill(table, clock, str(number), alias=(aliases, *alias))
    first, second, third = (aliases[arguments] for arguments in calls)
    assert isinstance(first, AliasedEntry)
    assert isinstance(second, AliasedEntry)
    assert isinstance(third, AliasedEntry)
    assert first.place is second.place
    assert (first.place.kinds, third.place.kinds) == ((int, str), (str, int))


def test_an_entry_that_left_is_found_by_no_arguments(clock: FakeClock) -> None:
    table, aliases = make_table(clock), Aliases()
    entry = fill(table, clock, "k", alias=(aliases, 7, int))
    assert isinstance(entry, AliasedEntry)
    assert entry.place.kinds is int
    table.drop("k")
    assert entry.place.kinds is None, "a wrapper that holds it would take it for an answer"


def test_more_types_than_are_remembered_are_told_apart_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("freshwell.engines.entry._MAX_PLACES", 2)
    aliases = Aliases()
    kinds = (int, str, bytes, bool)
    assert [aliases.place(kind).kinds for kind in kinds] == list(kinds)
    assert aliases.place(int).aliases is aliases


class _Liar:
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return int


def test_an_argument_that_lies_about_its_type_names_no_entry() -> None:
    assert alias_of((7,)) == (7, int)
    assert alias_of((7, "x")) == ((7, "x"), (int, str))
    assert alias_of((_Liar(),)) is None
    assert alias_of((7, 1.5)) is None
