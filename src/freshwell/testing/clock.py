"""A clock that stands still until it is told to go."""

from __future__ import annotations

__all__ = ["FakeClock"]

_NS_PER_S = 1_000_000_000


class FakeClock:
    """A monotonic clock in nanoseconds, to be handed to a cache: ``AsyncCache(clock=clock)``.

    It stands still but for `advance`. What a cache judges by it: whether entries are fresh,
    stale or gone, how old they are, and whether L1 may answer. What it does not: Redis, where
    entries, leases and announcements end by the server's own time; time limits and pauses, which
    are real waits; and write-behind's flusher. So with a URL it shows what *this process* does
    with what it knows; let an entry in Redis end by `expire`.

    It starts far from zero, so that code which takes zero for "never" is found out. Any thread
    may read it; one at a time may move it.
    """

    def __init__(self, now_ns: int = 1_000_000 * _NS_PER_S) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def __repr__(self) -> str:
        return f"FakeClock({self.now_ns})"

    def advance(self, seconds: float = 0, *, ms: int = 0, ns: int = 0) -> int:
        """Move the clock forward by the sum of what is given, and return the new time.

        Raises `ValueError` for a negative sum: a monotonic clock never goes back.
        """
        step_ns = round(seconds * _NS_PER_S) + ms * 1_000_000 + ns
        if step_ns < 0:
            raise ValueError(f"a monotonic clock cannot go back by {-step_ns} ns")
        self.now_ns += step_ns
        return self.now_ns
