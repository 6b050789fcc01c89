"""Processes that write the same rows of one SQLite database at the same time."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import sqlite3
from contextlib import closing
from functools import partial
from random import Random
from typing import Any

from freshwell import Cache, Saved
from freshwell._kit.threads import sleep
from tests.support.threads import all_of
from tests.support.worker import Talk

__all__ = ["Table", "rival"]

_TASKS = 2
_UPSERT = """
    INSERT INTO row VALUES (?, ?, 1)
    ON CONFLICT (id) DO UPDATE SET value = excluded.value, version = version + 1
    RETURNING version
"""


class Table:
    """A source whose commits come at a time of its own, and whose answers come later.

    `way`: "versions", it tells the version that a row got in the commit; "any versions", some
    number that says nothing.
    """

    def __init__(self, path: str, random: Random, way: str) -> None:
        self._path = path
        self._random = random
        self._way = way

    def load(self, id: int, /) -> str | None:
        with closing(sqlite3.connect(self._path, timeout=30)) as db:
            row = db.execute("SELECT value FROM row WHERE id = ?", (id,)).fetchone()
        sleep(self._random.random() * 0.002)
        return None if row is None else str(row[0])

    def save(self, id: int, value: str, /) -> Any:
        before, after = self._random.random() * 0.004, self._random.random() * 0.02
        sleep(before)
        with closing(sqlite3.connect(self._path, timeout=30)) as db, db:
            db.execute("PRAGMA synchronous = OFF")
            (version,) = db.execute(_UPSERT, (id, value)).fetchone()
        sleep(after)
        if self._way == "any versions":
            version = self._random.randrange(2**40)
        return Saved(version=version) if self._way.endswith("versions") else None


def rival(talk: Talk, *, url: str, path: str, way: str, name: str, rounds: int) -> None:
    """Write row after row, as the others do, by write-through or by saving and setting."""
    random = Random(name)
    source = Table(path, random, way)
    with Cache(url, namespace="rivals") as cache:
        rows = cache.write_through(source, key="row:{}")
        cache.get("warm")
        talk.ready()

        def write(task: int) -> None:
            for id in range(rounds):
                value = f"{name}:{task}:{id}"
                rows.get(id)
                if way == "save and set":
                    source.save(id, value)
                    cache.set(rows.key(id), value)
                else:
                    rows.put(id, value)

        all_of(*[partial(write, task) for task in range(_TASKS)])
