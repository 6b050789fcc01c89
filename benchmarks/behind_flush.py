"""How many rows a second reach a database: from a full journal, and one by one.

Rows of 200 bytes of which most replace one that is there. *Single* is one upsert to a
transaction: the driver alone, and what write-through does; *one commit* are as many statements in
a transaction, which tells what of that is the commit's. *Ready* is the batch statement alone,
in a loop over data that is at hand: what a flusher could reach if a journal cost nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.behind_alone import VALUE
from freshwell import AsyncCache, Cache
from freshwell.sqlalchemy import AsyncTableSource, TableSource
from tests.support.servers import Server

__all__ = ["end_to_end", "run"]

_ROWS = 20_000
_SINGLES = 300
_FILL_AT_ONCE = 1_000
_TARGET = 20
_OPTIONS: dict[str, Any] = {"max_backlog": 1_000_000, "flush_every": "100ms"}
_TABLE = Table(
    "people",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String),
    Column("email", String),
    Column("about", String),
)
_UPSERT = (
    "INSERT INTO people (id, name, email, about) VALUES ({0}, {0}, {0}, {0}) ON CONFLICT (id) "
    "DO UPDATE SET name = excluded.name, email = excluded.email, about = excluded.about"
)
_UNNEST = (
    "INSERT INTO people (id, name, email, about) "
    "SELECT * FROM unnest(%s::int[], %s::text[], %s::text[], %s::text[]) ON CONFLICT (id) "
    "DO UPDATE SET name = excluded.name, email = excluded.email, about = excluded.about"
)


_round = itertools.count()


def _row(i: int) -> dict[str, Any]:
    """Return a row that differs from the one before: SQLite writes nothing for the same again."""
    return {**VALUE, "id": i, "name": f"{next(_round):08}"}


class _Driver:
    """A connection of the driver's own, and the statements as one writes them by hand."""

    def __init__(self, url: str) -> None:
        self._sqlite = url.startswith("sqlite")
        self._connection: Any
        if self._sqlite:
            path = url.partition(":///")[2]
            self._connection = sqlite3.connect(
                path, check_same_thread=False, timeout=30, isolation_level=None
            )
            self._connection.execute("PRAGMA synchronous=FULL")
        else:
            self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        self._upsert = _UPSERT.format("?" if self._sqlite else "%s")

    def load(self, id: int) -> Any:
        return None

    def save(self, row: dict[str, Any]) -> None:
        self._connection.execute(self._upsert, tuple(row.values()))

    def save_each(self, rows: Sequence[dict[str, Any]]) -> None:
        """Save rows one by one, and commit them together."""
        self._connection.execute("BEGIN")
        for row in rows:
            self.save(row)
        self._connection.execute("COMMIT")

    def save_many(self, batch: Any) -> None:
        rows = sorted(batch.values(), key=lambda row: row["id"])
        if self._sqlite:
            self._connection.execute("BEGIN")
            self._connection.executemany(self._upsert, [tuple(row.values()) for row in rows])
            self._connection.execute("COMMIT")
            return
        columns = [[row[name] for row in rows] for name in ("id", "name", "email", "about")]
        self._connection.execute(_UNNEST, columns)

    def close(self) -> None:
        self._connection.close()


