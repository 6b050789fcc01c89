"""Tables whose rows have versions: each change raises them, and who saves is told."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import Cache, Saved
from freshwell.sqlalchemy import TableSource
from tests.integrations.engines_threads import AnyEngine, watched
from tests.integrations.tables import batch, counted, said
from tests.support.threads import Latch, start


def source_of(engine: AnyEngine, **options: Any) -> TableSource[dict[str, Any]]:
    given: dict[str, Any] = {"columns": ["name"], "version": "changes"}
    return TableSource(engine, counted, **given | options)


def named(name: str) -> dict[str, Any]:
    return {"name": name}


def changes(engine: AnyEngine, id: int = 1) -> int | None:
    row = TableSource(engine, counted, columns=["changes"]).load(id)
    return None if row is None else row["changes"]


def test_each_save_raises_the_version_and_returns_it(engine: AnyEngine) -> None:
    source = source_of(engine)
    for version, name in enumerate(["Ada", "Ada Lovelace", "Ada Lovelace"], start=1):
        assert source.save(1, named(name)) == Saved(version=version)
        assert source.load(1) == {"id": 1, "name": name}
        assert changes(engine) == version


def test_many_are_told_by_their_ids_and_saved_as_fast(engine: AnyEngine) -> None:
    source = source_of(engine)
    source.save_many({id: named("old") for id in range(0, 2_500, 2)})
    with said(watched(engine)) as statements:
        told = source.save_many({id: named("new") for id in reversed(range(2_500))})
    assert told == {id: Saved(version=1 if id % 2 else 2) for id in range(2_500)}
    assert len(statements) <= 10
    assert source.save_many({}) == {}


def test_without_versions_nothing_is_told(engine: AnyEngine) -> None:
    source = source_of(engine, columns=["name", "changes"], version=None)
    assert source.save(1, {"name": "Ada", "changes": 0}) is None
    assert source.save_many({1: {"name": "Ada", "changes": 0}}) == {}


def test_batches_are_told_nothing(engine: AnyEngine) -> None:
    """What is said of a batch says what became of its writes."""
    source = source_of(engine)
    assert source.save_many(batch((1, named("a"), 5), (2, named("b"), 6))) == {}
    assert source.save_many(batch((1, named("c"), 7), (2, None, 8))) == {}
    assert [changes(engine, id) for id in (1, 2)] == [2, None]


def test_batches_raise_it_where_they_change_something(engine: AnyEngine) -> None:
    source = source_of(engine, fence="sequence", deleted="deleted")
    assert source.save_many(batch((1, named("a"), 5))) == {}
    source.save_many(batch((1, named("late"), 3)))
    assert changes(engine) == 1
    source.save_many(batch((1, named("b"), 6)))
    assert changes(engine) == 2
    source.save_many(batch((1, None, 7)))
    source.delete(1)
    assert (source.load(1), changes(engine)) == (None, 4)
    assert source.save(1, named("c")) == Saved(version=5)


class Held:
    """The source, with saves that return when they are let go."""

    def __init__(self, source: TableSource[dict[str, Any]]) -> None:
        self._source = source
        self.load = source.load
        self.committed = {"first": Latch(), "second": Latch()}
        self.end = {"first": Latch(), "second": Latch()}

    def save(self, id: int, value: dict[str, Any], /) -> Any:
        told = self._source.save(id, value)
        self.committed[value["name"]].open()
        self.end[value["name"]].passed()
        return told


@pytest.mark.parametrize("ends", [("first", "second"), ("second", "first")])
@pytest.mark.parametrize("version", ["changes", None])
def test_of_two_who_write_through_at_a_time_the_latest_is_left(
    engine: AnyEngine, ends: tuple[str, str], version: str | None
) -> None:
    """Without a version, the control, neither is."""
    source_of(engine).save(1, named("old"))
    source = Held(source_of(engine, version=version) if version else plain(engine))
    with Cache() as cache:
        rows = cache.write_through(source, key="row:{}")
        putting = {}
        for name in ("first", "second"):
            putting[name] = start(partial(rows.put, 1, named(name)))
            source.committed[name].passed()
        for name in ends:
            source.end[name].open()
            putting[name].result()
        left = named("second") if version else None
        assert cache.get("row:1") == left


def plain(engine: AnyEngine) -> TableSource[dict[str, Any]]:
    """Return a source that knows of no versions."""
    return TableSource(
        engine,
        counted,
        columns=["name", "changes"],
        from_row=dict,
        to_row=lambda value: {"name": value["name"], "changes": 0},
    )
