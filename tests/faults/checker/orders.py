"""What the workers of a run are told to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from freshwell.typing import ReadLevelName

__all__ = ["INTENT_S", "LEVELS", "Orders"]

LEVELS: dict[str, ReadLevelName] = {
    "eventual": "eventual",
    "fresh": "fresh",
    "resting": "eventual",
}
"""The read level of each habit."""

INTENT_S = 3.0
"""Lifetime of write intents: the shortest there is."""


@dataclass(frozen=True)
class Orders:
    """How a run reads and writes. Goes to the workers as JSON.

    - `way`: how a write voids what is cached of a cell: ``key``, ``tag``, ``writing``, ``mixed``
      (any of these, or a namespace's `clear`, at each write), ``every`` (`expire` and patterns
      too, which are not said again after a failover), or a control of `tests.races.controls`.
    - `cells`: versioned values of the source, each cached under `width` keys.
    - `bound_s`: `max_staleness`.
    - `readers`: the habit of each reading task of a process: ``eventual`` and ``fresh`` are read
      levels; ``resting`` reads eventually, waits about a bound, and reads the same key again.
    - `writers`: writing tasks of a process, each of which rests up to `rest_s` between writes.
    - `slow_s`: how long the source takes at the most, nearly always.
    - `ttl_s`: of entries. Half of the cells have a third of it.
    - `kill_share`: of the writes in which the process is killed between commit and invalidation.
    - `promises`: whether an announced change that is never settled counts as due when the
      announcement has run out. Not where L2 loses data besides: an announcement that is lost
      lets the old value be stored once more, and nobody is left to end it.
    - `schemas`: each colour's entries have a schema version of their own.
    - `sabotage`: the mechanism that is taken out of the library (`controls.py`).
    """

    way: str = "key"
    cells: int = 24
    width: int = 2
    bound_s: float = 0.25
    readers: tuple[str, ...] = ("eventual", "eventual", "fresh", *("resting",) * 5)
    writers: int = 2
    rest_s: float = 0.04
    slow_s: float = 0.004
    ttl_s: float = 10.0
    kill_share: float = 0.0
    promises: bool = False
    schemas: bool = False
    sabotage: str = ""

    def told(self) -> dict[str, Any]:
        """Return them as JSON carries them."""
        return asdict(self)

    @classmethod
    def heard(cls, told: Mapping[str, Any]) -> Self:
        return cls(**{**told, "readers": tuple(told["readers"])})
