"""What a source was and what readers may rely on: the judge of random runs.

Every value is a version of a cell of the source. An acknowledged invalidation sets a *floor* under
each name that it voids (a key, a tag, a namespace): from then on who reads an entry of that name
gets no version that the source had left behind when the invalidation was called.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Final, NamedTuple

from freshwell.typing import ReadLevelName
from tests.races.loads import LoadJudge

__all__ = ["EVENTUAL", "FRESH", "SOURCE", "Ask", "Outdated", "Past"]

EVENTUAL: Final[ReadLevelName] = "eventual"
FRESH: Final[ReadLevelName] = "fresh"
SOURCE: Final[ReadLevelName] = "source"


class Outdated(AssertionError):
    """A reader was given what the contract forbids."""


class _Floor(NamedTuple):
    """An acknowledged invalidation. `seen`: others are bound by it as well."""

    at_s: float
    version: int
    cache: int
    seen: bool
    how: str


class Ask(NamedTuple):
    """A read that has begun: of a cell, by a cache, of an entry of these names."""

    cell: int
    cache: int
    names: tuple[str, ...]
    level: ReadLevelName
    at_s: float
    how: str
    committed: int


class Past:
    """The versions of the source's cells, and the floors. Thread-safe.

    `bound_s`: how long another cache's memory may lag behind. `loads`: the judge of those. Of
    write-behind: `stored` is what the source has, `accepted` the versions that were acknowledged
    last; who is `writing` a cell.
    """

    def __init__(self, cells: int, bound_s: float, loads: LoadJudge) -> None:
        self._mutex = Lock()
        self.loads = loads
        self.cells = range(cells)
        self.writing = [Lock() for _ in self.cells]
        self.stored: dict[int, str] = {}
        self.accepted: dict[int, int] = {}
        self._versions = [1] * cells
        self._floors: dict[tuple[str, int], list[_Floor]] = defaultdict(list)
        self._bound_s = bound_s
        self.reads = 0
        self.acks = 0

    def now(self, cell: int) -> int:
        """Return the version of a cell that the source has now."""
        return self._versions[cell]

    def commit(self, cell: int) -> int:
        """Let a cell have its next version, and return that."""
        with self._mutex:
            self._versions[cell] += 1
            return self._versions[cell]

    def acknowledged(
        self, names: Iterable[str], versions: Mapping[int, int], cache: int, how: str, *, seen: bool
    ) -> None:
        """Note that a cache has voided names, whose cells had these versions when it was called."""
        now_s = time.monotonic()
        with self._mutex:
            self.acks += 1
            for name in names:
                for cell, version in versions.items():
                    self._floors[name, cell].append(_Floor(now_s, version, cache, seen, how))

    def ask(
        self, cell: int, cache: int, names: Iterable[str], level: ReadLevelName, how: str
    ) -> Ask:
        """Note that a read begins now."""
        committed, now_s = self._versions[cell], time.monotonic()
        return Ask(cell, cache, tuple(names), level, now_s, how, committed)

    def judge(self, ask: Ask, value: str) -> None:
        """Look at what a read has returned. Raises `Outdated`."""
        cell, version = map(int, value.split(":"))
        self.reads += 1
        if cell != ask.cell:
            raise Outdated(f"{ask} was given the value of cell {cell}")
        if version > self._versions[cell]:
            raise Outdated(f"{ask} was given version {version}, which is not there yet")
        if ask.level == SOURCE and version < ask.committed:
            raise Outdated(f"{ask} was given version {version}: the source was not asked")
        for name in ask.names:
            for floor in self._floors[name, cell]:
                if version < floor.version and self._binds(floor, ask):
                    late_ms = 1_000 * (ask.at_s - floor.at_s)
                    raise Outdated(
                        f"{ask} was given version {version}, {late_ms:.1f} ms after {floor}, by "
                        f"the name {name!r}"
                    )

    def _binds(self, floor: _Floor, ask: Ask) -> bool:
        """Tell whether a read that begins then must know of an invalidation."""
        if floor.cache == ask.cache:
            return floor.at_s < ask.at_s
        lag_s = self._bound_s if ask.level == EVENTUAL else 0.0
        return floor.seen and floor.at_s + lag_s < ask.at_s