def run(database: str, url: str, rounds: int) -> None:
    """Measure with the database at an SQLAlchemy URL of its kind: "SQLite" or "PostgreSQL"."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        durable = ("--appendonly", "yes", "--appendfsync", "everysec")
        redis = stack.enter_context(Server(arguments=durable)).url
        _prepare(url)
        rows = _contenders(stack, folder, url, redis)
        taken: dict[str, list[float]] = {name: [] for name, _ in rows}
        order = random.Random(1)
        for _ in range(rounds):
            for name, work in order.sample(rows, len(rows)):
                taken[name].append(work())
    print(f"\nFlush into {database}, rows of 200 bytes")
    print(f"  {'':52}{'rows a second':>14}{'ratio':>8}{'target':>8}")
    reference = statistics.median(taken[rows[0][0]])
    for name, samples in taken.items():
        rate = statistics.median(samples)
        target = f">={_TARGET}" if name.startswith("flush") else ""
        print(f"  {name:52}{rate:>14,.0f}{rate / reference:>8.1f}{target:>8}")


def end_to_end(database: str, url: str) -> None:
    """Put by 64 tasks for a while, with the flusher at work in the same process."""
    _prepare(url)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_put_and_flush(database, url, f"sqlite:///{folder}/pending.db"))


async def _put_and_flush(database: str, url: str, journal: str) -> None:
    engine = create_async_engine(_asynchronous(url))
    ids = random.Random(1)
    count, tasks, seconds = 0, 64, 5.0
    async with AsyncCache(namespace="bench-both") as cache:
        source = AsyncTableSource(engine, _TABLE)
        behind = cache.write_behind(source, key="person:{}", journal=journal, **_OPTIONS)
        await behind.start()
        began = time.perf_counter()

        async def one() -> None:
            nonlocal count
            while time.perf_counter() - began < seconds:
                i = ids.randrange(_ROWS)
                await behind.put(i, _row(i))
                count += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(one())
        put_s, left = time.perf_counter() - began, (await behind.backlog()).records
        await behind.flush(120)
        all_s = time.perf_counter() - began
    await engine.dispose()
    print(f"\nPuts by {tasks} tasks for {put_s:.1f} s, flushed into {database} meanwhile")
    print(f"  accepted: {count / put_s:,.0f} a second; not flushed at the end: {left:,}")
    print(f"  flushed, all of it: {count / all_s:,.0f} a second")


# -- contenders ------------------------------------------------------------------------------


def _contenders(
    stack: ExitStack, folder: Path, url: str, redis: str
) -> list[tuple[str, Callable[[], float]]]:
    driver = stack.enter_context(closing(_Driver(url)))
    engine = create_engine(url)
    stack.callback(engine.dispose)
    table = TableSource(engine, _TABLE)
    cache = stack.enter_context(Cache(namespace="bench-through"))
    through = cache.write_through(table, key="person:{}")
    file = f"sqlite:///{folder}/pending.db"
    rows: list[tuple[str, Callable[[], float]]] = [
        ("single: the driver's upsert", lambda: _each(driver.save)),
        ("single: write_through.put", lambda: _each(lambda row: through.put(row["id"], row))),
        ("one commit: the driver's upserts, 300", lambda: _at_a_commit(driver)),
    ]
    for batch in (500, 1_000):
        rows += [
            (f"ready: the driver, batches of {batch}", _ready(driver.save_many, batch)),
            (f"ready: TableSource, batches of {batch}", _ready(table.save_many, batch)),
            (f"flush: SQLite to TableSource, {batch}", _flushing(table, file, batch)),
            (f"flush: SQLite to a source by hand, {batch}", _flushing(driver, file, batch)),
            (f"flush: Redis to TableSource, {batch}", _flushing(table, redis, batch)),
            (
                f"flush: SQLite to AsyncTableSource, {batch}",
                _async_flushing(url, file, batch),
            ),
        ]
    return rows


def _each(save: Callable[[dict[str, Any]], object]) -> float:
    ids = random.Random(2)
    began = time.perf_counter()
    for _ in range(_SINGLES):
        save(_row(ids.randrange(_ROWS)))
    return _SINGLES / (time.perf_counter() - began)


def _at_a_commit(driver: _Driver) -> float:
    ids = random.Random(2)
    rows = [_row(ids.randrange(_ROWS)) for _ in range(_SINGLES)]
    began = time.perf_counter()
    driver.save_each(rows)
    return _SINGLES / (time.perf_counter() - began)


def _ready(save_many: Callable[[Any], object], batch: int) -> Callable[[], float]:
    def run() -> float:
        batches = [{i: _row(i) for i in some} for some in _shuffled(batch)]
        began = time.perf_counter()
        for some in batches:
            save_many(some)
        return _ROWS / (time.perf_counter() - began)

    return run


def _flushing(source: Any, journal: str, batch: int) -> Callable[[], float]:
    def run() -> float:
        options = {**_OPTIONS, "journal": journal, "batch": batch, "key": "person:{}"}
        with Cache(namespace="bench-flush", l1=False) as cache:
            behind = cache.write_behind(source, flusher=False, drain=0, **options)
            for some in _shuffled(_FILL_AT_ONCE):
                behind.put_many({i: _row(i) for i in some})
            behind.start(flush=True)
            began = time.perf_counter()
            while behind.backlog().records:
                time.sleep(0.005)
            return _ROWS / (time.perf_counter() - began)

    return run


def _async_flushing(url: str, journal: str, batch: int) -> Callable[[], float]:
    async def run() -> float:
        options = {**_OPTIONS, "journal": journal, "batch": batch, "key": "person:{}"}
        engine = create_async_engine(_asynchronous(url))
        source = AsyncTableSource(engine, _TABLE)
        async with AsyncCache(namespace="bench-flush", l1=False) as cache:
            behind = cache.write_behind(source, flusher=False, drain=0, **options)
            for some in _shuffled(_FILL_AT_ONCE):
                await behind.put_many({i: _row(i) for i in some})
            await behind.start(flush=True)
            began = time.perf_counter()
            while (await behind.backlog()).records:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.005)
            taken_s = time.perf_counter() - began
        await engine.dispose()
        return _ROWS / taken_s

    return lambda: asyncio.run(run())


def _shuffled(size: int) -> list[Sequence[int]]:
    ids = list(range(_ROWS))
    random.Random(3).shuffle(ids)
    return [ids[at : at + size] for at in range(0, len(ids), size)]


def _prepare(url: str) -> None:
    """Make the table, full."""
    engine = create_engine(url)
    with engine.begin() as connection:
        if url.startswith("sqlite"):
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        _TABLE.metadata.drop_all(connection)
        _TABLE.metadata.create_all(connection)
    TableSource(engine, _TABLE).save_many({i: _row(i) for i in range(_ROWS)})
    engine.dispose()


def _asynchronous(url: str) -> str:
    return url.replace("sqlite://", "sqlite+aiosqlite://")
