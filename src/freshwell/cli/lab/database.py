"""The lab's source of truth: a real SQLite database with reads that are worth caching.

A read joins a product with its category and the figures of its reviews. Each write raises the
product's version in a transaction, so that a reader can tell an old answer from the newest.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from freshwell.cli.lab.threads import ConnectionThreads

__all__ = ["Database", "build_database"]

_CATEGORIES: Final = 50
_REVIEWS_EACH: Final = 8
_SCHEMA: Final = """
CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE product (
    id INTEGER PRIMARY KEY, category_id INTEGER NOT NULL REFERENCES category (id),
    version INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE review (
    id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL REFERENCES product (id),
    stars INTEGER NOT NULL
);
CREATE INDEX review_product ON review (product_id);
"""
_READ: Final = """
SELECT p.id, p.version, p.title, p.body, c.name, count(r.id), avg(r.stars)
FROM product p JOIN category c ON c.id = p.category_id
LEFT JOIN review r ON r.product_id = p.id
WHERE p.id IN ({marks}) GROUP BY p.id
"""


def build_database(path: Path, *, products: int, value_bytes: int, seed: int = 7) -> None:
    """Create the database with ids 0 to `products` - 1, each about `value_bytes` long."""
    random = Random(seed)  # noqa: S311  # no secret
    body = "".join(random.choices("abcdefghij klmnopqrst", k=max(16, value_bytes - 80)))
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
        db.executemany(
            "INSERT INTO category VALUES (?, ?)",
            ((i, f"category {i}") for i in range(_CATEGORIES)),
        )
        db.executemany(
            "INSERT INTO product VALUES (?, ?, 1, ?, ?)",
            ((i, i % _CATEGORIES, f"product {i}", body) for i in range(products)),
        )
        db.executemany(
            "INSERT INTO review (product_id, stars) VALUES (?, ?)",
            ((i, random.randint(1, 5)) for i in range(products) for _ in range(_REVIEWS_EACH)),
        )
    db.close()


class Database:
    """The database as one process of the service uses it: a few threads, a connection each.

    `delay_s` is added to each query for reading, to stand for a source farther away than a
    local file. Counts its reads in `loads` (products asked for) and `queries`.

    Made and used within one event loop.
    """

    def __init__(self, path: Path, *, threads: int = 2, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s
        self._threads = ConnectionThreads(partial(_connect, path), threads)
        self.loads = 0
        self.queries = 0

    async def load(self, id: int) -> dict[str, Any]:
        """Return one product. Raises `KeyError` where there is none."""
        return (await self.load_many([id]))[id]

    async def load_many(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Return those products of `ids` that exist, by id."""
        self.loads += len(ids)
        self.queries += 1
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        return await self._threads.run(partial(_select, ids=tuple(ids)))

    async def write(self, id: int) -> int:
        """Change one product and return its new version, committed."""
        return await self._threads.run(partial(_update, id=id))

    def close(self) -> None:
        """Close every connection. Waits for queries under way."""
        self._threads.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _select(connection: sqlite3.Connection, ids: tuple[int, ...]) -> dict[int, dict[str, Any]]:
    marks = ",".join("?" * len(ids))
    rows = connection.execute(_READ.format(marks=marks), ids).fetchall()
    return {row[0]: _product(row) for row in rows}


def _update(connection: sqlite3.Connection, id: int) -> int:
    with connection:
        row = connection.execute(
            "UPDATE product SET version = version + 1 WHERE id = ? RETURNING version", (id,)
        ).fetchone()
    return int(row[0])


def _product(row: tuple[Any, ...]) -> dict[str, Any]:
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
