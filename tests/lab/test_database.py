"""The lab's database: real reads, versions that count the writes, results in good order."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from freshwell.cli.lab.database import Database, Where, stored_versions
from freshwell.cli.lab.errors import LabRunError
from freshwell.cli.lab.postgres import PostgreSQL
from freshwell.cli.lab.sqlite import SQLite
from tests.support.blocking import blocking_allowed


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Where]:
    if request.param == "sqlite":
        file = SQLite(tmp_path / "products.db")
        file.build(products=40, value_bytes=300)
        yield file
        return
    url: str = request.getfixturevalue("postgres_url")
    with PostgreSQL.built(url, products=40, value_bytes=300) as schema:
        yield schema


@pytest.fixture
async def database(where: Where) -> AsyncIterator[Database]:
    with blocking_allowed():
        database = Database(where, value_bytes=300)
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


async def test_a_product_is_told_without_being_read(database: Database) -> None:
    for id in range(40):
        assert await database.load(id) == database.product(id, 1)
    await database.write(5)
    assert await database.load(5) == database.product(5, 2)


async def test_a_product_that_is_saved_is_read(database: Database) -> None:
    await database.save(7, database.product(7, 5))
    assert await database.load(7) == database.product(7, 5)
    assert (await database.load(8))["version"] == 1


async def test_a_batch_replaces_what_is_older_and_leaves_what_is_newer(
    database: Database, where: Where
) -> None:
    await database.save(7, database.product(7, 5))
    await database.save_many({id: database.product(id, 3) for id in (9, 7, 8)})
    assert await database.load_many([7, 8]) == {
        7: database.product(7, 5),
        8: database.product(8, 3),
    }
    with blocking_allowed():
        assert stored_versions(where) == dict.fromkeys(range(40), 1) | {7: 5, 8: 3, 9: 3}


async def test_reads_and_writes_are_counted(database: Database) -> None:
    found = await database.load_many([1, 2, 99])
    assert set(found) == {1, 2}
    await database.load(1)
    assert (database.loads, database.queries) == (4, 2)
    await asyncio.gather(*(database.write(id) for id in range(10)))
    assert (database.statements, database.rows) == (10, 10)
    await asyncio.gather(*(database.save(id, database.product(id, 3)) for id in range(10)))
    assert (database.statements, database.rows) == (20, 20)
    await database.save_many({id: database.product(id, 2) for id in range(8, 13)})
    assert (database.statements, database.rows) == (21, 23), "two were newer"


async def test_an_error_of_a_query_reaches_its_caller_and_no_other(database: Database) -> None:
    with pytest.raises(KeyError):
        await database.load(99)
    with pytest.raises(KeyError):
        await database.write(99)
    assert (await database.load(1))["id"] == 1


async def test_a_caller_who_is_cancelled_leaves_the_others_alone(database: Database) -> None:
    tasks = [asyncio.ensure_future(database.load(id)) for id in range(20)]
    await asyncio.sleep(0)
    tasks[4].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results.pop(4), asyncio.CancelledError)
    assert [r["id"] for r in results if isinstance(r, dict)] == [*range(4), *range(5, 20)]


async def test_a_delay_is_waited_for_without_blocking_the_loop(where: Where) -> None:
    with blocking_allowed():
        database = Database(where, delay_s=0.05)
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
        SQLite(tmp_path / name).build(products=5, value_bytes=1_000)
        connection = sqlite3.connect(tmp_path / name)
        rows.append(connection.execute("SELECT * FROM product JOIN review USING (id)").fetchall())
        lengths = [row[0] for row in connection.execute("SELECT length(body) FROM product")]
        connection.close()
        assert lengths == [920] * 5
    assert rows[0] == rows[1]


def test_a_schema_of_the_lab_is_gone_in_the_end_and_nothing_else_is(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE product (id integer)")
        before = tables(connection)
        with PostgreSQL.built(postgres_url, products=3, value_bytes=100) as where:
            assert re.fullmatch(r"freshwell_lab_[0-9a-f]{12}", where.schema)
            made = tables(connection) - before
            assert made == {(where.schema, name) for name in ("category", "product", "review")}
            assert stored_versions(where) == {0: 1, 1: 1, 2: 1}
        assert tables(connection) == before
        with (
            pytest.raises(KeyboardInterrupt),
            PostgreSQL.built(postgres_url, products=3, value_bytes=100),
        ):
            raise KeyboardInterrupt
        assert tables(connection) == before


def tables(connection: psycopg.Connection[tuple[str, str]]) -> set[tuple[str, str]]:
    statement = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^(pg_|inf)'"
    return set(connection.execute(statement).fetchall())


def test_a_schema_that_could_not_be_dropped_is_named(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        with (
            pytest.raises(LabRunError, match=r"left there: .*DROP SCHEMA IF EXISTS freshwell_lab_"),
            PostgreSQL.built(postgres_url, products=3, value_bytes=100, drop_s=0.1) as where,
        ):
            # The drop waits for this reader's lock, and not for long.
            connection.execute(f"SELECT * FROM {where.schema}.product")
        connection.rollback()
        connection.execute(f"DROP SCHEMA {where.schema} CASCADE")


def test_a_password_is_in_no_text_of_where_a_database_is(postgres_url: str) -> None:
    where = PostgreSQL(postgres_url, "schema")
    assert repr(where) == "PostgreSQL(schema='schema')"
