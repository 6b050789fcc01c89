"""Write a SQLite table through the cache: who reads after a write finds what was written."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from freshwell import Cache


class Users:
    """A source that can be written to. ``delete`` and the methods of many are extras."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def load(self, id: int) -> str | None:
        print(f"  load {id}")
        row = self.db.execute("SELECT name FROM users WHERE id = ?", (id,)).fetchone()
        return None if row is None else str(row[0])

    def save(self, id: int, name: str) -> None:
        with self.db:  # committed when it returns
            self.db.execute("INSERT OR REPLACE INTO users VALUES (?, ?)", (id, name))

    def delete(self, id: int) -> None:
        with self.db:
            self.db.execute("DELETE FROM users WHERE id = ?", (id,))


def main() -> None:
    with closing(sqlite3.connect(":memory:")) as db, Cache() as cache:
        db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        users = cache.write_through(Users(db), key="user:{}", ttl="5m")

        users.put(1, "Ada")
        print(users.get(1))  # no load
        users.put(1, "Ada Lovelace")
        print(users.get(1))

        try:
            users.put(2, ["no", "text"])  # type: ignore[arg-type]
        except sqlite3.Error as error:
            print("refused:", type(error).__name__)
        print(users.get(2))  # so the entry is absent, and the source is asked

        users.delete(1)
        print(users.get(1))


if __name__ == "__main__":
    main()
