"""What a tier has of an entry, as callers are shown it."""

from __future__ import annotations

from freshwell.engines.shelf import Reading
from freshwell.ground.plan import L2Word
from freshwell.typing import Lookup

__all__ = ["as_lookup"]

_NS_PER_S = 1_000_000_000


def as_lookup(reading: Reading, now_ns: int) -> Lookup:
    """Return a reading in public form, as it is at `now_ns`."""
    times = reading.times
    found = reading.word is not L2Word.ABSENT and reading.word is not L2Word.DOWN
    state = reading.word.value if found else "absent" if times is None else "expired"
    return Lookup(
        found=found,
        value=reading.value if found else None,
        state=state,  # type: ignore[arg-type]
        negative=reading.negative,
        tier=None if times is None else reading.tier,
        age_s=None if times is None else (now_ns - times.born_ns) / _NS_PER_S,
        ttl_left_s=None if times is None else (times.fresh_until_ns - now_ns) / _NS_PER_S,
        reason=reading.reason,
    )
