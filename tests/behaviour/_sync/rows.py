"""A source that can be written to, whose writes can be held and can fail."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Sequence
from typing import Any

from tests.support.threads import Latch

__all__ = ["Bulk", "Rows", "Write"]


class Write:
    """One save that a test leads through: it waits before its commit, and after it."""

    def __init__(self) -> None:
        self.begun, self.commit = Latch(), Latch()
        self.committed, self.end = Latch(), Latch()

    def go(self) -> None:
        """Hold it no more."""
        self.commit.open()
        self.end.open()


class Rows:
    """Rows by id. `led` has the writes to be held, by the repr of the value."""

    def __init__(self, **rows: Any) -> None:
        self.rows: dict[str, Any] = rows
        self.loads = 0
        self.saves: list[Any] = []
        self.led: dict[Any, Write] = {}
        self.fails: Callable[[], BaseException] | None = None

    def load(self, id: str, /) -> Any:
        self.loads += 1
        return self.rows.get(id)

    def save(self, id: str, value: Any, /) -> None:
        self.saves.append(value)
        write = self.led.get(repr(value))
        if write is not None:
            write.begun.open()
            write.commit.passed()
        self.rows[id] = value
        if write is not None:
            write.committed.open()
            write.end.passed()
        if self.fails is not None:
            raise self.fails()

    def delete(self, id: str, /) -> None:
        self.rows.pop(id, None)

    def lead(self, value: Any) -> Write:
        """Hold the write of a value."""
        return self.led.setdefault(repr(value), Write())


class Bulk(Rows):
    """The same, with loads and saves of many."""

    def load_many(self, ids: Sequence[str]) -> dict[str, Any]:
        self.loads += 1
        return {id: self.rows[id] for id in ids if id in self.rows}

    def save_many(self, values: dict[str, Any]) -> None:
        self.saves.append(dict(values))
        self.rows.update(values)
        if self.fails is not None:
            raise self.fails()
