"""Journals in use by a process, and the commands that look at them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from freshwell import Batch, Outcome, WriteBehind
from tests.cli.running import Ran, run

__all__ = ["Keep", "Kept", "Picky", "behind"]


class Picky:
    """A source that will not have some ids, and takes the others."""

    def __init__(self) -> None:
        self.refused: set[Any] = set()
        self.rows: dict[Any, Any] = {}

    def load(self, id: Any, /) -> Any:
        return self.rows.get(id)

    def save_many(self, batch: Batch[Any, Any], /) -> dict[Any, Outcome]:
        self.rows |= {w.id: w.value for w in batch.writes if w.id not in self.refused}
        refused = {w.id for w in batch.writes} & self.refused
        return {id: Outcome.reject("too long") for id in refused}

    def delete(self, id: Any, /) -> None:
        self.rows.pop(id, None)


class Kept(NamedTuple):
    """A journal that a process has in use, its source, and how commands name it."""

    rows: WriteBehind[Any]
    source: Picky
    words: tuple[str, ...]

    def run(self, command: str, *words: str) -> Ran:
        return run("journal", command, *self.words, *words)

    def json(self, command: str, *words: str) -> list[Any]:
        """Return what a command prints, line by line."""
        ran = self.run(command, *words)
        assert ran.code in (0, 1), ran
        return [json.loads(line) for line in ran.out.splitlines()]

    def bury(self, *ids: Any) -> None:
        """Have writes of some ids refused."""
        self.source.refused |= set(ids)
        self.rows.put_many({id: {"id": str(id)} for id in ids})
        self.rows.flush(timeout=20)

    def dead(self) -> list[Any]:
        return [letter["id"] for letter in self.json("list", "--json", "--limit", "1000")]

    def sequence(self, id: Any) -> str:
        found = self.json("list", "--json")
        return next(str(letter["sequence"]) for letter in found if letter["id"] == id)


Keep = Callable[..., Kept]


def behind(cache: Any, source: Picky, journal: str, **given: Any) -> WriteBehind[Any]:
    options = {"flush_every": "10ms", "shards": 2, "assume_durable": True, "key": "row:{}", **given}
    rows: WriteBehind[Any] = cache.write_behind(source, journal=journal, **options)
    rows.start()
    return rows
