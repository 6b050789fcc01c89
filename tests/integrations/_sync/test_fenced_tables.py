"""Batches of write-behind against tables: what is stored is never replaced by what is older."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from typing import Any

import pytest

from freshwell.sqlalchemy import TableSource
from tests.integrations.engines_threads import AnyEngine, watched
from tests.integrations.tables import batch, said, users


def source_of(
    engine: AnyEngine, *, fence: str | None = "sequence", deleted: str | None = None
) -> TableSource[dict[str, Any]]:
    return TableSource(engine, users, columns=["name"], fence=fence, deleted=deleted)


def named(name: str) -> dict[str, Any]:
    return {"name": name}


def names(source: TableSource[dict[str, Any]], *ids: int) -> list[str | None]:
    found = source.load_many(ids)
    return [found[id]["name"] if id in found else None for id in ids]


def sequence(engine: AnyEngine) -> int | None:
    row = TableSource(engine, users, columns=["sequence"]).load(1)
    return None if row is None else row["sequence"]


def test_a_late_batch_replaces_only_what_is_older(engine: AnyEngine) -> None:
    source = source_of(engine)
    source.save_many(batch((1, named("new"), 7), (2, named("old"), 3)))
    source.save_many(batch((1, named("late"), 5), (2, named("newer"), 8)))
    assert names(source, 1, 2) == ["new", "newer"]
    source.save_many(batch((1, named("again"), 7)))
    assert names(source, 1) == ["new"]


def test_without_a_fence_a_late_batch_wins(engine: AnyEngine) -> None:
    source = source_of(engine, fence=None)
    source.save_many(batch((1, named("new"), 7)))
    source.save_many(batch((1, named("late"), 5)))
    assert names(source, 1) == ["late"]


def test_a_row_that_nobody_has_fenced_yet_is_replaced(engine: AnyEngine) -> None:
    source = source_of(engine)
    source.save(1, named("by hand"))
    assert sequence(engine) is None
    source.save_many(batch((1, named("batch"), 1)))
    assert (names(source, 1), sequence(engine)) == (["batch"], 1)


def test_who_saves_without_sequences_replaces_and_leaves_the_fence(
    engine: AnyEngine,
) -> None:
    source = source_of(engine)
    source.save_many(batch((1, named("batch"), 7)))
    source.save(1, named("by hand"))
    assert (names(source, 1), sequence(engine)) == (["by hand"], 7)
    source.save_many(batch((1, named("late"), 6)))
    assert names(source, 1) == ["by hand"]


def test_a_batch_may_save_and_delete(engine: AnyEngine) -> None:
    source = source_of(engine)
    source.save_many(batch((1, named("a"), 1), (2, named("b"), 9), (3, named("c"), 1)))
    with said(watched(engine)) as statements:
        source.save_many(batch((1, None, 2), (2, None, 8), (3, named("d"), 2)))
    assert names(source, 1, 2, 3) == [None, "b", "d"]
    assert len(statements) == 2
    source.delete_many(batch((2, None, 10)))
    assert names(source, 2) == [None]


def test_without_a_fence_a_batch_deletes_what_it_is_to(engine: AnyEngine) -> None:
    source = source_of(engine, fence=None)
    source.save_many(batch((1, named("a"), 9)))
    source.save_many(batch((1, None, 2)))
    assert names(source, 1) == [None]


def test_a_row_that_was_removed_comes_back_by_a_late_batch(engine: AnyEngine) -> None:
    """The control of the next one, and what the docstring says."""
    source = source_of(engine)
    source.save_many(batch((1, named("a"), 1)))
    source.save_many(batch((1, None, 2)))
    source.save_many(batch((1, named("a"), 1)))
    assert names(source, 1) == ["a"]


def test_a_row_that_is_marked_as_deleted_does_not(engine: AnyEngine) -> None:
    source = source_of(engine, deleted="deleted")
    source.save_many(batch((1, named("a"), 1)))
    source.save_many(batch((1, None, 2)))
    source.save_many(batch((1, named("a"), 1)))
    assert source.load(1) is None
    assert sequence(engine) == 2
    source.save_many(batch((1, named("b"), 3)))
    assert names(source, 1) == ["b"]


@pytest.mark.parametrize("fence", ["sequence", None], ids=str)
def test_a_marked_row_comes_back_when_it_is_saved(
    engine: AnyEngine, fence: str | None
) -> None:
    source = source_of(engine, fence=fence, deleted="deleted")
    source.save(1, named("a"))
    source.delete(1)
    assert names(source, 1) == [None]
    assert names(source_of(engine), 1) == ["a"]
    source.save(1, named("b"))
    assert names(source, 1) == ["b"]
