"""What a cache tells those who listen: values that never change, and never name a key.

Hits are not told: they are counted. What is told is rare beside them, or slow.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = [
    "CoherenceChanged",
    "Degraded",
    "Event",
    "Invalidated",
    "InvalidationKind",
    "LoadEnded",
]


InvalidationKind = Literal["keys", "tags", "pattern", "expire", "writes"]
"""What ended the validity of entries: a call for them, or a write through or behind the cache."""


class LoadEnded(NamedTuple):
    """A loader has returned, or raised. `error`: the class of what it raised, or empty."""

    namespace: str
    keys: tuple[str, ...]
    """Digests, by which logs name keys without telling them: see `key_digest`."""
    seconds: float
    error: str = ""


class Invalidated(NamedTuple):
    """An invalidation by this process, confirmed by L2."""

    namespace: str
    kind: InvalidationKind
    names: int
    """How many keys or tags were named; of a pattern, how many entries there were."""


class Degraded(NamedTuple):
    """Something went wrong, and callers were served all the same: each time, not once a minute."""

    namespace: str
    kind: str
    """One of the records of the log: ``"L2 failed"``, ``"a load was shed"``, and so on."""
    detail: str


class CoherenceChanged(NamedTuple):
    """L1 learns of invalidations in another way than before, or not at all for the moment."""

    namespace: str
    mode: str
    live: bool


Event = LoadEnded | Invalidated | Degraded | CoherenceChanged
