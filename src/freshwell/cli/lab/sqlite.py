"""The lab's database as a SQLite file."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from freshwell.cli.lab.products import CATEGORIES, REVIEWS_EACH, body_of, stars_of

__all__ = ["SQLite"]

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


@dataclass(frozen=True, slots=True)
class SQLite:
    """A database in the file `path`.

    `durable`: what was committed survives a crash of the machine, and not of the process only.
    """

    path: Path
    durable: bool = False

    mark: ClassVar = "?"
    connections: ClassVar = 2
    """How many a process has: a file has one writer, and reads are computing."""

    def connect(self) -> sqlite3.Connection:
        """Return a connection in which each statement is a transaction, for any thread."""
        connection = sqlite3.connect(
            self.path, timeout=30, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA synchronous = {'FULL' if self.durable else 'NORMAL'}")
        return connection

    def build(self, *, products: int, value_bytes: int) -> None:
        """Create the tables, with ids 0 to `products` - 1, each about `value_bytes` long."""
        body = body_of(value_bytes)
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(_SCHEMA)
            db.executemany(
                "INSERT INTO category VALUES (?, ?)",
                ((i, f"category {i}") for i in range(CATEGORIES)),
            )
            db.executemany(
                "INSERT INTO product VALUES (?, ?, 1, ?, ?)",
                ((i, i % CATEGORIES, f"product {i}", body) for i in range(products)),
            )
            db.executemany(
                "INSERT INTO review (product_id, stars) VALUES (?, ?)",
                ((i, stars_of(i, nth)) for i in range(products) for nth in range(REVIEWS_EACH)),
            )

    @contextmanager
    def copy(self, path: Path) -> Iterator[SQLite]:
        """Give a copy in the file `path`, and remove it in the end."""
        shutil.copy(self.path, path)
        try:
            yield SQLite(path, self.durable)
        finally:
            path.unlink()
