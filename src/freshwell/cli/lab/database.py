"""The lab's source of truth: a real SQLite database with reads that are worth caching.

A read joins a product with its category and the figures of its reviews. Each write raises the
product's version in a transaction, so that a reader can tell an old answer from the newest.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, Final

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
    random = Random(seed)
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
    """The database as one process of the service uses it: a pool of threads, one connection each.

    `delay_s` is added to each read, to stand for a source farther away than a local file.
    Counts its reads in `loads` (rows asked for) and `queries`.
    """

    def __init__(self, path: Path, *, threads: int = 4, delay_s: float = 0.0) -> None:
        self._path = path
        self._delay_s = delay_s
        self._local = threading.local()
        self._mutex = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lab-database")
        self.loads = 0
        self.queries = 0

    async def load(self, id: int) -> dict[str, Any]:
        """Return one product."""
        return (await self.load_many([id]))[id]

    async def load_many(self, ids: list[int]) -> dict[int, dict[str, Any]]:
        """Return the products of `ids`, by id."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._select, ids)

    async def write(self, id: int) -> int:
        """Change one product and return its new version, committed."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._update, id)

    def close(self) -> None:
        """Close every connection."""
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()

    def _select(self, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
        wanted = list(ids)
        with self._mutex:
            self.loads += len(wanted)
            self.queries += 1
        if self._delay_s:
            time.sleep(self._delay_s)
        marks = ",".join("?" * len(wanted))
        rows = self._connection().execute(_READ.format(marks=marks), wanted).fetchall()
        return {row[0]: _product(row) for row in rows}

    def _update(self, id: int) -> int:
        connection = self._connection()
        with connection:
            row = connection.execute(
                "UPDATE product SET version = version + 1 WHERE id = ? RETURNING version", (id,)
            ).fetchone()
        return int(row[0])

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.connection = connection
            with self._mutex:
                self._connections.append(connection)
        return connection


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
