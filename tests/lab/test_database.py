"""The lab's database: real reads, versions that count the writes, results in good order."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freshwell.cli.lab.database import Database, build_database
from tests.support.blocking import blocking_allowed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "products.db"
    build_database(path, products=40, value_bytes=300)
    return path


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    with blocking_allowed():
        database = Database(path)
    yield database
    with blocking_allowed():
        database.close()


async def test_a_read_joins_what_belongs_to_the_product(database: Database) -> None:
    product = await database.load(7)
    assert product["id"] == 7
    assert product["version"] == 1
    assert product["category"] == "category 7"
    assert product["reviews"] == 8
    assert 1 <= product["stars"] <= 5


async def test_each_write_raises_the_version_that_reads_return(database: Database) -> None:
    assert [await database.write(3) for _ in range(3)] == [2, 3, 4]
    assert (await database.load(3))["version"] == 4
    assert (await database.load(4))["version"] == 1


async def test_concurrent_writes_get_versions_of_their_own(database: Database) -> None:
    versions = await asyncio.gather(*(database.write(5) for _ in range(30)))
    assert sorted(versions) == list(range(2, 32))


async def test_results_reach_those_who_asked_for_them(database: Database) -> None:
    products = await asyncio.gather(*(database.load(id % 40) for id in range(200)))
    assert [product["id"] for product in products] == [id % 40 for id in range(200)]


async def test_loads_and_queries_are_counted(database: Database) -> None:
    found = await database.load_many([1, 2, 99])
    assert set(found) == {1, 2}
    await database.load(1)
    assert (database.loads, database.queries) == (4, 2)


async def test_an_error_of_a_query_reaches_its_caller_and_no_other(database: Database) -> None:
    with pytest.raises(KeyError):
        await database.load(99)
    with pytest.raises(TypeError):
        await database.write(99)
    assert (await database.load(1))["id"] == 1


async def test_a_caller_who_is_cancelled_leaves_the_others_alone(database: Database) -> None:
    tasks = [asyncio.ensure_future(database.load(id)) for id in range(20)]
    await asyncio.sleep(0)
    tasks[4].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results.pop(4), asyncio.CancelledError)
    assert [r["id"] for r in results if isinstance(r, dict)] == [*range(4), *range(5, 20)]


async def test_a_delay_is_waited_for_without_blocking_the_loop(path: Path) -> None:
    with blocking_allowed():
        database = Database(path, delay_s=0.05)
    ticks = 0
    load = asyncio.ensure_future(database.load(1))
    while not load.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert ticks >= 3
    with blocking_allowed():
        database.close()


def test_two_builds_are_the_same_and_hold_values_of_the_size(tmp_path: Path) -> None:
    rows = []
    for name in ("a.db", "b.db"):
        build_database(tmp_path / name, products=5, value_bytes=1_000)
        connection = sqlite3.connect(tmp_path / name)
        rows.append(connection.execute("SELECT * FROM product JOIN review USING (id)").fetchall())
        lengths = [row[0] for row in connection.execute("SELECT length(body) FROM product")]
        connection.close()
        assert lengths == [920] * 5
    assert rows[0] == rows[1]
