"""What a load is told, what it brings back, and what it learns on its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from freshwell._async.coordination.tags import Tagged
from freshwell.engines.allowance import Allowance
from freshwell.engines.shelf import Terms
from freshwell.ground.tags import UNTAGGED, Tagging

__all__ = ["NOTHING", "Course", "Errand", "Load", "Loaded", "Run", "untagged"]

Load = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]
"""A loader of many keys at once. Keys that it leaves out do not exist in the source."""


class Loaded(NamedTuple):
    """A value that a flight brings back.

    `began_ns` is when its load began (-1: it was found in a tier); `valid_at_ns` is an instant
    at which it is known to have been current. Both are this process's monotonic clock. `alone`:
    L2 had no part in it, and does not have it.
    """

    value: Any
    negative: bool
    began_ns: int
    valid_at_ns: int
    found: bool = True
    alone: bool = False


def untagged(name: str) -> Tagging:
    """Return what tags an entry has where none are given: none."""
    return UNTAGGED


NOTHING = Loaded(None, False, -1, -1, found=False)
"""A refresh that somebody else is doing already."""


@dataclass(slots=True)
class Errand:
    """What a flight's leader is to do.

    - `load`: asks the source. `taggings`: the tags of each entry.
    - `nested`: the caller is itself a loader, whose slot covers this.
    - `forced`: load even where a tier has a fresh value.
    - `refresh_within_ms`: replace values with at most this much freshness left (None: a
      foreground load, which waits where another process is loading; a refresh gives up).
    - `l2_spent_ns`: for how long L2 has kept the caller already.
    """

    load: Load
    terms: Terms
    taggings: Callable[[str], Tagging] = untagged
    nested: bool = False
    forced: bool = False
    refresh_within_ms: int | None = None
    l2_spent_ns: int = 0


class Course:
    """What has come of one errand on its way: `useless` values of L2, and keys loaded `alone`."""

    __slots__ = ("allowance", "alone", "is_too_slow", "useless")

    def __init__(self, allowance: Allowance) -> None:
        self.useless: dict[bytes, bytes] = {}
        self.alone: set[str] = set()
        self.allowance = allowance
        self.is_too_slow = False


class Run(NamedTuple):
    """One call of a loader: when it began, what it took, and what stood before it."""

    began_ns: int
    cost_ns: int
    since: int
    before: Tagged | None
