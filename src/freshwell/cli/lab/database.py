"""The lab's source of truth: a real database with reads that are worth caching.

A read joins a product with its category and the figures of its reviews. Each write raises the
product's version, so that a reader can tell an old answer from the newest. What is written here
is SQL that SQLite and PostgreSQL both know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final, TypeVar

from freshwell.cli.lab.postgres import PostgreSQL
from freshwell.cli.lab.products import CATEGORIES, Product, body_of, product_of
from freshwell.cli.lab.sqlite import SQLite
from freshwell.cli.lab.threads import ConnectionThreads

__all__ = ["Database", "Where", "stored_versions"]

T = TypeVar("T")

Where = SQLite | PostgreSQL
"""Where a database is; it says how to connect, and how parameters are marked."""

_READ: Final = """
SELECT p.id, p.version, p.title, p.body, c.name, count(r.id),
    CAST(avg(r.stars) AS DOUBLE PRECISION)
FROM product p JOIN category c ON c.id = p.category_id
LEFT JOIN review r ON r.product_id = p.id
WHERE p.id IN ({marks}) GROUP BY p.id, c.name
"""
_RAISE: Final = "UPDATE product SET version = version + 1, body = {mark} WHERE id = {mark}"
_SAVE: Final = (
    "UPDATE product SET version = {mark}, title = {mark}, body = {mark} WHERE id = {mark}"
)
_SAVE_MANY: Final = """
INSERT INTO product (id, category_id, version, title, body) VALUES {rows}
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, title = excluded.title, body = excluded.body
WHERE excluded.version > product.version
"""
"""A batch may be delivered twice, and late: a version lets nothing older replace it."""


class Database:
    """The database as one process of the service uses it: a few threads, a connection each.

    `delay_s` is added to each statement, to stand for a source farther away. Counts its
    reads in `loads` (products asked for) and `queries`, and its writes in `statements` and
    `rows` (rows that changed).

    Made and used within one event loop.
    """

    def __init__(self, where: Where, *, value_bytes: int = 0, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s
        self._body = body_of(value_bytes)
        self._mark = where.mark
        self._threads = ConnectionThreads(where.connect, where.connections)
        self.loads = 0
        self.queries = 0
        self.statements = 0
        self.rows = 0

    def product(self, id: int, version: int) -> Product:
        """Return the product as it is when `version` has been written."""
        return product_of(id, version, self._body)

    async def load(self, id: int) -> Product:
        """Return one product. Raises `KeyError` where there is none."""
        return (await self.load_many([id]))[id]

    async def load_many(self, ids: Sequence[int]) -> dict[int, Product]:
        """Return those products of `ids` that exist, by id."""
        self.loads += len(ids)
        self.queries += 1
        statement = _READ.format(marks=self._marks(len(ids)))
        rows = await self._run(partial(_fetched, statement, tuple(ids)))
        return {row[0]: _product(row) for row in rows}

    async def write(self, id: int) -> int:
        """Change one product, whatever its version is, and return the new one, committed.

        Raises `KeyError` where there is none.
        """
        statement = _RAISE.format(mark=self._mark) + " RETURNING version"
        self.statements += 1
        rows = await self._run(partial(_fetched, statement, (self._body, id)))
        if not rows:
            raise KeyError(id)
        self.rows += len(rows)
        return int(rows[0][0])

    async def save(self, id: int, product: Product) -> None:
        """Make `product` the one of this id, committed."""
        values = (product["version"], product["title"], product["body"], id)
        await self._change(_SAVE.format(mark=self._mark), values)

    async def save_many(self, products: Mapping[int, Product]) -> None:
        """Make these the products of their ids, committed, but where there are newer ones."""
        rows = ",".join([f"({self._marks(5)})"] * len(products))
        values: list[Any] = []
        # In one order, so that two batches of the same rows cannot wait for each other.
        for id in sorted(products):
            product = products[id]
            values += (id, id % CATEGORIES, product["version"], product["title"], product["body"])
        await self._change(_SAVE_MANY.format(rows=rows), values)

    async def _change(self, statement: str, values: Sequence[Any]) -> None:
        self.statements += 1
        changed = await self._run(partial(_changed, statement, values))
        self.rows += changed

    async def _run(self, function: Callable[[Any], T]) -> T:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        return await self._threads.run(function)

    def _marks(self, count: int) -> str:
        return ",".join([self._mark] * count)

    def close(self) -> None:
        """Close every connection. Waits for queries under way."""
        self._threads.close()


def stored_versions(where: Where) -> dict[int, int]:
    """Return the versions that the database has, by id."""
    with closing(where.connect()) as connection:
        return dict(_fetched("SELECT id, version FROM product", (), connection))


def _fetched(statement: str, values: Sequence[Any], connection: Any) -> list[Any]:
    rows: list[Any] = connection.execute(statement, values).fetchall()
    return rows


def _changed(statement: str, values: Sequence[Any], connection: Any) -> int:
    return int(connection.execute(statement, values).rowcount)


def _product(row: tuple[Any, ...]) -> Product:
    id, version, title, body, category, reviews, stars = row
    return {
        "id": id,
        "version": version,
        "title": title,
        "body": body,
        "category": category,
        "reviews": reviews,
        "stars": stars,
    }
