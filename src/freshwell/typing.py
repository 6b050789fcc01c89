"""Types that appear in freshwell's public signatures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypedDict

__all__ = [
    "DurabilityName",
    "Duration",
    "LoadOptions",
    "Lookup",
    "ReadLevelName",
    "StaleOn",
    "StaleServeName",
]

Duration = float | int | str | timedelta
"""Seconds, a `timedelta`, or text: ``300``, ``timedelta(minutes=5)``, ``"5m"``, ``"1h30m"``."""

ReadLevelName = Literal["eventual", "fresh", "source"]
"""How old an answer may be: see the how-to on read levels."""

DurabilityName = Literal["memory", "local", "redis", "redis+wait"]
"""What a write survives that a journal has accepted: see the how-to on write-behind."""

StaleServeName = Literal["refresh", "error"]
"""When a stale entry is served: see the how-to on stale entries and time limits."""

StaleOn = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""Exception classes, or a function that tells whether an exception is one of those meant."""


class LoadOptions(TypedDict, total=False):
    """What becomes of a load that fails or is slow. Left out: as the cache was told.

    - `stale_serve`: ``"refresh"`` serves an entry within `stale_ttl` at once, while it is loaded
      anew in the background; ``"error"`` waits for the load, and serves the entry only where that
      fails or takes too long.
    - `stale_on`: on which exceptions an entry within `stale_ttl` is served: classes, or a function
      of the exception, which must not wait and may be asked more than once (one that raises has
      said no). The others reach the callers. By default all but freshwell's own that say that
      something is built or used wrongly, or that a journal does not answer.
    - `stale_throttle`: for how long the source is left alone after that, entry by entry. Until
      then the stale entry is served without asking it.
    - `load_soft_timeout`: how long a caller who has a stale entry waits for its load. After that
      the entry is served, and the load goes on. None: as long as it takes.
    - `load_timeout`: how long a load may take, its waits for a slot and for other processes
      included. After that all who wait get the stale entry, or `LoadTimeout`. None: for ever.
    """

    stale_serve: StaleServeName
    stale_on: StaleOn
    stale_throttle: Duration
    load_soft_timeout: Duration | None
    load_timeout: Duration | None


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the tiers have under a key, looked at without loading.

    - `state`: ``"fresh"``; ``"early"``, fresh and close to its refresh; ``"stale"``, past its
      TTL and within `stale_ttl`; ``"expired"``; ``"absent"``.
    - `found`: there is a value that the caller's terms allow to be served; `value` is it.
    - `negative`: the source said that there is no such thing; `value` is None.
    - `tier`: ``"l1"`` (this process), ``"l2"`` (Redis or Valkey), None where nothing was found.
    - `age_s`, `ttl_left_s`: seconds since it was loaded, and until its TTL ends (negative
      after it); None where unknown.
    - `reason`: a word or two on why, for logs: ``"l2 down"`` where L2 did not answer, ``"gutter"``
      for a value that was loaded meanwhile (`gutter_ttl`), ``"session"`` where L1 may not answer
      now, ``"load failed"`` for one past its TTL whose source has failed so lately that it is left
      alone.
    """

    found: bool
    value: Any
    state: Literal["fresh", "early", "stale", "expired", "absent"]
    negative: bool
    tier: Literal["l1", "l2"] | None
    age_s: float | None
    ttl_left_s: float | None
    reason: str

    def __repr__(self) -> str:
        return (
            f"Lookup(found={self.found}, state={self.state!r}, negative={self.negative}, "
            f"tier={self.tier!r}, age_s={self.age_s}, ttl_left_s={self.ttl_left_s}, "
            f"reason={self.reason!r})"
        )
