"""How long an entry lives, and when it is refreshed before its end."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["EARLIEST_COSTS", "calm_until_ns", "jittered_ns", "refreshes_early"]

EARLIEST_COSTS: Final = 10
"""How many times its cost ahead an entry is refreshed at the earliest, for a beta of 1.

Draws of -ln(u) above this are rarer than 1 in 20,000.
"""


def jittered_ns(ttl_ns: int, jitter: float, u: float) -> int:
    """Return the TTL shortened by up to the share `jitter`, by a draw `u` from [0, 1).

    Never longer than asked for, and never 0.
    """
    return max(1, ttl_ns - int(ttl_ns * jitter * u))


def refreshes_early(now_ns: int, fresh_until_ns: int, cost_ns: int, beta: float, u: float) -> bool:
    """Tell whether this reader refreshes the entry although it is fresh.

    XFetch: the nearer the end and the dearer the load, the likelier; `u` is a draw from
    (0, 1]. Source: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede
    Prevention", VLDB 2015.
    """
    return now_ns - cost_ns * beta * math.log(u) >= fresh_until_ns


def calm_until_ns(fresh_until_ns: int, cost_ns: int, beta: float, ttl_ns: int) -> int:
    """Return the instant before which no early refresh needs to be considered.

    It lets a hit be decided by one comparison. For loads that are dear beside their TTL the
    window is half the TTL: what XFetch would refresh before is not refreshed early.
    """
    return fresh_until_ns - min(int(cost_ns * beta * EARLIEST_COSTS), ttl_ns // 2)
