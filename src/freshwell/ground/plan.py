"""What follows from the verdicts of the tiers: one table, read by every strategy.

Rows are L1's verdict, columns L2's word. L2 is asked only when L1's row says so; where there
is no L2, its word is `ABSENT` without asking.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from freshwell.ground.freshness import Verdict

__all__ = [
    "REFRESHING",
    "SERVING",
    "VERDICTS",
    "WORDS",
    "L2Word",
    "Plan",
    "ReadLevel",
    "plan",
]


class ReadLevel(Enum):
    """How old an answer may be.

    - ``eventual``: L1, then L2. Within `max_staleness` of every acknowledged invalidation.
    - ``fresh``: L2's primary only. Nothing loaded before an acknowledged invalidation.
    - ``source``: load now, and refill.
    """

    EVENTUAL = "eventual"
    FRESH = "fresh"
    SOURCE = "source"


class L2Word(Enum):
    """What L2 said of an entry."""

    FRESH = "fresh"
    EARLY = "early"
    STALE = "stale"
    ABSENT = "absent"
    DOWN = "down"

    __hash__ = object.__hash__  # of two members none is equal; Enum's own is written in Python


WORDS: Final = {
    Verdict.FRESH: L2Word.FRESH,
    Verdict.EARLY: L2Word.EARLY,
    Verdict.STALE: L2Word.STALE,
    Verdict.ABSENT: L2Word.ABSENT,
}
"""What a verdict on an entry is called where a tier reports it."""

VERDICTS: Final = {word: verdict for verdict, word in WORDS.items()}


class Plan(Enum):
    """What to do now."""

    SERVE_L1 = "serve l1"
    SERVE_L1_AND_REFRESH = "serve l1, refresh in the background"
    SERVE_L2 = "serve l2"
    SERVE_L2_AND_REFRESH = "serve l2, refresh in the background"
    ASK_L2 = "ask l2"
    LOAD = "load"
    LOAD_ALONE = "load without a lease, and keep nothing"


REFRESHING: Final = (Plan.SERVE_L1_AND_REFRESH, Plan.SERVE_L2_AND_REFRESH)
SERVING: Final = (Plan.SERVE_L2, Plan.SERVE_L1, *REFRESHING)
"""A value is at hand. One that is stale is served as the caller's policy says."""

# Members of enumerations: to look one up costs Python 3.11 as much as a call.
_ASK_L2 = Plan.ASK_L2
_LOAD = Plan.LOAD
_STALE = Verdict.STALE

_L1_ALONE = {
    Verdict.FRESH: Plan.SERVE_L1,
    Verdict.EARLY: Plan.SERVE_L1_AND_REFRESH,
    # Another process may have refreshed it already: L2 knows.
    Verdict.STALE: Plan.ASK_L2,
    Verdict.ABSENT: Plan.ASK_L2,
}

_WITH_L2 = {
    L2Word.FRESH: Plan.SERVE_L2,
    L2Word.EARLY: Plan.SERVE_L2_AND_REFRESH,
    L2Word.STALE: Plan.SERVE_L2_AND_REFRESH,
    L2Word.ABSENT: Plan.LOAD,
    L2Word.DOWN: Plan.LOAD_ALONE,
}


def plan(l1: Verdict, l2: L2Word | None, *, shared: bool) -> Plan:
    """Return what follows from L1's verdict and L2's word (None: not asked yet).

    `shared` tells whether there is an L2. A stale L1 entry is served only where L2 cannot be
    asked, because there is none or it is down: if L2 has lost the entry, it may have been
    invalidated.
    """
    first = _L1_ALONE[l1]
    if first is not _ASK_L2:
        return first
    if not shared:
        return Plan.SERVE_L1_AND_REFRESH if l1 is _STALE else _LOAD
    if l2 is None:
        return _ASK_L2
    if l1 is _STALE and l2 is L2Word.DOWN:
        return Plan.SERVE_L1
    return _WITH_L2[l2]
