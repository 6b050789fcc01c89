"""Processes that write one row leave in the cache what the database has, or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from freshwell import Cache
from tests.races._sync.writers import Table
from tests.support.processes import workers

_ROUNDS = 60
_PROCESSES = 3


def left_over(path: Path, url: str, way: str, colour: str) -> tuple[int, int, int]:
    """Let processes race for rows. Return how many entries are right, wrong and absent."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "CREATE TABLE row (id INTEGER PRIMARY KEY, value TEXT NOT NULL, version INTEGER)"
        )
    shared = {"url": url, "path": str(path), "way": way, "rounds": _ROUNDS}
    rivals = [shared | {"name": f"process {n}"} for n in range(_PROCESSES)]
    with workers(f"tests.races.{colour}.writers:rival", rivals, gate=True) as group:
        group.results()
    with closing(sqlite3.connect(path)) as db:
        rows = dict(db.execute("SELECT id, value FROM row"))
    assert len(rows) == _ROUNDS
    with Cache(url, namespace="rivals", l1=False) as cache:
        found = {id: cache.get(f"row:{id}") for id in rows}
    right = sum(found[id] == value for id, value in rows.items())
    absent = sum(value is None for value in found.values())
    return right, _ROUNDS - right - absent, absent


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_processes_that_write_through_leave_what_the_source_has_or_nothing(
    tmp_path: Path, redis_url: str, colour: str
) -> None:
    right, wrong, absent = left_over(tmp_path / "rows.db", redis_url, "write-through", colour)
    assert wrong == 0, (right, wrong, absent)
    source = Table(str(tmp_path / "rows.db"), Random(1), "write-through")
    with Cache(redis_url, namespace="rivals", read="fresh") as cache:
        rows = cache.write_through(source, key="row:{}")
        values = dict.fromkeys(range(_ROUNDS), "alone")
        rows.put_many(values)
        states = {id: cache.lookup(rows.key(id)).reason for id in values}
        assert set(states.values()) == {"fresh"}, states


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_processes_that_save_and_set_leave_the_losers_value(
    tmp_path: Path, redis_url: str, colour: str
) -> None:
    """The control."""
    right, wrong, absent = left_over(tmp_path / "rows.db", redis_url, "save and set", colour)
    assert wrong > 0, (right, wrong, absent)


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_processes_whose_source_has_versions_leave_what_it_has(
    tmp_path: Path, redis_url: str, colour: str
) -> None:
    right, wrong, absent = left_over(tmp_path / "rows.db", redis_url, "versions", colour)
    assert wrong == 0, (right, wrong, absent)
    # A writer that the machine holds up for as long as an announcement stands leaves nothing.
    assert right > _ROUNDS * 3 / 4, (right, wrong, absent)


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_processes_whose_versions_say_nothing_leave_the_losers_value(
    tmp_path: Path, redis_url: str, colour: str
) -> None:
    """The control."""
    right, wrong, absent = left_over(tmp_path / "rows.db", redis_url, "any versions", colour)
    assert wrong > 0, (right, wrong, absent)
