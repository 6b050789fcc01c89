"""Write behind a cache: a journal takes writes while the database is away, and loses none."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from freshwell import Batch, Cache

TABLE = "CREATE TABLE pages (id TEXT PRIMARY KEY, views INTEGER, sequence INTEGER)"
UNLESS_LATER = """INSERT INTO pages VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE
    SET views = excluded.views, sequence = excluded.sequence
    WHERE pages.sequence < excluded.sequence"""


class Pages:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.is_up = True

    def load(self, id: str) -> int | None:
        with closing(sqlite3.connect(self.file)) as db:
            found = db.execute("SELECT views FROM pages WHERE id = ?", (id,)).fetchone()
            return int(found[0]) if found else None

    def save_many(self, batch: Batch[str, int]) -> None:
        """Store the batch in one transaction; what is older than its row is left out."""
        if not self.is_up:
            raise ConnectionError("the database is away")
        print(f"  save_many {dict(batch)}")
        with closing(sqlite3.connect(self.file)) as db, db:
            db.executemany(UNLESS_LATER, [(w.id, w.value, w.sequence) for w in batch.writes])


def main(folder: Path) -> None:
    source = Pages(folder / "pages.db")
    with closing(sqlite3.connect(source.file)) as db:
        db.execute(TABLE)
    with Cache() as cache:
        journal = f"sqlite:///{folder / 'pending.db'}"
        pages = cache.write_behind(source, key="page:{}", journal=journal, drain="100ms")
        source.is_up = False
        for views in range(1, 51):
            ack = pages.put("home", views)
        print(f"accepted ({ack.durability}): {pages.get('home')}, source: {source.load('home')}")
        print(pages.backlog().records, "writes wait")

    source.is_up = True  # and the service starts anew: the journal has kept them
    with Cache() as cache, cache.write_behind(source, key="page:{}", journal=journal) as pages:
        pages.flush()
        print(f"source: {source.load('home')}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
