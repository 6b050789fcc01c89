"""How long to wait before the next try: longer each time, and not all at the same moment."""

from __future__ import annotations

from typing import Final

__all__ = ["backoff_ns"]

_MOST_DOUBLINGS: Final = 62


def backoff_ns(attempt: int, *, base_ns: int, most_ns: int, u: float) -> int:
    """Return how long to wait after the failed try number `attempt`, which counts from 1.

    It doubles from `base_ns` up to `most_ns`, and is shortened by up to a half by a draw `u` from
    [0, 1) ("equal jitter"): a later try never waits less than the one before, below the most.
    """
    doubled_ns = base_ns << min(max(attempt - 1, 0), _MOST_DOUBLINGS)
    ceiling_ns = min(doubled_ns, most_ns)
    return ceiling_ns - int(ceiling_ns * u / 2)
