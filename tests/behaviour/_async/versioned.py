"""A source that raises a version with each change of a row, and tells it to who made the change."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any

from freshwell import AsyncWriteThrough, Saved
from tests.behaviour._async.rows import Rows
from tests.support.aio import start

__all__ = ["ORDERS", "Versioned", "overlap"]

ORDERS = [(commits, ends) for commits in ("12", "21") for ends in ("12", "21")]
"""In which order the source takes two writes, and in which order they return."""


def _told(version: int, value: Any) -> Any:
    return Saved(version=version)


class Versioned(Rows):
    """Rows with versions. `told` makes of a version and a value what a save returns."""

    def __init__(self, told: Callable[[int, Any], Any] = _told, **rows: Any) -> None:
        super().__init__(**rows)
        self.version = 0
        self.version_of: dict[str, int] = {}
        self.told = told
        self._mutex = Lock()

    async def save(self, id: str, value: Any, /) -> Any:
        self.saves.append(value)
        write = self.led.get(repr(value))
        if write is not None:
            write.begun.open()
            await write.commit.passed()
        version = self.commit(id, value)
        if write is not None:
            write.committed.open()
            await write.end.passed()
        if self.fails is not None:
            raise self.fails()
        return self.told(version, value)

    def commit(self, id: str, value: Any) -> int:
        """Make the change, in one step, and return its version."""
        with self._mutex:
            self.rows[id] = value
            self.version += 1
            self.version_of[repr(value)] = self.version
            return self.version


async def overlap(
    first: AsyncWriteThrough[Any],
    second: AsyncWriteThrough[Any],
    source: Versioned,
    orders: tuple[str, str],
    between: Callable[[], Any] | None = None,
) -> None:
    """Let "value1" and "value2" be put under "a" at the same time.

    `between`: is called when both are committed and the first of them has ended. What the source
    raises is swallowed.
    """
    commits, ends = orders
    writes = {number: source.lead(f"value{number}") for number in "12"}
    puts = {}
    for number, rows in zip("12", (first, second), strict=True):
        puts[number] = await start(partial(put, rows, f"value{number}"))
        await writes[number].begun.passed()
    for number in commits:
        writes[number].commit.open()
        await writes[number].committed.passed()
    for number in ends:
        writes[number].end.open()
        await puts[number].result()
        if between is not None and number == ends[0]:
            await between()


async def put(rows: AsyncWriteThrough[Any], value: str) -> None:
    with suppress(LookupError, OSError):
        await rows.put("a", value)
