"""Types that appear in freshwell's public signatures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

__all__ = ["DurabilityName", "Duration", "Lookup", "ReadLevelName"]

Duration = float | int | str | timedelta
"""Seconds, a `timedelta`, or text: ``300``, ``timedelta(minutes=5)``, ``"5m"``, ``"1h30m"``."""

ReadLevelName = Literal["eventual", "fresh", "source"]
"""How old an answer may be: see the how-to on read levels."""

DurabilityName = Literal["memory", "local", "redis", "redis+wait"]
"""What a write survives that a journal has accepted: see the how-to on write-behind."""


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
    - `reason`: one word on why, for logs: ``"l2 down"`` where L2 did not answer, ``"gutter"`` for
      a value that was loaded meanwhile (`gutter_ttl`), ``"session"`` where L1 may not answer now.
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
