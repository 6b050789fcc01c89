"""Processes that write the same rows of one SQLite database at the same time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from random import Random

from freshwell import AsyncCache
from freshwell._kit.aio import sleep
from tests.support.aio import all_of
from tests.support.worker import Talk

__all__ = ["Table", "rival"]

_TASKS = 2


class Table:
    """A source whose commits come at a time of its own, and whose answers come later."""

    def __init__(self, path: str, random: Random) -> None:
        self._path = path
        self._random = random

    async def load(self, id: int, /) -> str | None:
        with closing(sqlite3.connect(self._path, timeout=30)) as db:
            row = db.execute("SELECT value FROM row WHERE id = ?", (id,)).fetchone()
        await sleep(self._random.random() * 0.002)
        return None if row is None else str(row[0])

    async def save(self, id: int, value: str, /) -> None:
        before, after = self._random.random() * 0.004, self._random.random() * 0.02
        await sleep(before)
        with closing(sqlite3.connect(self._path, timeout=30)) as db, db:
            db.execute("PRAGMA synchronous = OFF")
            db.execute("INSERT OR REPLACE INTO row VALUES (?, ?)", (id, value))
        await sleep(after)


async def rival(talk: Talk, *, url: str, path: str, way: str, name: str, rounds: int) -> None:
    """Write row after row, as the others do, by write-through or by saving and setting."""
    random = Random(name)
    source = Table(path, random)
    async with AsyncCache(url, namespace="rivals") as cache:
        rows = cache.write_through(source, key="row:{}")
        await cache.get("warm")
        talk.ready()

        async def write(task: int) -> None:
            for id in range(rounds):
                value = f"{name}:{task}:{id}"
                await rows.get(id)
                if way == "write-through":
                    await rows.put(id, value)
                else:
                    await source.save(id, value)
                    await cache.set(rows.key(id), value)

        await all_of(*[partial(write, task) for task in range(_TASKS)])
