"""Engines are asked for their own structure after every test."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tests.support import tables


class Table:
    """Stands for an engine."""

    __slots__ = ("sound",)

    def __init__(self, *, sound: bool) -> None:
        self.sound = sound

    def check(self) -> None:
        assert self.sound, "the table's structure is broken"


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Table]:
    module = ModuleType("engine_of_this_test")
    kind = type("Table", (Table,), {"__slots__": (), "__init__": Table.__init__})
    module.__dict__["Table"] = kind
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(tables, "WATCHED", {module.__name__: "Table"})
    tables.watch()
    tables.watch()
    return kind


def test_sound_tables_pass(watched: type[Table]) -> None:
    watched(sound=True)
    tables.check_made()


def test_a_broken_table_is_reported_even_when_nobody_holds_it_any_more(
    watched: type[Table],
) -> None:
    watched(sound=False)
    with pytest.raises(AssertionError, match="structure is broken"):
        tables.check_made()
    tables.check_made()
