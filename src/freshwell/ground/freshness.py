"""What an entry's times mean at a given instant. Pure: the clock's reading is an argument.

All times here are nanoseconds of the *reader's* monotonic clock. Times that L2 keeps are on
the server's clock, and are turned into remaining life by `local_times` at the edge.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from freshwell.ground.ttl import calm_until_ns, refreshes_early

__all__ = ["LONG_AGO_NS", "Times", "Verdict", "judge", "left_ms", "local_times", "times_after_load"]

LONG_AGO_NS = -1
"""A deadline that has passed for every clock reading."""

_NS_PER_MS = 1_000_000
_SLACK_SHARE = 10
"""A value with a tenth of its life more than expected was refreshed by somebody else."""


class Verdict(Enum):
    """What may be done with an entry."""

    FRESH = "fresh"
    EARLY = "early"
    """Fresh, but this caller was drawn to have it refreshed before it expires."""
    STALE = "stale"
    """Past its TTL, within what the caller accepts."""
    ABSENT = "absent"
    """Not there, or of no use to the caller."""

    __hash__ = object.__hash__  # of two members none is equal; Enum's own is written in Python


class Times(NamedTuple):
    """An entry's times on the reader's monotonic clock."""

    born_ns: int
    fresh_until_ns: int
    stale_until_ns: int
    cost_ns: int

    def calm_until_ns(self, beta: float) -> int:
        """Return the instant up to which the entry is fresh with nothing to decide."""
        return calm_until_ns(
            self.fresh_until_ns, self.cost_ns, beta, self.fresh_until_ns - self.born_ns
        )

    def capped(self, cap_ns: int) -> Times:
        """Return these times with no deadline after `cap_ns`."""
        return self._replace(
            fresh_until_ns=min(self.fresh_until_ns, cap_ns),
            stale_until_ns=min(self.stale_until_ns, cap_ns),
        )


def judge(times: Times, now_ns: int, *, stale_ns: int, beta: float, u: float) -> Verdict:
    """Decide what may be done with an entry at `now_ns`.

    `stale_ns` is how long after its TTL this caller accepts the entry, `beta` how eagerly it
    is refreshed early (0: never), and `u` a uniform draw from (0, 1].
    """
    if now_ns < times.fresh_until_ns:
        early = beta > 0 and refreshes_early(now_ns, times.fresh_until_ns, times.cost_ns, beta, u)
        return Verdict.EARLY if early else Verdict.FRESH
    if now_ns < min(times.fresh_until_ns + stale_ns, times.stale_until_ns):
        return Verdict.STALE
    return Verdict.ABSENT


def left_ms(times: Times | None, now_ns: int) -> int:
    """Return up to how much freshness a value may have left and still be the one seen."""
    if times is None or times.fresh_until_ns <= now_ns:
        return 0
    life_ns = times.fresh_until_ns - times.born_ns
    return (times.fresh_until_ns - now_ns + life_ns // _SLACK_SHARE) // _NS_PER_MS + 1


def times_after_load(now_ns: int, *, ttl_ns: int, stale_ns: int, cost_ns: int) -> Times:
    """Return the times of an entry that has just been loaded."""
    fresh_until_ns = now_ns + ttl_ns
    return Times(now_ns, fresh_until_ns, fresh_until_ns + stale_ns, cost_ns)


def local_times(
    fresh_until_ms: int,
    born_ms: int,
    cost_us: int,
    server_ms: int,
    now_ns: int,
    stale_ns: int,
) -> Times:
    """Turn an L2 entry's times into the reader's clock by its remaining life.

    `server_ms` is the server's clock as estimated at the reader's `now_ns`. The end of the
    stale allowance is the reader's own `stale_ns`: L2 itself removes the entry at its end.
    """
    fresh_until_ns = now_ns + (fresh_until_ms - server_ms) * _NS_PER_MS
    return Times(
        now_ns - max(0, server_ms - born_ms) * _NS_PER_MS,
        fresh_until_ns,
        fresh_until_ns + stale_ns,
        cost_us * 1_000,
    )
