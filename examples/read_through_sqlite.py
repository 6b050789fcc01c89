"""Read a SQLite table through the cache: call sites give an id, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from freshwell import Cache


class Users:
    """A source: ``load`` is enough; ``load_many`` fetches what is missing by one query."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def load(self, id: int) -> str | None:
        return self.load_many([id]).get(id)

    def load_many(self, ids: list[int]) -> dict[int, str]:
        print(f"  one query for {ids}")
        marks = ", ".join("?" * len(ids))
        return dict(self.db.execute(f"SELECT id, name FROM users WHERE id IN ({marks})", ids))  # noqa: S608


def main() -> None:
    with closing(sqlite3.connect(":memory:")) as db, Cache() as cache:
        db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        db.executemany("INSERT INTO users VALUES (?, ?)", [(1, "Ada"), (2, "Grace"), (3, "Mary")])

        users = cache.read_through(Users(db), key="user:{}", ttl="5m", negative_ttl="30s")
        print(users.get(1))
        print(users.get_many([1, 2, 3, 99]))
        print(users.get_many([1, 2, 3, 99]))  # 99 is known not to exist

        db.execute("UPDATE users SET name = 'Ada L.' WHERE id = 1")
        db.commit()
        users.invalidate(1)
        print(users.get(1))


if __name__ == "__main__":
    main()
