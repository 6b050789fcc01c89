"""Batches of write-behind against tables: what is stored is never replaced by what is older."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell.sqlalchemy import AsyncTableSource
from tests.integrations.engines_aio import AnyEngine, watched
from tests.integrations.tables import batch, said, users


def source_of(
    engine: AnyEngine, *, fence: str | None = "sequence", deleted: str | None = None
) -> AsyncTableSource[dict[str, Any]]:
    return AsyncTableSource(engine, users, columns=["name"], fence=fence, deleted=deleted)


def named(name: str) -> dict[str, Any]:
    return {"name": name}


async def names(source: AsyncTableSource[dict[str, Any]], *ids: int) -> list[str | None]:
    found = await source.load_many(ids)
    return [found[id]["name"] if id in found else None for id in ids]


async def sequence(engine: AnyEngine) -> int | None:
    row = await AsyncTableSource(engine, users, columns=["sequence"]).load(1)
    return None if row is None else row["sequence"]


async def test_a_late_batch_replaces_only_what_is_older(engine: AnyEngine) -> None:
    source = source_of(engine)
    await source.save_many(batch((1, named("new"), 7), (2, named("old"), 3)))
    await source.save_many(batch((1, named("late"), 5), (2, named("newer"), 8)))
    assert await names(source, 1, 2) == ["new", "newer"]
    await source.save_many(batch((1, named("again"), 7)))
    assert await names(source, 1) == ["new"]


async def test_without_a_fence_a_late_batch_wins(engine: AnyEngine) -> None:
    source = source_of(engine, fence=None)
    await source.save_many(batch((1, named("new"), 7)))
    await source.save_many(batch((1, named("late"), 5)))
    assert await names(source, 1) == ["late"]


async def test_a_row_that_nobody_has_fenced_yet_is_replaced(engine: AnyEngine) -> None:
    source = source_of(engine)
    await source.save(1, named("by hand"))
    assert await sequence(engine) is None
    await source.save_many(batch((1, named("batch"), 1)))
    assert (await names(source, 1), await sequence(engine)) == (["batch"], 1)


async def test_who_saves_without_sequences_replaces_and_leaves_the_fence(
    engine: AnyEngine,
) -> None:
    source = source_of(engine)
    await source.save_many(batch((1, named("batch"), 7)))
    await source.save(1, named("by hand"))
    assert (await names(source, 1), await sequence(engine)) == (["by hand"], 7)
    await source.save_many(batch((1, named("late"), 6)))
    assert await names(source, 1) == ["by hand"]


async def test_a_batch_may_save_and_delete(engine: AnyEngine) -> None:
    source = source_of(engine)
    await source.save_many(batch((1, named("a"), 1), (2, named("b"), 9), (3, named("c"), 1)))
    with said(watched(engine)) as statements:
        await source.save_many(batch((1, None, 2), (2, None, 8), (3, named("d"), 2)))
    assert await names(source, 1, 2, 3) == [None, "b", "d"]
    assert len(statements) == 2
    await source.delete_many(batch((2, None, 10)))
    assert await names(source, 2) == [None]


async def test_without_a_fence_a_batch_deletes_what_it_is_to(engine: AnyEngine) -> None:
    source = source_of(engine, fence=None)
    await source.save_many(batch((1, named("a"), 9)))
    await source.save_many(batch((1, None, 2)))
    assert await names(source, 1) == [None]


async def test_a_row_that_was_removed_comes_back_by_a_late_batch(engine: AnyEngine) -> None:
    """The control of the next one, and what the docstring says."""
    source = source_of(engine)
    await source.save_many(batch((1, named("a"), 1)))
    await source.save_many(batch((1, None, 2)))
    await source.save_many(batch((1, named("a"), 1)))
    assert await names(source, 1) == ["a"]


async def test_a_row_that_is_marked_as_deleted_does_not(engine: AnyEngine) -> None:
    source = source_of(engine, deleted="deleted")
    await source.save_many(batch((1, named("a"), 1)))
    await source.save_many(batch((1, None, 2)))
    await source.save_many(batch((1, named("a"), 1)))
    assert await source.load(1) is None
    assert await sequence(engine) == 2
    await source.save_many(batch((1, named("b"), 3)))
    assert await names(source, 1) == ["b"]


@pytest.mark.parametrize("fence", ["sequence", None], ids=str)
async def test_a_marked_row_comes_back_when_it_is_saved(
    engine: AnyEngine, fence: str | None
) -> None:
    source = source_of(engine, fence=fence, deleted="deleted")
    await source.save(1, named("a"))
    await source.delete(1)
    assert await names(source, 1) == [None]
    assert await names(source_of(engine), 1) == ["a"]
    await source.save(1, named("b"))
    assert await names(source, 1) == ["b"]
